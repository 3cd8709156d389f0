"""``WeightedTRLTrainer`` as users of TRL call it: TRL's own step without weights, the reference's with them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import ranks
import torch
from backend_setup import CUTS, kept
from datasets import Dataset
from tiny_models import byte_tokenizer, small_model
from tolerances import F32
from trainer_setup import REDUCTIONS, FirstGradient, difference, problems, rows_of
from trainer_setup import gradients as transformers_gradients

from paced.train import WeightedTRLTrainer
from paced.train.loss import token_weights
from paced.train.trl_trainer import DistillationConfig, DistillationTrainer, positions_from_mask
from paced.train.trl_version import PIN, trl_fault

pytestmark = [
    pytest.mark.filterwarnings("ignore:'pin_memory' argument"),
    pytest.mark.filterwarnings("ignore:.*use_reentrant"),
]
FORWARD = {"beta": 0.0, "gradient_checkpointing": False}


def models():
    """A student and another teacher; their heads have a row for each token and no other, because TRL reads all rows."""
    return small_model("qwen2", vocab_size=260), small_model("llama", vocab_size=260, seed=1)


def trainer_of(folder, rows, *, micro_batch=4, accumulation=1, steps=1, cls=WeightedTRLTrainer, **changes):
    """A trainer on the small student and its other teacher, unless ``changes`` say otherwise."""
    settings = {"learning_rate": 1e-3, "beta": 1.0} | changes.pop("settings", {})
    arguments = DistillationConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=accumulation,
        max_completion_length=6,
        max_grad_norm=0.0,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
        **settings,
    )
    given = dict(zip(("model", "teacher_model"), models(), strict=True)) if "model" not in changes else {}
    tokenizer = byte_tokenizer(chat=False, pad="<|system|>")
    named = {"args": arguments, "train_dataset": Dataset.from_list(rows), "processing_class": tokenizer}
    return cls(**given, **named | changes)


def gradients(*given, **named):
    """The first step's gradient by parameter name."""
    first = FirstGradient()
    trainer_of(*given, callbacks=[first], **named).train()
    return first.by_name


def reference_gradients(folder, rows, **named):
    """The same by this package's loss, with all rows in one forward."""
    student, teacher = models()
    return transformers_gradients(folder, rows, micro_batch=len(rows), model=student, teacher=teacher, **named)


def texts(weights):
    """Prompts of different length, for completions that the student samples."""
    return [{"prompt": "1 + " * (index + 1), "weight": weight} for index, weight in enumerate(weights)]


# Without weights the trainer is TRL's ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_equal_weights_in_any_unit_give_trls_own_step_along_the_same_samples(tmp_path, beta):
    named = {"micro_batch": 2, "accumulation": 2, "settings": {"beta": beta}}
    ours = gradients(tmp_path / "ours", texts([3.7] * 4), **named)
    theirs = gradients(tmp_path / "theirs", texts([1.0] * 4), cls=DistillationTrainer, **named)
    assert difference(ours, theirs) < F32


def test_the_logged_numbers_are_trls(tmp_path):
    trainer = trainer_of(tmp_path, texts([0.0, 1.0, 2.0, 1.0]))
    trainer.train()
    log = trainer.state.log_history[0]
    assert {"loss", "grad_norm", "entropy", "num_tokens", "completions/mean_length", "step_time"} <= log.keys()


# With weights it takes the step of the reference ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("reduction", "normaliser"), REDUCTIONS)
@pytest.mark.parametrize("cut", kept(CUTS, "micro-batch 1, accumulation 4"))
def test_the_first_gradient_is_that_of_this_packages_loss_for_every_cut(tmp_path, cut, reduction, normaliser):
    micro_batch, accumulation = CUTS[cut]
    rows = rows_of(problems(micro_batch * accumulation))
    named = {"reduction": reduction, "normaliser": normaliser}
    ours = gradients(
        tmp_path / "ours", rows, micro_batch=micro_batch, accumulation=accumulation, settings=FORWARD, **named
    )
    reference = reference_gradients(tmp_path / "reference", rows, **named)
    assert difference(ours, reference) < F32


class PerMicroBatch(WeightedTRLTrainer):
    """Wrong on purpose: every micro-batch divides by its own weights, and the step takes the mean of them."""

    def _compute_loss(self, student, inputs, num_items):
        counts = inputs["completion_mask"].sum(1)
        own = token_weights(problem_weights=inputs["multipliers"], token_counts=counts, normaliser="self")
        inputs = inputs | {"multipliers": own.float() / self.args.gradient_accumulation_steps}
        return super()._compute_loss(student, inputs, num_items)


@pytest.mark.slow
def test_a_mean_inside_each_micro_batch_would_be_another_gradient(tmp_path):
    rows, named = rows_of(problems(4)), {"reduction": "sequence_mean", "normaliser": "self"}
    reference = reference_gradients(tmp_path / "reference", rows, **named)
    whole, cut = (
        gradients(
            tmp_path / str(size), rows, micro_batch=size, accumulation=4 // size, settings=FORWARD, cls=cls, **named
        )
        for size, cls in ((1, WeightedTRLTrainer), (1, PerMicroBatch))
    )
    assert difference(whole, reference) < F32
    assert difference(cut, reference) > 0.1


@pytest.mark.slow
def test_weights_in_any_unit_give_one_step(tmp_path):
    ours, theirs = (gradients(tmp_path, rows_of(problems(4), unit=unit)) for unit in (1.0, 2.0))
    assert difference(ours, theirs) < F32


