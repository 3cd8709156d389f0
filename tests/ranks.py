"""Several processes that train together as ``torchrun`` starts them, forked from a server that has done the imports.

``SCENARIOS`` are small stages that every number of ranks must train alike; one group of processes runs them all.
"""

from __future__ import annotations

import multiprocessing.process
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killing
from training_setup import build_student, make_config, step_gradients, train

SMOOTH = {"training.adam_epsilon": 1e-3, "stages": [{"num_steps": 3}]}
"""AdamW divides by the gradient's size; with this floor an update is no larger than its gradient's rounding allows."""

SCENARIOS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sharded": ({}, {}),
    "replicated": ({"parallel.shard": False}, {}),
    "recomputed": ({"parallel.gradient_checkpointing": True}, {}),
    "one sequence at a time": ({"training.micro_batch_tokens": 1, "training.batch_size": 5}, {}),
    "whole batch at once": ({"training.micro_batch_tokens": 10_000, "training.reduction": "token_mean"}, {}),
    "fewer problems than ranks": (
        {"training.batch_size": 1, "training.batching": "refill", "training.normaliser": "self"},
        {},
    ),
    "cached teacher": ({"parallel.cache_teacher": True}, {}),
    "bfloat16": ({"student.dtype": "bfloat16", "training.micro_batch_tokens": 1}, {}),
    "untied": (
        {"stages": [{"divergence": {"name": "jsd", "parameters": {"beta": 0.3}}, "num_steps": 3}]},
        {"tied": False},
    ),
    "ulysses": ({}, {}),
    "ulysses, one key-value head": ({}, {"kv_heads": 1}),
    "ulysses, as many key-value heads": ({"parallel.gradient_checkpointing": True}, {"kv_heads": 4}),
    "ulysses, eight heads over two": ({"parallel.cache_teacher": True}, {"heads": 8, "kv_heads": 2}),
    "ulysses, replicated": ({"parallel.shard": False, "training.micro_batch_tokens": 1}, {}),
}
"""Name -> (changes of the configuration, arguments of the student)."""


def train_scenario(folder: Path, name: str, *, sequence_parallel: int = 1) -> None:
    """Three steps, and the first one's gradient beside them; only the first rank writes."""
    from safetensors.torch import save_file

    changes, shape = SCENARIOS[name]
    config = make_config(**SMOOTH | changes | {"parallel.sequence_parallel": sequence_parallel})
    train(folder / name / "whole", config, student=build_student(**shape))
    gradients = step_gradients(folder / name / "first", config, student=build_student(**shape))
    if int(os.environ.get("RANK", "0")) == 0:
        save_file({key: value.contiguous() for key, value in gradients.items()}, folder / name / "gradients")


def train_scenarios(folder: str, sequence_parallel: int, old: str) -> None:
    """Every scenario, then a stage with checkpoints, and one that continues from the checkpoints in ``old``."""
    for name in SCENARIOS:
        degree = sequence_parallel if name.startswith("ulysses") else 1
        train_scenario(Path(folder), name, sequence_parallel=degree)
    train_with_checkpoints(Path(folder) / "checkpoints")
    if old:
        train_with_checkpoints(Path(old))


def train_with_checkpoints(root: Path, progress: Any = None) -> None:
    """Four steps with a checkpoint after the second and third."""
    changes = SMOOTH | {"training.checkpoint_every": 1, "training.keep_checkpoints": 2, "stages": [{"num_steps": 4}]}
    train(root, make_config(**changes), progress=progress)


def train_offloaded(folder: str) -> None:
    """Shards in host memory: on a CPU this exercises the path and moves nothing."""
    changes = {"parallel.offload": True, "parallel.gradient_checkpointing": True}
    train(Path(folder), make_config(**SMOOTH | changes))


def train_for_long(root: str) -> None:
    """More steps than anyone waits for; stops politely."""
    from paced.run.signals import stop_on_signals

    with stop_on_signals():
        train(Path(root), make_config(**{"stages": [{"num_steps": 5000}]}))


def refuse_half_a_group(folder: str) -> None:
    """A degree that does not divide the ranks, or the heads, is refused on every rank before anything is written."""
    import pytest

    from paced.errors import ConfigError

    with pytest.raises(ConfigError, match="must divide the number of processes, got 3 for 2"):
        train(Path(folder), make_config(**{"parallel.sequence_parallel": 3}))
    with pytest.raises(ConfigError, match="must divide the student's 3 attention heads, got 2"):
        train(
            Path(folder), make_config(**{"parallel.sequence_parallel": 2}), student=build_student(heads=3, kv_heads=1)
        )


class Elsewhere:
    """The engine ``hf`` as one that runs outside of the process that asks it."""

    def __init__(self, *given: Any, **named: Any) -> None:
        from paced.rollouts.hf import HfEngine

        self.inner = HfEngine(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def distill_and_count_prompts(root: str, elsewhere: bool) -> None:
    """Train the first stage of a run that is ready for it; each rank leaves how many prompts it has sampled."""
    from paced.pipeline import steps
    from paced.rollouts.engine import ENGINES
    from paced.rollouts.hf import HfEngine
    from paced.run.folder import RunFolder
    from paced.run.progress import Silent

    asked, original = [], HfEngine.sample

    def sample(self: HfEngine, prompts: Any, *given: Any) -> Any:
        asked.append(len(prompts))
        return original(self, prompts, *given)

    HfEngine.sample = sample  # type: ignore[method-assign]
    if elsewhere:
        ENGINES["hf"] = Elsewhere
    steps.distill(RunFolder(Path(root)), 1, Silent())
    (Path(root) / f"prompts-of-rank-{os.environ['RANK']}").write_text(str(sum(asked)))


def start(work: Callable[..., Any], *arguments: Any, size: int) -> list[multiprocessing.process.BaseProcess]:
    """Start ``size`` ranks that run ``work(*arguments)``."""
    killing._start_server()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [
        killing._server.Process(target=_rank, args=(work, arguments, rank, size, port)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    return processes


def finish(processes: list[multiprocessing.process.BaseProcess], *, seconds: float = 300) -> list[int | None]:
    """Exit codes of the ranks; those that wait for a rank which failed are stopped."""
    end = time.monotonic() + seconds
    while any(process.is_alive() for process in processes) and time.monotonic() < end:
        if any(process.exitcode not in (None, 0, 75) for process in processes):
            time.sleep(1)
            break
        time.sleep(0.05)
    for process in processes:
        if process.is_alive():
            process.kill()
        process.join()
    return [process.exitcode for process in processes]


def run(work: Callable[..., Any], *arguments: Any, size: int) -> None:
    """Run ``work`` on ``size`` ranks to the end."""
    codes = finish(start(work, *arguments, size=size))
    assert codes == [0] * size, f"exit codes of the ranks: {codes}"


def stop(process: multiprocessing.process.BaseProcess) -> None:
    """Ask one rank to stop."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGTERM)


def _rank(work: Callable[..., Any], arguments: tuple, rank: int, size: int, port: int) -> None:
    import torch
    import torch.distributed as dist

    from paced.run.signals import EXIT_CODE, StopRequested

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    try:
        work(*arguments)
    except StopRequested:
        sys.exit(EXIT_CODE)
    finally:
        if dist.is_initialized() and sys.exc_info()[0] in (None, SystemExit):
            dist.destroy_process_group()
