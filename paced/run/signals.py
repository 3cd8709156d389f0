"""Stop when the system asks: a signal sets a flag, and work ends at the next boundary where all that is done is kept.

A scheduler sends SIGTERM before it takes the machine away, a person presses Ctrl-C. Acting inside the handler would
tear a batch apart, so the handler only notes the wish; every loop of this package (sampling, grading, training,
evaluation) asks for it between batches. A second signal of the same kind stops at once, as without this file.
Left out: agreement between processes. Ranks that train together exchange the flag (``parallel.py``) and stop at the
same step.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

EXIT_CODE = 75
"""What the process returns when it stopped on request: the same command continues from here (EX_TEMPFAIL)."""

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequested(Exception):  # noqa: N818 - not an error
    """Raised at a boundary after a signal; everything finished so far is on the disk."""


_wish: signal.Signals | None = None  # one per process, as signal handlers are


def stop_requested() -> bool:
    """Whether a signal has asked this process to stop."""
    return _wish is not None


def stop_if_requested() -> None:
    """Raise at a boundary where nothing would be lost.

    Raises:
        StopRequested: a signal came since :func:`stop_on_signals` began.
    """
    if _wish is not None:
        raise StopRequested(f"stopped by {_wish.name}; run the same command again to continue.")


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into a flag while the block runs; nested blocks and other threads leave it as it is.

    Example:
        >>> import os
        >>> with stop_on_signals():
        ...     os.kill(os.getpid(), signal.SIGTERM)
        ...     stop_requested()
        True
        >>> stop_requested()
        False
    """
    global _wish
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is _note:
        yield  # Python lets only the main thread install handlers; an outer block has done so already
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _wish = None
    try:
        for number in SIGNALS:
            signal.signal(number, _note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _wish = None


def _note(number: int, frame: FrameType | None) -> None:
    global _wish
    if _wish is not None and number == signal.SIGINT:
        raise KeyboardInterrupt
    if _wish is not None:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    _wish = signal.Signals(number)


def end_process(code: int) -> NoReturn:
    """Leave with an exit code.

    One of several processes skips the interpreter's own shutdown after the exit handlers have run: threads of gloo that
    are still alive then may abort a process whose work is done (pytorch #179291; one run in ten here).
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        sys.exit(code)
    atexit._run_exitfuncs()  # parts from the other ranks, closes trackers
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
