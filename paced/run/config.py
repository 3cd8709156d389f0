"""What a run is asked to do: one frozen section for each step of the data flow, as data.

A field has its type, its range, its default and what it means side by side; what fields of one section must be
together is the section's ``faults``; the rules between sections are in ``rules.py``. Where a place wants
other defaults than its type (``references`` is greedy, ``evaluation.sampling`` cooler), they are written at that place
and hold for every key that a recipe leaves out there (``schema.py``). Defaults are the paper's (Table 10) where it
states one. Left out: any behaviour that depends on a section. A config is data that one can read alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from paced.errors import ConfigError
from paced.run.choices import Batching, Normaliser, Phrasing, Reduction
from paced.run.model_config import ModelConfig, StudentConfig
from paced.run.schema import (
    NAME,
    NAME_RULE,
    Choice,
    DecayRate,
    FilePath,
    FileSource,
    Name,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    Share,
)


@dataclass(frozen=True, kw_only=True)
class LabConfig(Section):
    """The embedded world: a synthetic verifiable task and the tiny models that live in it."""

    design: Literal["paper", "hard", "noisy", "clean"] = "hard"
    """Shares of graded, unseen and hash problems and of wrong hints; see ``paced.lab.designs``."""
    seed: NonNegativeInt = 0
    """Seed of the student and of its problems; 0 takes the run's seed."""
    num_problems: PositiveInt = 2400
    """Training problems."""
    num_heldout: Annotated[int, Meta(ge=5)] = 500
    """Held-out problems, four fifths graded and one fifth unseen."""
    num_prior: PositiveInt = 600
    """Prior-skill problems (reverse, sort) that measure forgetting."""
    phrasing: Phrasing = "plain"
    """stochastic: a free style letter is written before every digit of a completion."""
    teacher: Literal["self", "big"] = "self"
    """self: the student with the expert hint; big: a larger model that also knows the unseen operators."""


@dataclass(frozen=True, kw_only=True)
class ProblemsConfig(Section):
    """Where the problems come from."""

    path: str = ""
    """A file of problems, a folder of files or a pattern (``docs/data.md``); filled in by the lab when there is one."""
    limit: NonNegativeInt = 0
    """Use the first ``limit`` problems only; 0 for all."""
    adapter: str = "auto"
    """How its columns are read: ``auto``, found by their names, or an adapter of ``docs/data.md``, e.g. gsm8k."""
    on_bad_row: Literal["error", "quarantine"] = "error"
    """error: rows that cannot be used stop the run before it begins; quarantine: they are put aside in
    ``bad-rows.jsonl``, each with what is wrong with it, and so is a gold answer that fails its own grading."""


@dataclass(frozen=True, kw_only=True)
class PromptsConfig(Section):
    """How a problem becomes the text that a model reads; placeholders are replaced as plain text."""

    student: str = "{problem}"
    """User message for the student."""
    teacher: str = "{solution}\n\n{problem}"
    """User message for the teacher, who also sees the expert solution."""
    system: str = ""
    """System message of both; empty for none."""
    use_chat_template: bool = True
    """Wrap the message with the tokenizer's own chat template, or send it bare."""
    end_of_answer: str = ""
    """Text of one token that ends a completion besides the end-of-sequence token, e.g. a newline after few-shot
    examples; empty for none."""
    enable_thinking: bool | None = None
    """Passed to the chat template when set; must be set for templates that know it."""
    own_messages: bool = False
    """Send the problem set's own messages (its column ``messages``): to the student as they are, to the teacher with
    ``prompts.teacher`` in place of the last one, whose text is then ``{problem}``."""
    control_tokens: Literal["refuse", "escape"] = "refuse"
    """What becomes of a problem whose text holds a control token of the tokenizer, such as ``<|im_end|>``: refuse, the
    run says which; escape, it is written with a space inside, ``< |im_end|>``."""
    max_student_tokens: NonNegativeInt = 1024
    """Longest prompt of the student, chat template included; 0 for no limit. Training problems only."""
    max_teacher_tokens: NonNegativeInt = 3072
    """Longest prompt of the teacher, who reads the expert solution as well; 0 for no limit."""
    too_long: Literal["error", "quarantine"] = "error"
    """error: a longer prompt stops the run before it begins; quarantine: its problem is left out of the training set
    and written to ``quarantine.jsonl``, and the report says how many."""

    def faults(self) -> dict[str, str]:
        """A message without its problem asks nothing; the problem set's own need a template and bring their system."""
        messages = {"student": self.student, "teacher": self.teacher}
        faults = {
            reader: f"must contain {{problem}}, got {text!r}."
            for reader, text in messages.items()
            if "{problem}" not in text
        }
        if self.own_messages and not self.use_chat_template:
            faults["own_messages"] = "needs use_chat_template, which says who speaks, got use_chat_template false."
        if self.own_messages and self.system:
            faults["system"] = f"must be empty with own_messages, which bring theirs, got {self.system!r}."
        return faults


