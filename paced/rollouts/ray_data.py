"""Sampling on a Ray cluster: one engine in each worker of a Ray Data pool, and blocks of prompts dealt to them.

Ray starts the workers, feeds them, and gives the blocks of one that died to the others or to a new one. Noise belongs
to a completion's key, so who sampled a block, and how often it was begun, changes nothing (``seeds.py``).
Left out: ``ray.data.llm``, which takes texts and makes its own noise; sending weights to workers (they read a folder).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from paced.errors import MissingExtraError, check_number
from paced.records import SampledCompletion
from paced.rollouts.context import refuse_too_long
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.schema import Choice

MakeEngine = Callable[..., Any]
"""(choice of an engine, model, end_of_answer=…) -> the engine that a worker samples with."""


class RayEngine:
    """The engine ``ray``: another engine in every worker of a Ray cluster, or of this machine without one.

    Workers begin, and load the model, at each call of :meth:`sample`: meant for whole problem files, not for fresh
    rollouts at every step of a training.
    """

    takes_new_weights = True

    def __init__(
        self,
        model: ModelConfig,
        *,
        end_of_answer: str = "",
        make: MakeEngine,
        engine: str = "hf",
        num_engines: int = 2,
        num_cpus: float = 1,
        num_gpus: float = 0,
        prompts_at_once: int = 64,
        address: str = "",
        **parameters: Any,
    ) -> None:
        """Name what each worker runs; no cluster is asked for before the first prompt.

        Args:
            model: folder or hub name, which every worker must be able to read.
            end_of_answer: as for every engine.
            make: builds the engine of a worker.
            engine: its name; not ``ray``.
            num_engines: workers, >= 1, each with an engine and a copy of the model of its own.
            num_cpus: CPU cores of a worker, >= 0, as Ray counts them.
            num_gpus: GPUs of a worker, >= 0.
            prompts_at_once: prompts that a worker is given at once, >= 1, where batches do not matter to its engine.
            address: of a cluster, as ``auto`` or ``ray://head:10001``; empty starts one on this machine.
            **parameters: of the workers' engine.

        Raises:
            ValueError, TypeError: a parameter out of range, or one that the workers' engine does not have.
        """
        check_number("ray", "num_engines", num_engines, low=1)
        check_number("ray", "num_cpus", num_cpus, low=0)
        check_number("ray", "num_gpus", num_gpus, low=0)
        check_number("ray", "prompts_at_once", prompts_at_once, low=1)
        if engine == "ray":
            raise ValueError("ray: engine must be what each worker runs, got 'ray' itself.")
        self.model, self.end_of_answer, self.address = model, end_of_answer, address
        self.make, self.choice = make, Choice(engine, dict(parameters))
        self.num_engines, self.prompts_at_once = int(num_engines), int(prompts_at_once)
        self.resources = {"num_cpus": num_cpus, "num_gpus": num_gpus}
        self._one = self._build()
        self._started = False

    @property
    def batch_rows(self) -> int:
        """That of the workers' engine: blocks are its batches, so that who repeats one gets the same."""
        return int(self._one.batch_rows)

    @property
    def context_tokens(self) -> int | None:
        """That of the workers' engine."""
        limit: int | None = self._one.context_tokens
        return limit

    @property
    def reproducibility(self) -> str:
        """That of the workers' engine."""
        return f"As each worker's engine, whichever worker samples a prompt. {self._one.reproducibility}"

    @property
    def facts(self) -> dict[str, Any]:
        """How many workers run which engine."""
        return {"engine": str(self.choice), "num_engines": self.num_engines, **self._one.facts}

    @property
    def gives_token_ids(self) -> bool:
        """Whether the workers' engine does."""
        return bool(self._one.gives_token_ids)

    def sample(
        self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], sampling: SamplingConfig
    ) -> Iterator[tuple[int, list[SampledCompletion]]]:
        """(row, its K completions), a block of prompts as soon as its worker is done with it."""
        refuse_too_long("ray", prompts, max_new_tokens=sampling.max_new_tokens, context_tokens=self.context_tokens)
        blocks = list(self._blocks(prompts, keys))
        if not blocks:
            return
        ray_data = self._connect()
        pool = ray_data.from_arrow(blocks).map_batches(
            _Worker,
            fn_constructor_kwargs={
                "make": self.make,
                "choice": self.choice,
                "model": self.model,
                "end_of_answer": self.end_of_answer,
                "sampling": sampling,
            },
            batch_size=None,  # a block is a batch
            batch_format="pyarrow",
            compute=ray_data.ActorPoolStrategy(
                size=min(self.num_engines, len(blocks)), max_tasks_in_flight_per_actor=1
            ),
            **self.resources,
        )
        for block in pool.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for line in block.to_pylist():
                yield (
                    line["row"],
                    [
                        SampledCompletion(tuple(ids), reason)
                        for ids, reason in zip(line["token_ids"], line["finish_reasons"], strict=True)
                    ],
                )

    def update(self, student: Any) -> None:
        """Sample from another folder from now on.

        Raises:
            ValueError: a module in this process, which workers elsewhere cannot read.
        """
        if not isinstance(student, (str, Path)):
            raise ValueError(
                "ray: new weights must be a folder that every worker can read, got a module of this process. Choose "
                "another engine for rollouts that are sampled while the student is trained."
            )
        self.model = dataclasses.replace(self.model, path=str(Path(student).resolve()), revision="")
        self._one = self._build()

    def close(self) -> None:
        """End the cluster when this object began it."""
        if self._started:
            import ray

            ray.shutdown()
            self._started = False

    def _build(self) -> Any:
        """The engine of a worker, here: it says what it takes, and loads nothing before it is asked."""
        return self.make(self.choice, self.model, end_of_answer=self.end_of_answer)

    def _blocks(self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64]) -> Iterator[pa.Table]:
        """Prompts in order of length, as many in a block as the workers' engine decodes together."""
        at_once = max(1, self.batch_rows // keys.shape[1]) if self.batch_rows > 1 else self.prompts_at_once
        by_length = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
        for start in range(0, len(by_length), at_once):
            rows = by_length[start : start + at_once]
            yield pa.table(
                {
                    "row": pa.array(rows, pa.int64()),
                    "token_ids": pa.array([list(prompts[row]) for row in rows], pa.list_(pa.int64())),
                    "keys": pa.array([keys[row].tolist() for row in rows], pa.list_(pa.uint64())),
                }
            )

    def _connect(self) -> Any:
        """Ray Data, on the cluster of ``address`` or one of this machine."""
        try:
            import ray
            import ray.data as ray_data
        except ImportError as error:
            raise MissingExtraError("engine: ray", "ray", "ray") from error
        if not ray.is_initialized():
            cluster = {"address": self.address} if self.address else {"include_dashboard": False}
            ray.init(log_to_driver=False, logging_level="error", **cluster)
            self._started = True
        ray_data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        return ray_data


class _Worker:
    """One engine, in a process that Ray started."""

    def __init__(
        self, *, make: MakeEngine, choice: Choice, model: ModelConfig, end_of_answer: str, sampling: SamplingConfig
    ) -> None:
        self.engine, self.sampling = make(choice, model, end_of_answer=end_of_answer), sampling

    def __call__(self, block: pa.Table) -> pa.Table:
        """[rows of prompts] -> [rows with their completions]."""
        lines = block.to_pylist()
        keys = np.array([line["keys"] for line in lines], dtype=np.uint64)  # [num_prompts, K]
        completions = dict(self.engine.sample([line["token_ids"] for line in lines], keys, self.sampling))
        of_rows = [completions[place] for place in range(len(lines))]
        return pa.table(
            {
                "row": block["row"],
                "token_ids": pa.array(
                    [[list(one.token_ids) for one in of_row] for of_row in of_rows], pa.list_(pa.list_(pa.int64()))
                ),
                "finish_reasons": pa.array(
                    [[one.finish_reason for one in of_row] for of_row in of_rows], pa.list_(pa.string())
                ),
            }
        )
