"""Who trains a stage, behind one small protocol: what it cannot do before anything runs, then the stage itself.

A backend loads the models itself, in the form that it needs. Every backend of :data:`BACKENDS` passes the same tests
(``tests/train/test_backends.py``). Left out: any knowledge of how weights or completions were made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from paced.errors import ConfigError, did_you_mean
from paced.run.config import RunConfig
from paced.run.progress import Progress
from paced.run.schema import Choice
from paced.train.hf_backend import TransformersBackend
from paced.train.inputs import StageInputs
from paced.train.native.backend import NativeBackend
from paced.train.trl_backend import TrlBackend
from paced.train.verl.backend import VerlBackend


class Backend(Protocol):
    """One way to train."""

    trains_here: bool
    """Whether :meth:`train` trains; otherwise it leaves a bundle for another system, and a sentence."""

    def check(self, config: RunConfig) -> list[str]:
        """A sentence for everything in a recipe that it cannot do; no weights are loaded and nothing is written."""
        ...

    def train(self, stage: StageInputs, progress: Progress) -> None:
        """Train one stage and leave the student in ``stage-<k>/student``, from where an earlier attempt ended.

        Raises:
            StopRequested: a signal came; what is done is kept, and the same call continues from there.
        """
        ...


BACKENDS: dict[str, Callable[..., Backend]] = {
    "native": NativeBackend,
    "transformers": TransformersBackend,
    "trl": TrlBackend,
    "verl": VerlBackend,
}
"""``training.backend`` in a recipe -> a backend from its parameters."""


def make_backend(choice: Choice) -> Backend:
    """The backend that a recipe chose.

    Raises:
        ConfigError: no backend of this name.
        TypeError, ValueError: parameters that it does not have, or out of range.

    Example:
        >>> make_backend(Choice("nativ"))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        paced.errors.ConfigError: training.backend must be one of native, ..., got 'nativ'. Did you mean 'native'?
    """
    if choice.name not in BACKENDS:
        raise ConfigError(
            f"training.backend must be one of {', '.join(BACKENDS)}, got {choice.name!r}."
            f"{did_you_mean(choice.name, BACKENDS)}"
        )
    return BACKENDS[choice.name](**choice.parameters)
