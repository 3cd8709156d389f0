"""Worker processes that compare answers under limits, are reused, and can be killed one at a time.

A worker is a fresh interpreter (never a fork: a fork would copy the parent's threads and its memory), started only when
a pair reaches it. Its limits are of CPU time and memory (``symbolic.py``); the wall clock is a second limit, far above
them. When a worker dies, the verdict on its pair blames the grader, and another takes its place.
Left out: pickle, and any path by which an answer could be run: pairs go over a pipe as JSON.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from paced.errors import MissingExtraError
from paced.grading.compare import Comparison, shown
from paced.grading.math import Undecided
from paced.grading.symbolic import CPU_SECONDS
from paced.installed import is_installed

MOST_VERDICTS = 100_000
"""Pairs whose outcome is remembered over several calls."""
WALL_SECONDS = 120.0
"""Time after which a worker that gives no reply is killed, whatever CPU time it had."""


class Workers:
    """Worker processes for :class:`Undecided` comparisons; none is started before the first one comes.

    Args:
        num_workers: processes; by default one for each CPU that this process may use, at most 4.
        command: what a worker is; by default ``python -m paced.grading.symbolic``.

    Raises:
        MissingExtraError: math-verify is not installed, when a comparison needs it.

    Example:
        >>> with Workers(num_workers=1) as workers:
        ...     workers.compare([Undecided(answer=r"\\int_0^1 x\\,dx", extracted=r"\\frac12")])[0].verdict
        'correct'
    """

    def __init__(self, *, num_workers: int = 0, command: Sequence[str] = ()) -> None:
        self._num_workers = num_workers or min(
            4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        )
        self._command = list(command) or [sys.executable, "-m", "paced.grading.symbolic"]
        self._idle: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        self._verdicts: dict[Undecided, Comparison] = {}
        self._started = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def compare(self, pairs: Sequence[Undecided]) -> list[Comparison]:
        """The outcome of each pair, in their order; a pair that comes twice is compared once."""
        if len(self._verdicts) > MOST_VERDICTS:
            self._verdicts.clear()
        new = list(dict.fromkeys(pair for pair in pairs if pair not in self._verdicts))
        if new:
            self._start()
            todo = iter(new)
            lock = threading.Lock()
            threads = [
                threading.Thread(target=self._drain, args=(todo, lock)) for _ in range(min(self._num_workers, len(new)))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return [self._verdicts[pair] for pair in pairs]

    def close(self) -> None:
        """End the processes."""
        while not self._idle.empty():
            worker = self._idle.get()
            if worker is not None:
                worker.kill()
        self._started = False

    def _start(self) -> None:
        if self._started:
            return
        refuse_without_extra()
        for _ in range(self._num_workers):
            self._idle.put(None)  # a place; its process starts with its first pair
        self._started = True

    def _drain(self, todo: Any, lock: threading.Lock) -> None:
        """Compare pairs, one at a time, until there is none left."""
        worker = self._idle.get()
        try:
            while True:
                with lock:
                    pair = next(todo, None)
                if pair is None:
                    return
                worker = worker or _Worker(self._command)
                outcome = worker.ask(pair)
                if worker.is_dead():
                    worker = None
                self._verdicts[pair] = outcome
        finally:
            self._idle.put(worker)


class _Worker:
    """One process and its pipes."""

    def __init__(self, command: Sequence[str]) -> None:
        path = os.pathsep.join(part for part in sys.path if part)
        environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self._read_line()  # "ready": the time of its imports is not a comparison's

    def ask(self, pair: Undecided) -> Comparison:
        """The outcome of one pair; the process may have ended afterwards."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps([pair.answer, pair.extracted]) + "\n")
            stdin.flush()
            line = self._read_line()
        except OSError:
            line = ""
        if not line:
            return self._verdict_after_end(pair)
        reply = json.loads(line)
        if "fault" in reply:
            return Comparison(verdict="grader_error", reason=f"math-verify: {shown(reply['fault'])}.")
        if reply["equal"]:
            return Comparison(verdict="correct", reason="Equal to the gold answer by math-verify.")
        return Comparison(
            verdict="incorrect", reason=f"{shown(pair.extracted)!r} is not {shown(pair.answer)!r} by math-verify."
        )

    def is_dead(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End the process and close its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read_line(self) -> str:
        """One line of the process, empty when it ended or gave none before the wall clock's limit."""
        stdout = self._process.stdout
        assert stdout is not None
        net = threading.Timer(WALL_SECONDS, self._process.kill)
        net.start()
        try:
            return stdout.readline()
        finally:
            net.cancel()

    def _verdict_after_end(self, pair: Undecided) -> Comparison:
        """The verdict on the pair at which the process ended: by a limit, or by a crash."""
        code = self._process.wait()
        self.kill()
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            limit = f"{CPU_SECONDS} s of CPU time" if code == -signal.SIGXCPU else "its limits"
            return Comparison(
                verdict="grader_timeout", reason=f"math-verify took more than {limit} for {shown(pair.extracted)!r}."
            )
        return Comparison(verdict="grader_error", reason=f"math-verify's process ended with {code}.")


def refuse_without_extra() -> None:
    """Refuse to continue when the extra that brings math-verify is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    absent = [package for package in ("math_verify", "flint") if not is_installed(package)]
    if absent:
        raise MissingExtraError("answer_type 'math'", ", ".join(absent), "grade")
