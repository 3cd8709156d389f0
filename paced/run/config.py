"""What a run is asked to do: one frozen section for each step of the data flow, as data.

Defaults are the paper's (Table 10) where it states one. :func:`check_config` refuses values out of range and sections
that contradict each other. Reading a recipe from YAML is ``configfile.py``.
Left out: any behaviour that depends on a section. A config is data that one can read alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from paced.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LabConfig:
    """The embedded world: a synthetic verifiable task and the tiny models that live in it."""

    design: Literal["paper", "hard", "noisy", "clean"] = "hard"
    """Shares of graded, unseen and hash problems and of wrong hints; see ``paced.lab.designs``."""
    seed: int = 0
    """Seed of the student and of its problems; 0 takes the run's seed."""
    num_problems: int = 2400
    """Training problems."""
    num_heldout: int = 500
    """Held-out problems, four fifths graded and one fifth unseen."""
    num_prior: int = 600
    """Prior-skill problems (reverse, sort) that measure forgetting."""
    phrasing: Literal["plain", "stochastic"] = "plain"
    """stochastic: a free style letter stands before every digit of a completion."""
    teacher: Literal["self", "big"] = "self"
    """self: the student with the expert hint; big: a larger model that also knows the unseen operators."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A Hugging Face causal language model on disk."""

    path: str = ""
    """Folder with safetensors weights and a tokenizer, or a hub name; for the teacher, empty means the student."""
    revision: str = ""
    """Commit of a hub repository; part of every cache key."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights during forward passes; the optimiser always holds float32 master weights."""
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    """Attention kernel asked of transformers."""


@dataclass(frozen=True, kw_only=True)
class ProblemsConfig:
    """Where the problems come from."""

    path: str = ""
    """JSONL file of problems; filled in by the lab when there is one."""
    limit: int = 0
    """Use the first ``limit`` problems only; 0 for all."""


@dataclass(frozen=True, kw_only=True)
class PromptsConfig:
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


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How completions are sampled; every field is sent, nothing is inherited from a model's generation defaults."""

    num_samples: int = 8
    """K: completions per problem."""
    sampling_temperature: float = 1.0
    """Temperature; 0 is greedy."""
    top_p: float = 1.0
    """Nucleus mass in (0, 1]; 1 samples from the whole distribution."""
    max_new_tokens: int = 8192
    """Length limit of a completion, in tokens."""
    max_rows: int = 1024
    """Completions decoded side by side; memory, not results, depends on it."""
    engine: str = "hf"
    """Name in SAMPLERS."""


@dataclass(frozen=True, kw_only=True)
class GradingConfig:
    """How a completion is compared with the gold answer."""

    answer_format: Literal["whole", "last_number", "first_line", "boxed", "gsm8k", "digits"] = "whole"
    """Where the answer is: the whole completion, its last number, the last number of its first line, the last
    ``\\boxed{}`` / ``Answer:`` line, the first ``####`` line with a number, or all its digits in order."""