@dataclass(frozen=True, kw_only=True)
class SamplingConfig(Section):
    """How completions are sampled; every field is sent, nothing is inherited from a model's generation defaults."""

    moved: ClassVar[Mapping[str, str]] = {"max_rows": "engine.parameters.max_rows"}

    num_samples: PositiveInt = 8
    """K: completions per problem."""
    sampling_temperature: NonNegativeFloat = 1.0
    """Temperature; 0 is greedy."""
    top_p: Share = 1.0
    """Nucleus mass; 1 samples from the whole distribution."""
    max_new_tokens: PositiveInt = 8192
    """Length limit of a completion, in tokens."""
    engine: Choice = field(default=Choice("hf"))
    """What samples: hf, transformers in this process, e.g. ``{name: hf, parameters: {max_rows: 256}}``: completions
    decoded side by side, 1024 unless given, on which memory depends and results do not; vllm, in processes of its
    own, e.g. ``{name: vllm, parameters: {python: .venv/vllm/bin/python, num_engines: 8}}``; server, servers that run
    already, e.g. ``{name: server, parameters: {base_urls: [http://10.0.0.7:8000]}}``; ray, another engine in the
    workers of a Ray cluster; auto, vllm where it is there and pays, else hf (``docs/rollouts.md``)."""


@dataclass(frozen=True, kw_only=True)
class CompletionsConfig(SamplingConfig):
    """Completions that a step samples, or takes from a file."""

    from_: FileSource | None = None
    """A file of completions that takes the place of sampling: JSON lines, parquet, JSON or CSV, gzipped or not, one
    completion a row or a list of them. ``columns`` names those that are not called ``problem_id`` or ``prompt`` (the
    problem's text or prompt), ``text``, ``token_ids``, ``finish_reason``, ``sample_index``. Rollouts are those of the
    first stage, and num_samples of each problem; references are those of every stage that follows them."""


@dataclass(frozen=True, kw_only=True)
class ReferencesConfig(CompletionsConfig):
    """The teacher's completions, of which each problem keeps one: ``num_samples`` of each, the best by grade."""

    retries: NonNegativeInt = 0
    """How often a problem whose best reference is flagged is sampled again, ``num_samples`` each time."""
    flagged: Literal["keep", "drop"] = "keep"
    """What becomes of a problem whose reference leaks its instruction ("the provided solution"), is truncated, has no
    answer in the format asked for, or a wrong one: keep, it is trained along all the same; drop, it is left out of the
    stages along references. Either way the report counts them and shows some."""

    def faults(self) -> dict[str, str]:
        """Greedy samples are all the same, and a file is not sampled again."""
        several = {"num_samples": self.num_samples > 1, "retries": self.retries > 0}
        faults = {
            key: f"must be {'1' if key == 'num_samples' else '0'} at temperature 0, which gives one text only, got "
            f"{getattr(self, key)}. Set sampling_temperature."
            for key, asked in several.items()
            if asked and self.sampling_temperature == 0 and self.from_ is None
        }
        if self.retries and self.from_ is not None:
            faults["retries"] = f"must be 0 with references from a file, got {self.retries}."
        return faults


