"""What makes completions, behind one small protocol: prompts and keys in, completions out as they finish.

An engine is built from a model's configuration and its own parameters, never from a loaded module, so that it may run
in another process or on another machine. Building it is cheap and refuses what it cannot do; weights are loaded when
the first completion is asked for. Every engine of :data:`ENGINES` passes the same tests (``tests/rollouts``).
Left out: files, prompts and texts, which are the same for all engines (``collect.py``, ``sampler.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from paced.errors import ConfigError, did_you_mean
from paced.records import SampledCompletion
from paced.rollouts.hf import HfEngine
from paced.rollouts.ray_data import RayEngine
from paced.rollouts.server import ServerEngine
from paced.rollouts.vllm import VllmEngine, is_there
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.schema import Choice


class Engine(Protocol):
    """One way to sample completions of one model."""

    @property
    def batch_rows(self) -> int:
        """Completions that are decoded together and may move each other's last bits.

        Batches follow from the prompts, sorted by length: who repeats one as a whole gets the same completions.
        1 where they do not.
        """
        ...

    @property
    def context_tokens(self) -> int | None:
        """Tokens of a prompt and its completion that the model takes together; None when nobody says."""
        ...

    @property
    def reproducibility(self) -> str:
        """One sentence on what is the same when a completion is sampled again; kept in a run's environment.json."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What an engine elsewhere said of itself so far, e.g. versions; kept beside :attr:`reproducibility`."""
        ...

    @property
    def gives_token_ids(self) -> bool:
        """Whether completions hold the tokens that were sampled; else their text was encoded again, which serves pass
        rates but not training along rollouts."""
        ...

    @property
    def takes_new_weights(self) -> bool:
        """Whether :meth:`update` can be asked, and an engine for a folder samples from that folder's weights."""
        ...

    def sample(
        self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], sampling: SamplingConfig
    ) -> Iterator[tuple[int, list[SampledCompletion]]]:
        """(row of a prompt, one completion for each of its keys [num_prompts, K]) as prompts finish, each row once.

        A completion depends on its prompt, its key and ``sampling`` alone, as far as floating point allows; nothing is
        inherited from the model's generation config but the tokens that end a completion.

        Raises:
            ValueError: prompts that do not fit into the context (``context.py``), before any is sampled.
        """
        ...

    def update(self, student: Any) -> None:
        """Sample from other weights of the same model from now on: a folder, or a module loaded in this process."""
        ...

    def close(self) -> None:
        """Give back memory and processes; an engine that was closed is not asked again."""
        ...


AUTO = "auto"
"""Name of no engine in particular: :func:`choose_engine` decides."""
MANY_TOKENS = 64
"""Length limit of completions from which vLLM pays on CPUs."""

ENGINES: dict[str, Callable[..., Engine]] = {"hf": HfEngine, "vllm": VllmEngine, "server": ServerEngine}
"""``engine.name`` in a recipe -> an engine from (model, end_of_answer=…, parameters)."""


def make_engine(engine: Choice, model: ModelConfig, *, end_of_answer: str = "") -> Engine:
    """The engine that a recipe chose, for one model.

    Args:
        engine: a name in :data:`ENGINES` and its parameters.
        model: folder or hub name, type of the weights and attention kernel.
        end_of_answer: text of one token that ends a completion besides the model's own; empty for none.

    Raises:
        ConfigError: no engine of this name.
        TypeError, ValueError: parameters that it does not have, or out of range.
    """
    if engine.name not in ENGINES:
        raise ConfigError(
            f"engine must be one of {', '.join([*ENGINES, AUTO])}, got {engine.name!r}."
            f"{did_you_mean(engine.name, [*ENGINES, AUTO])}"
        )
    return ENGINES[engine.name](model, end_of_answer=end_of_answer, **engine.parameters)


ENGINES["ray"] = partial(RayEngine, make=make_engine)


def choose_engine(sampling: SamplingConfig) -> Choice:
    """The engine of a recipe's section, with ``auto`` decided.

    ``auto`` is vllm where an interpreter has it and it pays: on a GPU, or for completions of at least
    :data:`MANY_TOKENS` tokens; else hf. What a request costs vLLM besides its tokens makes it the slower one on the
    lab's answers of 8 tokens; on completions of up to 192 it was twice as fast (docs/log.md).

    Args:
        sampling: the section, with its engine and its limit.

    Raises:
        TypeError: ``auto`` with parameters, which differ from engine to engine.
    """
    engine = sampling.engine
    if engine.name != AUTO:
        return engine
    if engine.parameters:
        raise TypeError(f"auto takes no parameters, got {', '.join(engine.parameters)}. Name the engine that has them")
    pays = torch.cuda.is_available() or sampling.max_new_tokens >= MANY_TOKENS
    return Choice("vllm" if pays and is_there() else "hf")


def describe_engine(choice: Choice, engine: Engine) -> dict[str, Any]:
    """What sampled completions, for a run's record: the engine, what it can repeat, and what it knows of itself."""
    return {"name": choice.name, "reproducibility": engine.reproducibility, **engine.facts}
