"""The options of a stage under the backend ``transformers``: recomputed layers, bfloat16, adapters, trackers, calls."""

from __future__ import annotations

import dataclasses

import pytest
import ranks
import torch
from backend_setup import (
    OPTIONS,
    backend_config,
    cut_config,
    even_examples,
    first_gradients,
    gradient_difference,
    options_on_ranks,
    run_stage,
)
from tiny_models import write_model
from training_setup import metrics_of, weights_of
from transformers import TrainerCallback

from paced.run.schema import Choice
from paced.train.backends import make_backend

TRACK, CUT = "forward KL along references", "micro-batch 1, accumulation 4"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A student, and a teacher of another architecture with the same tokenizer."""
    root = tmp_path_factory.mktemp("models")
    for who, family in (("student", "qwen2"), ("teacher", "llama")):
        write_model(root / who, family, chat=False)
    return root


class Steps(TrainerCallback):
    """Counts the steps that Trainer tells it of."""

    count = 0

    def on_step_end(self, args, state, control, **_):
        self.count += 1


@pytest.mark.slow
def test_recomputed_layers_give_the_same_student_and_callbacks_see_every_step(tmp_path, models):
    ends = []
    for name in ("kept", "recomputed"):
        config = backend_config(models, **{"parallel.gradient_checkpointing": name == "recomputed"})
        steps = Steps()
        run_stage(
            make_backend(Choice("transformers", {"callbacks": [steps]})), tmp_path / name, config, even_examples()
        )
        assert steps.count == len(metrics_of(tmp_path / name)) == 4
        ends.append(weights_of(tmp_path / name))
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_tracker_shows_every_step_of_the_metrics(tmp_path, models):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = dataclasses.replace(backend_config(models), trackers=("tensorboard",))
    run_stage(make_backend(Choice("transformers")), tmp_path, config, even_examples())
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    shown = {event.step: event.value for event in events.Scalars("loss")}
    assert shown == pytest.approx({line["step"]: line["loss"] for line in metrics_of(tmp_path)}, rel=1e-6)


def test_a_bfloat16_step_is_the_native_bfloat16_one_to_its_rounding(tmp_path, models):
    """The same float32 master weights; casts are at other places, so the two agree as far as 8 bits go."""
    exact, native, ours = (
        first_gradients(
            make_backend(Choice(name)),
            tmp_path / f"{name} {dtype}",
            cut_config(models, TRACK, CUT, **{"student.dtype": dtype}),
            even_examples(),
        )
        for name, dtype in (("native", "float32"), ("native", "bfloat16"), ("transformers", "bfloat16"))
    )
    assert all(gradient.dtype == torch.float32 for gradient in ours)
    assert 1e-4 < gradient_difference(ours, exact) < 0.1
    assert gradient_difference(ours, native) < 0.1


@pytest.mark.slow
def test_every_option_takes_the_step_of_one_process_on_two(tmp_path, models):
    ranks.run(options_on_ranks, str(tmp_path / "two"), str(models), size=2)
    options_on_ranks(str(tmp_path / "one"), str(models))
    for name, (*_, limit) in OPTIONS.items():
        one, two = (torch.load(tmp_path / size / f"{name}.pt", weights_only=True) for size in ("one", "two"))
        assert gradient_difference(two["gradients"], one["gradients"]) < limit, name
        assert not any("parallel.shard" in note for note in one["notes"])
        assert [note for note in two["notes"] if "each of the 2 processes holds both models" in note]