@pytest.mark.parametrize("cut", [(1, 4), (4, 1)])
def test_rows_of_weight_zero_change_nothing(tmp_path, cut):
    examples = problems(8)
    assert [one.unit_mean_weight for one in examples].count(0.0) == 2
    other = [
        one if one.unit_mean_weight else dataclasses.replace(one, completion_ids=(77,) * 9, teacher_prompt_ids=(5,))
        for one in examples
    ]
    ends = []
    for rows in (rows_of(examples), rows_of(other)):
        trainer = trainer_of(tmp_path, rows, micro_batch=cut[0], accumulation=cut[1], steps=3)
        trainer.train()
        ends.append(trainer.model.state_dict())
    for name, tensor in ends[0].items():
        torch.testing.assert_close(tensor, ends[1][name], rtol=F32, atol=F32)
    before = models()[0].state_dict()
    assert any(not torch.equal(ends[0][name], before[name]) for name in before)


def test_a_step_whose_weights_are_all_zero_has_no_gradient(tmp_path):
    assert all(not gradient.any() for gradient in gradients(tmp_path, texts([0.0] * 4)).values())


def test_the_teachers_own_prompt_reaches_the_teacher_alone(tmp_path):
    rows = rows_of(problems(4))
    with_it, without = (
        gradients(tmp_path, [{k: v for k, v in row.items() if k not in left_out} for row in rows], settings=FORWARD)
        for left_out in ((), ("teacher_prompt",))
    )
    assert difference(with_it, without) > 0.1


@pytest.mark.slow
def test_positions_are_counted_from_the_first_token_where_trl_counts_the_padding(tmp_path, monkeypatch):
    """GPT-2 has learned positions; the micro-batches of one sequence have no padding."""
    rows = [
        {"prompt": [5] * (index + 1), "completion": [7, 8, 9], "teacher_prompt": [6] * (4 - index), "weight": 1.0}
        for index in range(4)
    ]

    def gradient(size):
        built = {"model": small_model("gpt2"), "teacher_model": small_model("gpt2", seed=1)}
        settings = FORWARD | {"disable_dropout": True}
        return gradients(tmp_path, rows, micro_batch=size, accumulation=4 // size, settings=settings, **built)

    alone = gradient(1)
    assert difference(gradient(4), alone) < F32
    monkeypatch.setattr(
        "paced.train.trl_trainer.positions_from_mask", lambda trunk: positions_from_mask(torch.nn.Identity())
    )
    assert difference(gradient(4), alone) > 0.01


def test_evaluation_is_trls_own_loss_without_weights(tmp_path):
    rows = rows_of(problems(4))
    evaluated = [
        trainer_of(
            tmp_path, rows, eval_dataset=Dataset.from_list([row | {"weight": weight} for row in rows]), settings=FORWARD
        ).evaluate()["eval_loss"]
        for weight in (0.0, 5.0)
    ]
    assert evaluated[0] == pytest.approx(evaluated[1], rel=F32)
    assert evaluated[0] > 0


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_a_weight_that_is_none_is_refused_before_training(tmp_path, weight):
    with pytest.raises(ValueError, match="weight must be finite and >= 0"):
        trainer_of(tmp_path, texts([1.0, weight]))


def test_a_stream_has_no_mean_weight(tmp_path):
    stream = Dataset.from_list(texts([1.0])).to_iterable_dataset()
    with pytest.raises(ValueError, match=r"without a length has no mean weight. Set normaliser='self'"):
        trainer_of(tmp_path, [], train_dataset=stream)


@pytest.mark.parametrize(
    ("completion", "error"), [([], "at least one token"), (None, "must be text or a list of token")]
)
def test_a_row_without_a_completion_among_others_is_refused(tmp_path, completion, error):
    rows = [{"prompt": [5], "completion": [7], "weight": 1.0}, {"prompt": [5], "completion": completion, "weight": 1.0}]
    with pytest.raises((ValueError, TypeError), match=error):
        trainer_of(tmp_path, rows, micro_batch=2).train()


@pytest.mark.parametrize("version", ["1.15.2", "1.17.0", "2.0"])
def test_another_version_of_trl_is_refused_in_one_sentence(monkeypatch, version):
    assert trl_fault("here") is None
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    fault = trl_fault("training.backend: trl")
    assert fault == (
        "training.backend: trl: the version of trl must be >=1.16,<1.17, whose private methods are overridden, got "
        f'{version}. Install it with: pip install "{PIN}"'
    )


# Several processes ----------------------------------------------------------------------------------------------------


def train_on_ranks(folder: str) -> None:
    """One step over eight rows by each reduction; the first rank leaves the gradients in a file."""
    num_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    for reduction, normaliser in REDUCTIONS:
        gradient = gradients(
            Path(folder) / "trainer",
            rows_of(problems(8)),
            micro_batch=2,
            accumulation=4 // num_ranks,
            settings=FORWARD,
            reduction=reduction,
            normaliser=normaliser,
        )
        if int(os.environ.get("RANK", "0")) == 0:
            torch.save(gradient, Path(folder) / f"{reduction}-{normaliser}-{num_ranks}.pt")


@pytest.mark.slow
def test_two_processes_take_the_step_of_one(tmp_path):
    ranks.run(train_on_ranks, str(tmp_path), size=2)
    train_on_ranks(str(tmp_path))
    for reduction, normaliser in REDUCTIONS:
        one, two = (torch.load(tmp_path / f"{reduction}-{normaliser}-{size}.pt", weights_only=True) for size in (1, 2))
        assert difference({name.removeprefix("module."): value for name, value in two.items()}, one) < F32
