"""Checkpoints: whole or absent, verified before use, and refused in words."""

from __future__ import annotations

import errno
import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from training_setup import build_student, make_config, make_examples, metrics_of, train, weights_of

from paced.errors import RunFolderError
from paced.run import folder as runfolder
from paced.run.progress import Silent
from paced.run.storage import file_hash
from paced.train import checkpoints
from paced.train.checkpoints import room_for
from paced.train.examples import FixedExamples
from paced.train.native import checkpoint
from paced.train.native.checkpoint import Checkpoints
from paced.train.native.learner import Learner
from paced.train.team import Team


class Notes(Silent):
    """Keeps what it was told."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


CONFIG = make_config(**{"training.checkpoint_every": 1, "training.keep_checkpoints": 2})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of four steps with the checkpoints after the second and third."""
    root = tmp_path_factory.mktemp("finished")
    train(root, CONFIG)
    return root


@pytest.fixture
def interrupted(finished, tmp_path):
    """The same as it was before its student was written."""
    root = tmp_path / "run"
    shutil.copytree(finished, root)
    shutil.rmtree(root / "stage-1" / "student")
    return root


def checkpoints_of(root):
    return sorted((root / "stage-1" / "checkpoints").iterdir())


def run_again(root):
    """Run the same training again; returns what it says about checkpoints."""
    notes = Notes()
    train(root, CONFIG, progress=notes)
    return [note for note in notes.notes if "checkpoints" in note]


def same_end(root, finished):
    ours, theirs = weights_of(root), weights_of(finished)
    return all(torch.equal(ours[name], theirs[name]) for name in theirs) and (
        (root / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()
    )


def test_the_newest_are_kept_with_the_hash_of_every_file(finished):
    assert [folder.name for folder in checkpoints_of(finished)] == ["step-000002", "step-000003"]
    for folder in checkpoints_of(finished):
        files = {file.name for file in folder.iterdir()} - {"manifest.json"}
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest == {name: file_hash(folder / name) for name in files}
        assert files == {"state.json", "tensors.safetensors"}


def test_a_checkpoint_holds_float32_weights_and_both_moments_of_every_parameter(finished):
    tensors = load_file(checkpoints_of(finished)[-1] / "tensors.safetensors")
    names = [name for name, _ in build_student().named_parameters()]
    wanted = {f"model.{name}" for name in names}
    wanted |= {f"optimizer.{name}.{key}" for name in names for key in ("step", "exp_avg", "exp_avg_sq")}
    assert set(tensors) == wanted
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert {float(tensors[f"optimizer.{name}.step"]) for name in names} == {3.0}


def test_a_whole_checkpoint_is_continued_to_the_same_bytes(interrupted, finished):
    assert run_again(interrupted) == []
    assert same_end(interrupted, finished)


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_one_flipped_bit_is_refused_with_its_reason_and_the_one_before_is_used(interrupted, finished, name, place):
    _, newest = checkpoints_of(interrupted)
    content = bytearray((newest / name).read_bytes())
    content[round(place * (len(content) - 1))] ^= 1
    (newest / name).write_bytes(content)
    notes = run_again(interrupted)
    assert len(notes) == 1
    assert notes[0].startswith(f"{newest} is not used: ")
    assert any(reason in notes[0] for reason in ("does not have the hash", "cannot be read", "is absent"))
    assert same_end(interrupted, finished)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "it has no manifest.json"),
        (lambda folder: (folder / "state.json").unlink(), "state.json is absent"),
        (lambda folder: (folder / "more").write_bytes(b""), "more is not in the manifest"),
        (lambda folder: (folder / "manifest.json").write_text("[1]"), "manifest.json cannot be read"),
    ],
)
def test_what_is_missing_or_too_much_is_named(interrupted, finished, damage, reason):
    damage(checkpoints_of(interrupted)[-1])
    assert reason in run_again(interrupted)[0]
    assert same_end(interrupted, finished)


def test_without_any_whole_checkpoint_the_stage_begins_anew(interrupted, finished):
    for folder in checkpoints_of(interrupted):
        (folder / "manifest.json").unlink()
    assert len(run_again(interrupted)) == 2
    assert same_end(interrupted, finished)


def test_leftovers_of_a_write_that_was_cut_short_are_cleared(interrupted, finished):
    half = interrupted / "stage-1" / "checkpoints" / ".step-000004"
    shutil.copytree(checkpoints_of(interrupted)[-1], half)
    run_again(interrupted)
    assert not half.exists()
    assert same_end(interrupted, finished)