@dataclass(frozen=True, kw_only=True)
class PassRatesConfig(Section):
    """The pass rates of the first stage, where they come from a file."""

    from_: FileSource | None = None
    """A table of counts, or of one graded rollout a row, that takes the place of rollouts and grading: what ``paced
    weigh`` reads. ``columns`` names ``problem_id``, ``num_passed`` and ``num_rollouts``, or ``outcome`` and
    ``sample_index``, where the table's own names do not tell."""


@dataclass(frozen=True, kw_only=True)
class GradingConfig(Section):
    """How a completion is compared with the gold answer."""

    answer_format: Choice = field(default=Choice("whole"))
    """Where the answer is written: whole, the completion itself; last_number; first_line, the last number of its first
    line; boxed, the last ``\\boxed{}`` or ``Answer:`` line; gsm8k, the first ``####`` line with a number; digits, all
    its digits in order."""
    thinking: Literal["strip", "require", "keep"] = "strip"
    """strip: text up to the last ``</think>`` and after a ``<think>`` that never closes does not count; require:
    without a ``</think>`` there is no answer; keep: thinking counts as the rest does."""
    several_boxes: Literal["last", "must_agree"] = "last"
    """With ``answer_format: boxed``, last: the last box counts; must_agree: boxes that differ are not an answer."""


@dataclass(frozen=True, kw_only=True)
class StageConfig(Section):
    """One stage: pass rates of the current student, weights from them, then training with one divergence."""

    moved: ClassVar[Mapping[str, str]] = {"parameters": "divergence.parameters"}

    divergence: Choice = field(default=Choice("forward_kl"))
    """The loss of a token: forward_kl, reverse_kl, mixed_kl, jsd, akl, akl_ascending or adakd, e.g.
    ``{name: jsd, parameters: {beta: 0.5}}``."""
    along: Literal["reference", "rollout"] = "reference"
    """Whose tokens the loss follows: the teacher's reference (off-policy) or the student's own rollout."""
    fresh_rollouts: bool = False
    """With ``along: rollout``: sample anew at every step instead of reusing the rollouts that gave the pass rates."""
    share: Share = 1.0
    """Share of the problems that belongs to this stage; stages take disjoint parts of one seeded permutation."""
    num_epochs: PositiveFloat = 1.0
    """Passes over this stage's problems."""
    num_steps: NonNegativeInt = 0
    """Optimiser steps; 0 lets ``num_epochs`` decide."""
    learning_rate: NonNegativeFloat = 0.0
    """AdamW step size of this stage; 0 takes ``training.learning_rate``."""
    recompute_every: NonNegativeInt = 0
    """Renew the pass rates after this many steps; 0 keeps them for the whole stage (Assumption 4)."""

    def faults(self) -> dict[str, str]:
        """Fresh completions can only be the student's: references come from the teacher, once."""
        if self.fresh_rollouts and self.along != "rollout":
            return {"along": f"must be rollout with fresh_rollouts, got {self.along!r}."}
        return {}

    def __str__(self) -> str:
        """The stage in a few words, as reports and dry runs name it."""
        along = "fresh rollouts" if self.fresh_rollouts else f"the {self.along}"
        return f"{self.divergence} along {along} ({100 * self.share:g} %)"


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Section):
    """The optimiser step (Table 10 of the paper where it states a value)."""

    backend: Choice = field(default=Choice("native"))
    """Who trains: native, the compact loop of this package; transformers, its ``Trainer``; trl, its
    ``DistillationTrainer`` with TRL's own divergence (docs/trl.md); verl, which is given a bundle, e.g.
    ``{name: verl, parameters: {topk: 64, num_gpus: 8, teacher_gpus: 4}}`` (docs/other_trainers.md)."""
    batch_size: PositiveInt = 32
    """Problems in one optimiser step, over all ranks and accumulation steps."""
    micro_batch_tokens: PositiveInt = 16384
    """Largest number of padded tokens in one forward pass; splits a batch without changing the step."""
    batching: Batching = "weight"
    """weight: every problem takes a slot and its weight multiplies its loss; refill: problems of weight zero take no
    slot and later ones move up; sample: problems are drawn in proportion to their weight, with unit weight."""
    reduction: Reduction = "sequence_mean"
    """Mean over a sequence's tokens first, or over all tokens of the step."""
    normaliser: Normaliser = "dataset"
    """Divide by the batch (weights have unit mean over the training set), or by the batch's own total weight."""
    loss_temperature: PositiveFloat = 1.0
    """Temperature of both distributions inside the loss."""
    learning_rate: PositiveFloat = 1e-6
    """AdamW step size."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning-rate schedule after the warm-up."""
    warmup_steps: NonNegativeInt = 0
    """Linear warm-up, in optimiser steps."""
    weight_decay: NonNegativeFloat = 0.01
    """Decoupled weight decay."""
    adam_betas: tuple[DecayRate, DecayRate] = (0.9, 0.999)
    """AdamW moment decay rates."""
    adam_epsilon: PositiveFloat = 1e-8
    """AdamW denominator floor."""
    clip_norm: NonNegativeFloat = 1.0
    """Largest global gradient norm; 0 for no clipping."""
    checkpoint_every: NonNegativeInt = 100
    """Optimiser steps between checkpoints; 0 for none but the one that a signal asks for. The end of a stage has none:
    the exported student holds the master weights."""
    keep_checkpoints: NonNegativeInt = 2
    """How many of the newest checkpoints of a stage are kept; 0 for all."""
    interpolation: Literal["none", "zpd_mass"] = "none"
    """zpd_mass: stages of ``mixed_kl`` take λ(t)·forward + (1−λ(t))·reverse KL with λ = (ZPD mass now / at the stage's
    start)^γ (``x8``); needs ``recompute_every``."""
    interpolation_power: NonNegativeFloat = 1.0
    """γ of the interpolation."""
    zpd_epsilon: Annotated[float, Meta(gt=0, lt=0.5)] = 0.2
    """ε: a problem is in the ZPD when ε <= p̂ <= 1−ε; 0.2 is the zone of ``x8``."""
    track_snr: bool = False
    """Report the lm_head gradient SNR² over the problems of every step, a by-product of the fused loss."""


