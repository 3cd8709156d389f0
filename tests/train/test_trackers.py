"""Trackers show every step; a package that is absent is named with the command that installs it."""

from __future__ import annotations

import dataclasses
import importlib.util

import pytest
from training_setup import make_config, metrics_of, train

from paced.errors import MissingExtraError
from paced.run.folder import RunFolder
from paced.train.trackers import TRACKERS, open_trackers


@pytest.mark.parametrize("name", TRACKERS)
def test_an_absent_package_is_named_with_its_install_before_the_first_step(tmp_path, name, monkeypatch):
    import importlib

    def absent(package, *arguments):
        raise ImportError(package)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match=f"pip install {name}$"):
        open_trackers(RunFolder(tmp_path), dataclasses.replace(make_config(), trackers=(name,)))


def test_no_tracker_unless_asked(tmp_path):
    train(tmp_path, make_config())
    assert not (tmp_path / "tensorboard").exists()


@pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="the tensorboard extra is not installed")
def test_tensorboard_holds_every_step(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, dataclasses.replace(make_config(), trackers=("tensorboard",)))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    shown = events.Scalars("loss")
    written = metrics_of(tmp_path)
    assert [event.step for event in shown] == [line["step"] for line in written]
    assert [event.value for event in shown] == pytest.approx([line["loss"] for line in written], rel=1e-6)
