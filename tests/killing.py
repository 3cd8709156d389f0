"""Kill -9 a piece of work at a chosen file operation or moment, as often as a test likes, without paying for imports.

A fork server imports the heavy packages once; every attempt is a process forked from it, killed for real with SIGKILL.
An operation is any opening, renaming, removing or making of a file or folder below ``root``, reads included; the kill
comes just before it. A moment falls anywhere, inside a write by native code too.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(
    ["training_setup", "paced.pipeline.job", "paced.analysis.report.report", "transformers.models.gpt2.modeling_gpt2"]
)

EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.listdir", "shutil.rmtree"}


def _start_server() -> None:
    """Start the fork server with this folder on its path, from which it imports (Python 3.11 does not hand it over)."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *([before] if before else [])])
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def run(
    work: Callable[..., Any],
    *arguments: Any,
    root: Path,
    at_operation: int = 0,
    after_seconds: float = 0.0,
    number: signal.Signals = signal.SIGKILL,
) -> tuple[int, int]:
    """Run ``work(*arguments)`` in a process of its own; send ``number`` at the n-th operation or after some seconds.

    Args:
        work: an importable function.
        arguments: picklable.
        root: only files below it count as operations.
        at_operation: n >= 1; 0 for never.
        after_seconds: delay after the process began to work; 0 for never.
        number: SIGKILL, or SIGTERM to ask politely.

    Returns:
        (exit code, operations seen): 0 for done, -9 for killed, 75 for stopped on request.
    """
    _start_server()
    count, begun = _server.Value("i", 0), _server.Event()
    process = _server.Process(target=_child, args=(work, arguments, str(root), at_operation, number, count, begun))
    process.start()
    begun.wait(timeout=60)
    if after_seconds:
        process.join(timeout=after_seconds)
        if process.is_alive():
            os.kill(process.pid, number)
    process.join(timeout=300)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode, count.value


def _child(work, arguments, root, at_operation, number, count, begun) -> None:
    seen = 0

    def watch(event: str, details: tuple) -> None:
        nonlocal seen
        if event not in EVENTS or not details or not isinstance(details[0], (str, bytes, os.PathLike)):
            return
        if not os.path.abspath(os.fsdecode(details[0])).startswith(root):
            return
        seen += 1
        count.value = seen
        if seen == at_operation:
            os.kill(os.getpid(), number)

    from paced.run.signals import EXIT_CODE, StopRequested

    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    sys.addaudithook(watch)
    begun.set()
    try:
        work(*arguments)
    except StopRequested:
        sys.exit(EXIT_CODE)


def run_until_done(work: Callable[..., Any], *arguments: Any, root: Path, kills: list[dict[str, Any]]) -> int:
    """Start ``work`` again and again, killing it as ``kills`` say, then once more to the end; return the hits."""
    hits = 0
    for kill in kills:
        code, _ = run(work, *arguments, root=root, **kill)
        assert code in (0, -signal.SIGKILL, 75), f"exit code {code}"
        hits += code != 0
    code, _ = run(work, *arguments, root=root)
    assert code == 0, f"exit code {code}"
    return hits


def measure(work: Callable[..., Any], *arguments: Any, root: Path) -> tuple[int, float]:
    """Operations and seconds of an undisturbed run."""
    start = time.monotonic()
    code, operations = run(work, *arguments, root=root)
    assert code == 0, f"exit code {code}"
    return operations, time.monotonic() - start


def contents(root: Path, leave_out: set[str]) -> dict[str, str]:
    """The hash of every file below ``root`` by relative path, but of those with a name or folder in ``leave_out``."""
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        for file in sorted(root.rglob("*"))
        if file.is_file() and not leave_out & set(file.relative_to(root).parts)
    }