@dataclass(frozen=True, kw_only=True)
class ParallelConfig(Section):
    """How one step is spread over devices; never changes what the step computes."""

    sequence_parallel: PositiveInt = 1
    """Ulysses degree: ranks that share one sequence; divides the number of ranks."""
    shard: bool = True
    """Shard parameters, gradients and optimiser state over the data-parallel ranks (FSDP2) when there are several; the
    backend transformers replicates them and says so."""
    offload: bool = False
    """Keep sharded parameters and optimiser state in host memory."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass."""
    cache_teacher: bool = False
    """Store the teacher's final hidden states on disk and read them back instead of running it again."""


TRAINING = "training"
"""Name of the set of training problems that ``evaluation.rate_training`` asks for."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSet(Section):
    """One held-out problem file and what it measures."""

    name: Name
    """Part of file names."""
    path: FilePath
    """A file of problems, a folder of files or a pattern."""
    adapter: str = "auto"
    """How its columns are read, as for the training problems. Its bad rows are always an error."""
    role: Literal["plasticity", "stability"] = "plasticity"
    """plasticity: the skill being taught; stability: a prior skill, whose loss is forgetting."""
    preset: Literal["none", "math-500", "aime", "mmlu"] = "none"
    """Sample and grade as this benchmark is measured, instead of by ``evaluation.sampling`` and ``grading``; math-500
    and aime: mean@8 at temperature 0.6, top-p 0.95, 30,000 tokens, boxed; mmlu: one greedy completion, boxed."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig(Section):
    """mean@k on held-out problems, before and after training."""

    sets: tuple[EvaluationSet, ...] = ()
    """Problem files; filled in by the lab when there is one."""
    sampling: SamplingConfig = field(
        default_factory=lambda: SamplingConfig(sampling_temperature=0.6, top_p=0.95, max_new_tokens=30000)
    )
    """How evaluation samples: mean@8 at temperature 0.6 and top-p 0.95 in the paper."""
    stability_samples: NonNegativeInt = 0
    """Samples per problem on stability sets; 0 for the same as elsewhere."""
    rate_training: bool = False
    """Also roll out the training problems after training, K samples each: the curriculum before and after."""

    def faults(self) -> dict[str, str]:
        """The name of a set is the name of its files, beside those of the training problems."""
        counts = Counter(item.name for item in self.sets)
        taken = [name for name, count in counts.items() if count > 1 or name == TRAINING]
        if taken:
            return {"sets": f"must have different names other than '{TRAINING}', got {', '.join(taken)}."}
        return {}