@dataclass(frozen=True, kw_only=True)
class WeightsConfig:
    """The weight function; the trainer never looks at this section, only at the weights it gives."""

    function: str = "beta"
    """Name in ``paced.weights.WEIGHTS``."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the weight function, e.g. ``{alpha: 1, beta: 2}``."""


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage: pass rates of the current student, weights from them, then training with one divergence."""

    divergence: str = "forward_kl"
    """Name in ``paced.train.loss.DIVERGENCES``."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Parameters of the divergence, e.g. ``{beta: 0.5}`` for jsd."""
    along: Literal["reference", "rollout"] = "reference"
    """Whose tokens the loss follows: the teacher's reference (off-policy) or the student's own rollout."""
    fresh_rollouts: bool = False
    """With ``along: rollout``: sample anew at every step instead of reusing the rollouts that gave the pass rates."""
    share: float = 1.0
    """Share of the problems that belongs to this stage; stages take disjoint parts of one seeded permutation."""
    num_epochs: float = 1.0
    """Passes over this stage's problems."""
    num_steps: int = 0
    """Optimiser steps; 0 lets ``num_epochs`` decide."""
    recompute_every: int = 0
    """Renew the pass rates after this many steps; 0 keeps them for the whole stage (Assumption 4)."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The optimiser step (Table 10 of the paper where it states a value)."""

    batch_size: int = 32
    """Problems in one optimiser step, over all ranks and accumulation steps."""
    micro_batch_tokens: int = 16384
    """Largest number of padded tokens in one forward pass; splits a batch without changing the step."""
    batching: Literal["weight", "refill", "sample"] = "weight"
    """weight: every problem takes a slot and its weight multiplies its loss; refill: problems of weight zero take no
    slot and later ones move up; sample: problems are drawn in proportion to their weight, with unit weight."""
    reduction: Literal["sequence_mean", "token_mean"] = "sequence_mean"
    """Mean over a sequence's tokens first, or over all tokens of the step."""
    normaliser: Literal["dataset", "self"] = "dataset"
    """Divide by the batch (weights have unit mean over the training set), or by the batch's own total weight."""
    loss_temperature: float = 1.0
    """Temperature of both distributions inside the loss."""
    learning_rate: float = 1e-6
    """AdamW step size."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning-rate schedule after the warm-up."""
    warmup_steps: int = 0
    """Linear warm-up, in optimiser steps."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    adam_betas: tuple[float, float] = (0.9, 0.999)
    """AdamW moment decay rates."""
    adam_epsilon: float = 1e-8
    """AdamW denominator floor."""
    clip_norm: float = 1.0
    """Largest global gradient norm; 0 for no clipping."""
    checkpoint_every: int = 100
    """Optimiser steps between checkpoints; 0 for none but the one that a signal asks for. The end of a stage has none:
    the exported student holds the master weights."""
    keep_checkpoints: int = 2
    """How many of the newest checkpoints of a stage are kept; 0 for all."""
    interpolation: Literal["none", "zpd_mass"] = "none"
    """zpd_mass: stages of ``mixed_kl`` take λ(t)·forward + (1−λ(t))·reverse KL with λ = (ZPD mass now / at the stage's
    start)^γ (extension X8); needs ``recompute_every``."""
    interpolation_power: float = 1.0
    """γ >= 0 of the interpolation."""
    zpd_epsilon: float = 0.2
    """ε in (0, 1/2): a problem is in the ZPD when ε <= p̂ <= 1−ε; 0.2 is the zone of X8."""
    track_snr: bool = False
    """Report the lm_head gradient SNR² over the problems of every step, a by-product of the fused loss."""


@dataclass(frozen=True, kw_only=True)
class ParallelConfig:
    """How one step is spread over devices; never changes what the step computes."""

    sequence_parallel: int = 1
    """Ulysses degree: ranks that share one sequence; divides the number of ranks."""
    shard: bool = True
    """Shard parameters, gradients and optimiser state over the data-parallel ranks (FSDP2) when there are several."""
    offload: bool = False
    """Keep sharded parameters and optimiser state in host memory."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass."""
    cache_teacher: bool = False
    """Store the teacher's final hidden states on disk and read them back instead of running it again."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """One held-out problem file and what it measures."""

    name: str
    """Short name, part of file names."""
    path: str
    """JSONL file of problems."""
    role: Literal["plasticity", "stability"] = "plasticity"
    """plasticity: the skill being taught; stability: a prior skill, whose loss is forgetting."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """mean@k on held-out problems, before and after training."""

    sets: tuple[EvaluationSet, ...] = ()
    """Problem files; filled in by the lab when there is one."""
    sampling: SamplingConfig = field(
        default_factory=lambda: SamplingConfig(sampling_temperature=0.6, top_p=0.95, max_new_tokens=30000)
    )
    """How evaluation samples: mean@8 at temperature 0.6 and top-p 0.95 in the paper."""
    stability_samples: int = 0
    """Samples per problem on stability sets; 0 for the same as elsewhere."""
    rate_training: bool = False
    """Also roll out the training problems after training, K samples each: the curriculum before and after."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides a run's results."""

    name: str
    """Run folder below ``runs/``: letters, digits, dot, dash, underscore."""
    seed: int = 1
    """The one seed; every other is derived from it and a name."""
    lab: LabConfig | None = None
    """The embedded world, which writes the student and the problem files when present."""
    student: ModelConfig = field(default_factory=ModelConfig)
    """The trained model."""
    teacher: ModelConfig = field(default_factory=ModelConfig)
    """The frozen model distilled from; an empty path means the initial student, who sees the expert solution."""
    problems: ProblemsConfig = field(default_factory=ProblemsConfig)
    """The training set."""
    prompts: PromptsConfig = field(default_factory=PromptsConfig)
    """Prompt texts."""
    rollouts: SamplingConfig = field(default_factory=SamplingConfig)
    """Student rollouts that give pass rates: K = 8 at temperature 1."""
    grading: GradingConfig = field(default_factory=GradingConfig)
    """The grader."""
    references: SamplingConfig = field(default_factory=lambda: SamplingConfig(num_samples=1, sampling_temperature=0.0))
    """The teacher's solutions, Eq. (2); greedy by default."""
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    """The weight function."""
    stages: tuple[StageConfig, ...] = (StageConfig(),)
    """Training stages, in order."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The optimiser step."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """Devices."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """Held-out evaluation."""
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Compared methods: name -> dotted overrides. Each starts from the same student, rollouts and references."""
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Where metrics go besides metrics.jsonl."""


NAME_RULE = "letters, digits, '.', '-' and '_', starting with a letter or digit, at most 100 characters"


def check_name(place: str, name: str) -> str:
    """Refuse a name that could leave its folder or confuse a shell; return it unchanged otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ConfigError(f"{place}: a name must be {NAME_RULE}, got {name!r}.")
    return name


