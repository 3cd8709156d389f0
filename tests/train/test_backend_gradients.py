"""Whoever trains, the first step has the native loop's gradient: for any cut, on one process and two."""

from __future__ import annotations

import contextlib
import dataclasses

import killing
import pytest
import ranks
import torch
from backend_setup import (
    CUTS,
    TRACKS,
    backend_config,
    cut_config,
    even_examples,
    first_gradients,
    gradient_difference,
    gradients_on_ranks,
    kept,
    run_stage,
    train_long,
)
from tiny_models import write_model
from tolerances import F32
from training_setup import metrics_of, weights_of

from paced.run.progress import Silent
from paced.run.schema import Choice
from paced.train.backends import BACKENDS, make_backend

HERE = sorted(name for name, backend in BACKENDS.items() if backend.trains_here)
OTHERS = [name for name in HERE if name != "native"]
WHOLE = {"training.micro_batch_tokens": 10_000}
"""The whole batch in one forward."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A student, and a teacher of another architecture with the same tokenizer."""
    root = tmp_path_factory.mktemp("models")
    for who, family in (("student", "qwen2"), ("teacher", "llama")):
        write_model(root / who, family, chat=False)
    return root


@pytest.fixture(scope="module")
def reference(tmp_path_factory, models):
    """The native loop's gradients, each from one forward over the whole batch."""
    root = tmp_path_factory.mktemp("reference")
    native = make_backend(Choice("native"))
    return {
        (track, cut): first_gradients(
            native, root / f"{track} {cut}", cut_config(models, track, cut, **WHOLE), even_examples()
        )
        for track in TRACKS
        for cut in CUTS
    }


@pytest.mark.parametrize("cut", kept(CUTS, "micro-batch 1, accumulation 4"))
@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("name", HERE)
def test_the_first_gradient_is_the_native_one_for_every_cut(tmp_path, models, reference, name, track, cut):
    ours = first_gradients(make_backend(Choice(name)), tmp_path, cut_config(models, track, cut), even_examples())
    assert gradient_difference(ours, reference[track, cut]) < F32


@pytest.mark.slow
def test_the_first_gradient_is_the_native_one_on_two_processes(tmp_path, models, reference):
    ranks.run(gradients_on_ranks, str(tmp_path), str(models), HERE, size=2)
    for name in HERE:
        for number, key in enumerate(reference):
            ours = torch.load(tmp_path / f"{name}-{number}.pt", weights_only=True)
            assert gradient_difference(ours, reference[key]) < F32, (name, key)


@pytest.mark.parametrize("name", HERE)
def test_weights_and_twice_the_weights_give_one_step(tmp_path, models, name):
    config = backend_config(models, **{"training.normaliser": "self", "stages": [{"num_steps": 1}]})
    twice = [dataclasses.replace(one, unit_mean_weight=2 * one.unit_mean_weight) for one in even_examples()]
    backend = make_backend(Choice(name))
    ours = first_gradients(backend, tmp_path / "one", config, even_examples())
    theirs = first_gradients(backend, tmp_path / "two", config, twice)
    assert gradient_difference(ours, theirs) < F32


@pytest.mark.parametrize("name", kept(OTHERS, "transformers"))
def test_three_steps_end_where_the_native_ones_end_with_its_metrics(tmp_path, models, name):
    changes = {
        "training.adam_epsilon": 1e-3,  # AdamW divides by the gradient's size; with this floor roundings stay small
        "training.clip_norm": 0.05,
        "training.warmup_steps": 2,
        "training.schedule": "cosine",
        "training.track_snr": name != "trl",  # whose loss has no norms of single problems
        "stages": [{"divergence": "forward_kl", "num_steps": 3}],
    }
    config = backend_config(models, **changes)
    for one in ("native", name):
        run_stage(make_backend(Choice(one)), tmp_path / one, config, even_examples())
    ours, theirs = weights_of(tmp_path / name), weights_of(tmp_path / "native")
    assert ours.keys() == theirs.keys()
    for key in theirs:
        torch.testing.assert_close(ours[key], theirs[key], rtol=F32, atol=F32)
    for mine, native in zip(metrics_of(tmp_path / name), metrics_of(tmp_path / "native"), strict=True):
        assert list(mine) == list(native)
        assert mine == pytest.approx(native, rel=1e-4)


class Crash(Silent):
    """Fails after a number of steps, as a machine does."""

    def __init__(self, steps):
        self.left = steps

    def track(self, label, total):
        return contextlib.nullcontext(self.advance)

    def advance(self, count):
        self.left -= count
        if self.left < 0:
            raise RuntimeError("the machine is gone")


@pytest.mark.parametrize("name", kept(HERE, "native"))
def test_a_stage_that_crashed_continues_from_its_checkpoint_with_the_same_bytes(tmp_path, models, name):
    changes = {"training.checkpoint_every": 2, "training.batch_size": 3, "stages": [{"num_steps": 7}]}
    config = backend_config(models, **changes)
    backend = make_backend(Choice(name))
    run_stage(backend, tmp_path / "calm", config, even_examples())
    with pytest.raises(RuntimeError, match="the machine is gone"):
        run_stage(backend, tmp_path / "crashed", config, even_examples(), progress=Crash(4))
    run_stage(backend, tmp_path / "crashed", config, even_examples())
    calm, crashed = (
        killing.contents(tmp_path / which, {"timings.jsonl", "checkpoints"}) for which in ("calm", "crashed")
    )
    assert calm == crashed
    names = [
        sorted(path.name for path in (tmp_path / which / "stage-1" / "checkpoints").iterdir())
        for which in ("calm", "crashed")
    ]
    assert names == [["step-000004", "step-000006"]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_a_killed_process_continues_with_the_same_bytes(tmp_path, models, name):
    """SIGKILL at chosen file operations of the run folder, writes of checkpoints included."""
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    operations, _ = killing.measure(train_long, str(calm), str(models), name, root=calm)
    kills = [{"at_operation": int(share * operations)} for share in (0.3, 0.4, 0.5)]
    assert killing.run_until_done(train_long, str(killed), str(models), name, root=killed, kills=kills)
    assert killing.contents(killed, {"timings.jsonl", "checkpoints"}) == killing.contents(
        calm, {"timings.jsonl", "checkpoints"}
    )
