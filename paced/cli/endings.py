"""How a command ends when it does not succeed: every exception becomes one sentence and an exit code, here only.

``PACED_TRACEBACK=1`` shows the traceback of whatever happened.
"""

from __future__ import annotations

import errno
import shutil
import traceback
from pathlib import Path
from typing import NamedTuple

from paced.cli.extras import extra_of
from paced.errors import MissingExtraError, RunFolderError

DONE, FAILED, WRONG_INPUT, OUR_FAULT, STOPPED, INTERRUPTED, NO_READER = 0, 1, 2, 70, 75, 130, 141

EXIT_CODES = {
    DONE: "Done.",
    FAILED: "A check failed, a fit did not succeed, or a loss was not finite.",
    WRONG_INPUT: "Wrong input: recipe, table, argument or file; a package that is not installed, a full or read-only "
    "disk, too little memory.",
    OUR_FAULT: "A fault of paced itself (EX_SOFTWARE); please report it.",
    STOPPED: "Stopped by a signal and ready to continue: run the same command again (EX_TEMPFAIL).",
    INTERRUPTED: "Stopped from the keyboard before there was anything to keep.",
    NO_READER: "The reader of the output went away (128 + SIGPIPE), as other tools in a pipe end.",
}
"""Exit code -> what it says."""

PACKAGE = Path(__file__).parents[1]
"""The folder of this package: what is raised below it is ours."""


class Ending(NamedTuple):
    """What is said on the error stream, and what the process returns."""

    sentence: str
    code: int


def ending_of(error: BaseException) -> Ending:
    """The sentence and the exit code of an exception.

    Example:
        >>> ending_of(ValueError("fit: level must be > 0 and < 1, got 2."))
        Ending(sentence='error: fit: level must be > 0 and < 1, got 2.', code=2)
        >>> ending_of(BrokenPipeError())
        Ending(sentence='', code=141)
    """
    from paced.run.signals import StopRequested

    if isinstance(error, BrokenPipeError):
        return Ending("", NO_READER)
    if isinstance(error, StopRequested):
        return Ending(str(error), STOPPED)
    if isinstance(error, KeyboardInterrupt):
        return Ending("stopped from the keyboard; run the same command again to continue.", INTERRUPTED)
    if isinstance(error, FloatingPointError):
        return Ending(f"error: {error}", FAILED)
    reason = _input_fault(error)
    if reason:
        return Ending(f"error: {reason}", WRONG_INPUT)
    return Ending(
        f"error: paced made a mistake ({_kind(error)}: {_brief(error)}, at {_place(error)}). "
        "Set PACED_TRACEBACK=1 to see the whole traceback, and please report it.",
        OUR_FAULT,
    )


def _input_fault(error: BaseException) -> str:
    """What the caller can change, as a sentence; empty where it is not the caller's to change."""
    package = type(error).__module__.partition(".")[0]
    if isinstance(error, ImportError):
        return _absent_package(error)
    if isinstance(error, MemoryError) or _kind(error) == "OutOfMemoryError":
        return (
            f"the memory is too small for this ({_brief(error)}). Use smaller batches, a smaller model or fewer rows."
        )
    if isinstance(error, RecursionError):
        return "the input is nested too deeply to be read. Flatten the recipe, the JSON or the template."
    if package == "jinja2":
        return (
            f"a chat template cannot be rendered: {_kind(error)}: {_brief(error)}. Correct the template or the prompts."
        )
    if package == "pyarrow" and not isinstance(error, OSError):
        return f"a table cannot be read or written: {_brief(error)}."
    if isinstance(error, UnicodeEncodeError):
        return f"a text holds a character that cannot be written as {error.encoding}: {_brief(error)}."
    if isinstance(error, UnicodeDecodeError):
        return f"a file is not {error.encoding} text: {_brief(error)}."
    if isinstance(error, OSError):
        return _file_fault(error)
    if isinstance(error, TypeError):
        return str(error) if _is_own_check(error) else ""
    return str(error) if isinstance(error, (ValueError, RunFolderError)) else ""


def _absent_package(error: ImportError) -> str:
    if isinstance(error, MissingExtraError):
        return str(error)
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package in {"", "paced"}:
        return ""
    extra = extra_of(package)
    target = f'"paced[{extra}]"' if extra else package
    return f"this command needs the package '{package}'. Install it with: pip install {target}."


def _file_fault(error: OSError) -> str:
    place = str(error.filename) if error.filename is not None else ""
    begin = f"{place}: " if place else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{begin}the disk is full{_room(place)}. Free some room and run the same command again."
    if error.errno == errno.EROFS:
        return f"{begin}the file system can only be read. Choose a folder that can be written, for a run with --root."
    if error.errno == errno.ENOENT and place:
        return f"{begin}there is no such file or folder."
    return str(error) or _kind(error)


def _room(place: str) -> str:
    """The room left on the disk of a path, in words; empty where it cannot be asked."""
    existing = next((path for path in (Path(place), *Path(place).parents) if path.exists()), None) if place else None
    if existing is None:
        return ""
    return f" ({shutil.disk_usage(existing).free / 1e6:,.1f} MB are free)"


def _is_own_check(error: TypeError) -> bool:
    """Whether a check of this package refused the type of an argument: its messages are ``place: rule``, raised here.

    A TypeError from Python itself (a call with a wrong number of arguments) is our mistake, unless it was refused.
    """
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return bool(last) and PACKAGE in Path(last[0].filename).parents and (last[0].line or "").startswith("raise ")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if PACKAGE in Path(frame.filename).parents] or list(frames)
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"


def _kind(error: BaseException) -> str:
    return type(error).__name__


def _brief(error: BaseException) -> str:
    """The first line of a message, or the kind of the exception when it has none."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else _kind(error)
