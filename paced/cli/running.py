"""One step of a run, alone: the run's lock, signals, and several processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from paced.cli.arguments import NORMAL, Verbosity
from paced.errors import ConfigError
from paced.run.inert import say

if TYPE_CHECKING:
    from paced.run.folder import RunFolder
    from paced.run.progress import Progress

Result = TypeVar("Result")
Step = Callable[["RunFolder", int, "Progress"], None]
"""A step of the run: its folder, the stage's number, and where progress is shown."""


def do_step(
    step: Step,
    folder: RunFolder,
    stage: int,
    *,
    verbosity: Verbosity,
    together: bool = False,
) -> None:
    """Do one step of ``paced.pipeline.steps`` alone, under the run's lock."""
    from paced.pipeline.methods import prepare

    def work(folder: RunFolder, progress: Progress) -> None:
        if together:
            from paced.models.loading import pick_device
            from paced.train.team import team_for_files

            team_for_files(pick_device()).first_then_others(lambda: prepare(folder, progress))
        else:
            prepare(folder, progress)
        step(folder, stage, progress)

    working(folder, work, verbosity=verbosity, together=together)


def say_result(command: str, file: Path) -> int:
    """Name the file that a command has written, once for all processes; returns exit code 0."""
    if _rank() == 0:
        say(f"{command}: {file}")
    return 0


def working(
    folder: RunFolder,
    work: Callable[[RunFolder, Progress], Result],
    *,
    verbosity: Verbosity = NORMAL,
    together: bool = False,
) -> Result:
    """Do ``work`` under the run's lock; a signal asks it to stop at the next boundary.

    Of several processes that work together the first has the lock and shows the progress.
    """
    from paced.run.progress import Silent
    from paced.run.signals import stop_on_signals

    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not together:
        raise ConfigError("paced: only `paced distill` runs in several processes. Start this command without torchrun.")
    if _rank() > 0:
        with stop_on_signals():
            return work(folder, Silent())
    with stop_on_signals(), folder.locked():
        return work(folder, verbosity.progress())


def write_json_text(target: Path | None, text: str) -> bool:
    """Write a command's JSON to a file, or print it where the file is called ``-``; returns whether it was printed."""
    from paced.run.storage import write_atomic

    if target is None:
        return False
    if str(target) == "-":
        print(text)
        return True
    write_atomic(target, text + "\n")
    return False


def _rank() -> int:
    """Which of the processes that torchrun started this is; 0 without it."""
    return int(os.environ.get("RANK", "0"))