@dataclass(frozen=True, kw_only=True)
class ReportConfig(Section):
    """What the report shows of compared methods."""

    method: str = ""
    """The method that each of the others is compared with, and whose curriculum and weights are drawn; the first one
    where it is empty or names none of them."""


@dataclass(frozen=True, kw_only=True)
class RunConfig(Section):
    """Everything that decides a run's results."""

    name: Name
    """Run folder below ``runs/``."""
    seed: NonNegativeInt = 1
    """The one seed; every other is derived from it and a name."""
    lab: LabConfig | None = None
    """The embedded world, which writes the student and the problem files when present: a synthetic verifiable task and
    the tiny models that live in it."""
    student: StudentConfig = field(default_factory=StudentConfig)
    """The model that is trained, a Hugging Face causal language model on disk."""
    teacher: ModelConfig = field(default_factory=ModelConfig)
    """The frozen model distilled from; an empty path means the initial student, who sees the expert solution."""
    problems: ProblemsConfig = field(default_factory=ProblemsConfig)
    """The training set."""
    prompts: PromptsConfig = field(default_factory=PromptsConfig)
    """How a problem becomes the text that a model reads."""
    rollouts: CompletionsConfig = field(default_factory=CompletionsConfig)
    """The student's rollouts, which give the pass rates. Every key is sent, nothing is inherited from a model's own
    generation settings."""
    grading: GradingConfig = field(default_factory=GradingConfig)
    """How a completion is compared with the gold answer."""
    pass_rates: PassRatesConfig = field(default_factory=PassRatesConfig)
    """The pass rates of the first stage, where they come from a file instead of rollouts."""
    references: ReferencesConfig = field(
        default_factory=lambda: ReferencesConfig(num_samples=1, sampling_temperature=0.0)
    )
    """The teacher's solutions, Eq. (2); greedy by default."""
    weights: Choice = field(default=Choice("beta"))
    """The weight function: beta, uniform, drop_zero, hard_filter, target_difficulty, saturated, minimax or
    teacher_ceiling. The trainer never looks here, only at the weights it gives."""
    stages: Annotated[tuple[StageConfig, ...], Meta(min_length=1)] = (StageConfig(),)
    """Training stages, in order; each has pass rates of the current student, weights from them, and one divergence."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The optimiser step (Table 10 of the paper where it states a value)."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """How one step is spread over devices; never changes what the step computes."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """mean@k on held-out problems, before and after training."""
    methods: Annotated[
        dict[Name, dict[str, Any]], Meta(description="a mapping from names to mappings of overrides")
    ] = field(default_factory=dict)
    """Compared methods: name -> overrides. Each starts from the same student, rollouts and references."""
    report: ReportConfig = field(default_factory=ReportConfig)
    """What the report shows of compared methods."""
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Where metrics go besides metrics.jsonl."""


def check_name(place: str, name: str) -> str:
    """Refuse a name that could leave its folder or confuse a shell; return it unchanged otherwise."""
    if not re.fullmatch(NAME, name):
        raise ConfigError(f"{place}: a name must be {NAME_RULE}, got {name!r}.")
    return name