def check_config(config: RunConfig, place: str) -> None:
    """Refuse values out of range and sections that contradict each other, all at once."""
    faults: list[str] = []

    def need(condition: bool, message: str) -> None:
        if not condition:
            faults.append(message)

    check_name(f"{place}: name", config.name)
    for method in config.methods:
        check_name(f"{place}: methods", method)
    for item in config.evaluation.sets:
        check_name(f"{place}: evaluation.sets.name", item.name)
    for section, sampling in (
        ("rollouts", config.rollouts),
        ("references", config.references),
        ("evaluation.sampling", config.evaluation.sampling),
    ):
        need(sampling.num_samples >= 1, f"{section}.num_samples must be >= 1, got {sampling.num_samples}.")
        need(
            sampling.sampling_temperature >= 0,
            f"{section}.sampling_temperature must be >= 0, got {sampling.sampling_temperature}.",
        )
        need(0 < sampling.top_p <= 1, f"{section}.top_p must be in (0, 1], got {sampling.top_p}.")
        need(sampling.max_new_tokens >= 1, f"{section}.max_new_tokens must be >= 1, got {sampling.max_new_tokens}.")
        need(sampling.max_rows >= 1, f"{section}.max_rows must be >= 1, got {sampling.max_rows}.")
    training = config.training
    need(training.batch_size >= 1, f"training.batch_size must be >= 1, got {training.batch_size}.")
    need(training.learning_rate > 0, f"training.learning_rate must be > 0, got {training.learning_rate}.")
    need(training.loss_temperature > 0, f"training.loss_temperature must be > 0, got {training.loss_temperature}.")
    need(training.clip_norm >= 0, f"training.clip_norm must be >= 0, got {training.clip_norm}.")
    need(training.micro_batch_tokens >= 1, "training.micro_batch_tokens must be >= 1.")
    need(training.keep_checkpoints >= 0, f"training.keep_checkpoints must be >= 0, got {training.keep_checkpoints}.")
    need(training.checkpoint_every >= 0, f"training.checkpoint_every must be >= 0, got {training.checkpoint_every}.")
    need(training.warmup_steps >= 0, f"training.warmup_steps must be >= 0, got {training.warmup_steps}.")
    need(0 < training.zpd_epsilon < 0.5, f"training.zpd_epsilon must be in (0, 0.5), got {training.zpd_epsilon}.")
    need(
        training.interpolation_power >= 0,
        f"training.interpolation_power must be >= 0, got {training.interpolation_power}.",
    )
    mixed = [stage for stage in config.stages if stage.divergence == "mixed_kl"]
    need(
        training.interpolation == "none" or (bool(mixed) and all(stage.recompute_every for stage in mixed)),
        "training.interpolation needs a stage of divergence mixed_kl with recompute_every > 0: the ZPD mass changes "
        "only when pass rates are renewed.",
    )
    need(bool(config.stages), "stages must hold at least one stage.")
    total = sum(stage.share for stage in config.stages)
    need(total <= 1 + 1e-9 or len(config.stages) == 1, f"the stages' shares must add up to at most 1, got {total:g}.")
    for index, stage in enumerate(config.stages, start=1):
        where = f"stages[{index}]"
        need(0 < stage.share <= 1, f"{where}.share must be in (0, 1], got {stage.share}.")
        need(stage.recompute_every >= 0, f"{where}.recompute_every must be >= 0, got {stage.recompute_every}.")
        need(
            training.interpolation == "none" or "forward_share" not in stage.parameters,
            f"{where}.parameters.forward_share is decided by training.interpolation. Leave one of them out.",
        )
        need(stage.num_steps >= 0 and stage.num_epochs > 0, f"{where} must train for a positive number of epochs.")
        need(
            not stage.fresh_rollouts or stage.along == "rollout",
            f"{where}.fresh_rollouts needs along: rollout, since references come from the teacher.",
        )
    need(
        config.lab is not None or bool(config.problems.path),
        "problems.path must name a file of problems (or a lab section must build one).",
    )
    need("{problem}" in config.prompts.student, "prompts.student must contain {problem}.")
    need("{problem}" in config.prompts.teacher, "prompts.teacher must contain {problem}.")
    parallel = config.parallel
    need(parallel.sequence_parallel >= 1, "parallel.sequence_parallel must be >= 1.")
    need(
        parallel.sequence_parallel == 1 or {config.student.attention, config.teacher.attention} == {"sdpa"},
        "parallel.sequence_parallel > 1 computes attention with sdpa. Set student.attention and teacher.attention so.",
    )
    need(
        parallel.sequence_parallel == 1 or not training.track_snr,
        "training.track_snr needs whole sequences on a rank. Use parallel.sequence_parallel=1 with it.",
    )
    need(
        not parallel.cache_teacher or not any(stage.fresh_rollouts for stage in config.stages),
        "parallel.cache_teacher keeps states of completions that are seen again; fresh_rollouts never are.",
    )
    if faults:
        raise ConfigError(f"{place}: " + " ".join(faults))
