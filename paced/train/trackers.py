"""Where metrics go besides ``metrics.jsonl``: TensorBoard, W&B, trackio, each loaded only when a recipe names it.

A tracker shows; it is never read back. On resume it may show the steps after the last checkpoint twice.
Left out: credentials and projects on servers. Each package reads its own environment variables.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from paced.errors import MissingExtraError
from paced.run.config import RunConfig
from paced.run.folder import RunFolder


class Tracker(Protocol):
    """A place that shows numbers by step."""

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Show the numbers of one optimiser step, counted over all stages."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


class TensorBoard:
    """Event files in ``tensorboard/`` of the run folder."""

    def __init__(self, run: RunFolder, config: RunConfig) -> None:
        _load("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(log_dir=str(run.root / "tensorboard"))

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Write one scalar for each number."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, global_step=step)

    def close(self) -> None:
        """Flush the event file."""
        self.writer.close()


class ServerRun:
    """A run of wandb, or of trackio, which speaks the same three words."""

    def __init__(self, package: str, run: RunFolder, config: RunConfig) -> None:
        self.package = _load(package)
        method = "" if run.whole.root == run.root else f"/{run.root.name}"
        settings = {"weights": config.weights.name, "seed": config.seed, "batching": config.training.batching}
        self.package.init(project="paced", name=f"{config.name}{method}", config=settings)

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Send the numbers of one step."""
        self.package.log(dict(values), step=step)

    def close(self) -> None:
        """Send what is left."""
        self.package.finish()


TRACKERS: dict[str, Callable[[RunFolder, RunConfig], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": lambda run, config: ServerRun("wandb", run, config),
    "trackio": lambda run, config: ServerRun("trackio", run, config),
}
"""``trackers`` in a recipe -> how to open one."""


def open_trackers(run: RunFolder, config: RunConfig) -> list[Tracker]:
    """The trackers that the recipe names.

    Raises:
        MissingExtraError: a package is absent; the message names the command that installs it.
    """
    return [TRACKERS[name](run, config) for name in config.trackers]


def check_trackers(config: RunConfig) -> None:
    """Refuse a recipe whose trackers are not installed; asked before the first rollout.

    Raises:
        MissingExtraError: a package is absent; the message names the command that installs it.
    """
    for name in config.trackers:
        _load(name)


def _load(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(f"trackers: {package}", package) from error