@pytest.mark.parametrize("fails", ["save_file", "write_json", "sync_folder"])
def test_a_disk_that_fills_up_in_a_write_leaves_the_older_checkpoint_whole(tmp_path, finished, monkeypatch, fails):
    """The second write meets a full disk; after the disk was cleared the run ends as if nothing had been."""
    module = checkpoint if fails == "save_file" else checkpoints
    original, count = getattr(module, fails), 0
    first_failure = {"save_file": 2, "write_json": 3, "sync_folder": 3}[fails]  # calls of one write: 1, 2, 2

    def full(*arguments, **named):
        nonlocal count
        count += 1
        if count == first_failure:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*arguments, **named)

    monkeypatch.setattr(module, fails, full)
    with pytest.raises(OSError, match="No space left"):
        train(tmp_path, CONFIG)
    assert [folder.name for folder in checkpoints_of(tmp_path) if not folder.name.startswith(".")] == ["step-000001"]
    assert run_again(tmp_path) == []
    assert same_end(tmp_path, finished)


def test_too_small_a_disk_is_refused_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(runfolder.shutil, "disk_usage", lambda _: SimpleNamespace(total=10**6, used=0, free=10**5))
    with pytest.raises(RunFolderError, match="free"):
        train(tmp_path, CONFIG)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_room_is_that_of_what_is_written(finished):
    """12 bytes a parameter and checkpoint, 4 for the student: the files are no larger than what was asked for."""
    student = build_student()
    count = sum(parameter.numel() for parameter in student.parameters())
    sizes = [(folder / "tensors.safetensors").stat().st_size for folder in checkpoints_of(finished)]
    headers = 20_000  # names, shapes and offsets of some hundred tensors
    assert all(12 * count <= size <= 12 * count + headers for size in sizes)
    assert room_for(count, keep=2) >= 3 * 12 * count + 4 * count


@pytest.mark.parametrize("kind", ["file in the way", "read-only"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(tmp_path, monkeypatch, kind):
    """A file where the folder should be; and a read-only one, simulated because root may write anywhere."""
    if kind == "file in the way":
        (tmp_path / "stage-1").mkdir()
        (tmp_path / "stage-1" / "checkpoints").write_text("")
    else:

        def refuse(self, data):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(checkpoint.Path, "write_bytes", refuse)
    with pytest.raises(RunFolderError, match="Checkpoints go there"):
        train(tmp_path, CONFIG)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_checkpoints_of_other_weights_are_refused(interrupted):
    with pytest.raises(RunFolderError, match="other problem weights"):
        train(interrupted, CONFIG, source=FixedExamples(make_examples(weights=[1.0] * 12)))


@pytest.mark.parametrize("change", [{"format": 99}, {"stage": 2}])
def test_checkpoints_of_another_format_or_stage_are_refused(interrupted, change):
    """Whole by their hashes, and still not this stage's."""
    folder = checkpoints_of(interrupted)[-1]
    state = json.loads((folder / "state.json").read_text()) | change
    (folder / "state.json").write_text(json.dumps(state))
    manifest = json.loads((folder / "manifest.json").read_text()) | {"state.json": file_hash(folder / "state.json")}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunFolderError, match="Delete it"):
        train(interrupted, CONFIG)


def test_saving_the_same_step_again_replaces_it(tmp_path):
    team = Team()
    learner = Learner(build_student(), CONFIG, team)
    saved = Checkpoints(tmp_path, stage_number=1, keep=0, team=team, progress=Silent())
    saved.save(5, learner, weights_hash="w")
    with torch.no_grad():
        next(learner.model.parameters()).add_(1)
    saved.save(5, learner, weights_hash="w")
    assert [folder.name for folder in tmp_path.iterdir()] == ["step-000005"]
    again = Learner(build_student(), CONFIG, team)
    assert saved.restore(again, weights_hash="w") == 5
    pairs = zip(again.model.parameters(), learner.model.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_all_checkpoints_are_kept_when_asked(tmp_path):
    train(tmp_path, make_config(**{"training.checkpoint_every": 1, "training.keep_checkpoints": 0}))
    assert [folder.name for folder in checkpoints_of(tmp_path)] == ["step-000001", "step-000002", "step-000003"]
    assert len(metrics_of(tmp_path)) == 4
