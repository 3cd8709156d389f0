"""What a person sees while a step runs: a bar with the time left on a terminal, plain lines in a log file.

Every step takes a :class:`Progress`; :class:`Silent` is for tests and for ranks other than the first.
Left out: metrics. Numbers that someone will read tomorrow belong in metrics.jsonl and timings.jsonl.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from paced.run.inert import inert

Advance = Callable[[int], None]
"""Called with how much was done since the last call."""


class Progress(Protocol):
    """Where progress is shown."""

    def note(self, text: str) -> None:
        """Say one sentence."""
        ...

    def track(self, label: str, total: int, *, done: int = 0) -> AbstractContextManager[Advance]:
        """Follow ``total`` units of work, ``done`` of them earlier; yields the function that reports each part done."""
        ...


class Silent:
    """Shows nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    @contextlib.contextmanager
    def track(self, label: str, total: int, *, done: int = 0) -> Iterator[Advance]:
        """Follow nothing."""
        yield lambda done: None


class Lines:
    """Plain lines on the error stream: the start and end of each piece of work, and a line every ``every_seconds``."""

    def __init__(self, every_seconds: float = 30.0) -> None:
        self.every_seconds = every_seconds

    def note(self, text: str) -> None:
        """Print one sentence."""
        print(inert(text), file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def track(self, label: str, total: int, *, done: int = 0) -> Iterator[Advance]:
        """Print how far the work is from time to time, with the time left."""
        start = last = time.monotonic()
        earlier = done

        def advance(amount: int) -> None:
            nonlocal done, last
            done += amount
            now = time.monotonic()
            if now - last >= self.every_seconds and earlier < done < total:
                left = (now - start) * (total - done) / (done - earlier)
                speed = _speed(done - earlier, now - start)
                self.note(f"{label}: {done:,} of {total:,}, {speed}, about {left:.0f} s left")
                last = now

        yield advance
        seconds = time.monotonic() - start
        self.note(f"{label}: {done:,} of {total:,} in {seconds:.1f} s, {_speed(done - earlier, seconds)}")


class Bars:
    """Bars on a terminal (rich), with the time passed and left."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    def note(self, text: str) -> None:
        """Print one sentence above the bars."""
        self.console.print(inert(text), markup=False, highlight=False)

    @contextlib.contextmanager
    def track(self, label: str, total: int, *, done: int = 0) -> Iterator[Advance]:
        """Show one bar while the block runs."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        label_column = TextColumn("{task.description}", markup=False)
        speed = TextColumn("{task.fields[speed]}", markup=False)
        columns = (label_column, BarColumn(), MofNCompleteColumn(), speed, TimeElapsedColumn(), TimeLeft())
        start = time.monotonic()
        with Progress(*columns, console=self.console) as bars:
            task = bars.add_task(inert(label), total=total, completed=done, speed="")
            now_done = 0

            def advance(amount: int) -> None:
                nonlocal now_done
                now_done += amount
                bars.update(task, advance=amount, speed=_speed(now_done, time.monotonic() - start))

            yield advance


def make_progress(*, quiet: bool = False, verbose: bool = False) -> Progress:
    """Bars when a person looks at a terminal, plain lines otherwise.

    Args:
        quiet: show nothing.
        verbose: plain lines, every two seconds.

    Raises:
        ValueError: quiet and verbose together.
    """
    if quiet and verbose:
        raise ValueError("paced: --quiet and --verbose exclude each other. Give one of them.")
    if quiet:
        return Silent()
    if verbose:
        return Lines(every_seconds=2.0)
    return Bars() if sys.stderr.isatty() else Lines()


def _speed(done: float, seconds: float) -> str:
    """How much was done a second, with three digits.

    Example:
        >>> _speed(60, 40), _speed(8000, 2)
        ('1.5 a second', '4,000 a second')
    """
    speed = done / max(seconds, 1e-9)
    return f"{speed:,.0f} a second" if speed >= 100 else f"{speed:.3g} a second"
