"""One step of a run, alone: the run's lock, signals, and several processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from paced.errors import ConfigError

if TYPE_CHECKING:
    from paced.run.folder import RunFolder
    from paced.run.progress import Progress

Result = TypeVar("Result")


def do_step(
    name: str,
    target: Path,
    overrides: tuple[str, ...],
    stage: int,
    method: str,
    root: Path,
    made: Callable[[RunFolder], Path],
    *,
    together: bool = False,
) -> int:
    """Do one step of ``paced.pipeline.steps`` alone and say which file it made."""
    from paced.pipeline import steps
    from paced.pipeline.methods import prepare
    from paced.pipeline.open import open_run

    folder = open_run(target, overrides, root=root, method=method)

    def work(folder: RunFolder, progress: Progress) -> None:
        if together:
            from paced.models.loading import pick_device
            from paced.train.native.parallel import team_for_files

            team_for_files(pick_device()).first_then_others(lambda: prepare(folder, progress))
        else:
            prepare(folder, progress)
        getattr(steps, name)(folder, stage, progress)

    working(folder, work, together=together)
    if _rank() == 0:
        print(f"{name}: {made(folder)}")
    return 0


def working(folder: RunFolder, work: Callable[[RunFolder, Progress], Result], *, together: bool = False) -> Result:
    """Do ``work`` while holding the run's lock, with signals turned into a wish to stop at the next boundary.

    Of several processes that work together the first holds the lock and shows the progress.
    """
    from paced.run.progress import Silent, make_progress
    from paced.run.signals import stop_on_signals

    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not together:
        raise ConfigError("paced: only `paced distill` runs in several processes. Start this command without torchrun.")
    if _rank() > 0:
        with stop_on_signals():
            return work(folder, Silent())
    with stop_on_signals(), folder.locked():
        return work(folder, make_progress())


def _rank() -> int:
    """Which of the processes that torchrun started this is; 0 without it."""
    return int(os.environ.get("RANK", "0"))
