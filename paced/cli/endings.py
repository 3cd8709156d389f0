"""How a command ends when it does not succeed: every exception becomes one sentence and an exit code, here only.

``PACED_TRACEBACK=1`` shows the traceback of whatever happened.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import traceback
from pathlib import Path
from typing import NamedTuple

from paced.cli.extras import extra_of
from paced.errors import ArgumentTypeError, MissingExtraError, RunFolderError
from paced.run.storage import size_text

DONE, FAILED, WRONG_INPUT, OUR_FAULT, STOPPED, INTERRUPTED, NO_READER = 0, 1, 2, 70, 75, 130, 141

EXIT_CODES = {
    DONE: "Done.",
    FAILED: "A check failed, a fit did not succeed, a loss was not finite, or problems had to be left out.",
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
    if package == "safetensors":
        return f"weights cannot be read or written: {_brief(error)}. Free some room, or make the file again."
    if package == "pyarrow" and not isinstance(error, OSError):
        return f"a table cannot be read or written: {_brief(error)}. Write the file again."
    if isinstance(error, UnicodeEncodeError):
        return f"a text contains a character that cannot be written as {error.encoding}: {_brief(error)}."
    if isinstance(error, UnicodeDecodeError):
        return f"a file is not {error.encoding} text: {_brief(error)}."
    if isinstance(error, json.JSONDecodeError):
        return f"a file is not JSON: {_brief(error)}. Write it again."
    if isinstance(error, OSError):
        return _file_fault(error)
    return str(error) if isinstance(error, (ValueError, ArgumentTypeError, RunFolderError)) else ""


def _absent_package(error: ImportError) -> str:
    if isinstance(error, MissingExtraError):
        return str(error)
    package = (error.name or "").partition(".")[0]
    if package == "paced":
        return ""
    if not isinstance(error, ModuleNotFoundError) or not package:
        return f"a package cannot be used ({_brief(error)}). Install it anew, or change the setting that asks for it."
    extra = extra_of(package)
    target = f'"paced[{extra}]"' if extra else package
    return f"this command needs the package '{package}'. Install it with: pip install {target}."


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of a disk, or a person's share of it, without room."""
FILE_FAULTS = {
    errno.ENOENT: "there is no such file or folder. Check the path.",
    errno.EACCES: "you may not read or write this file or folder. Change its permissions, or choose another.",
    errno.EPERM: "the system does not allow this. Change the permissions, or choose another place.",
    errno.EROFS: "the file system can only be read. Choose a folder that can be written, for a run with --root.",
    errno.EFBIG: "the file would be larger than is allowed here (ulimit -f, or the file system). Raise the limit.",
    errno.EISDIR: "is a folder. Name a file.",
    errno.ENOTDIR: "a part of this path is a file, not a folder. Check the path.",
    errno.EEXIST: "is there already and is not a folder. Choose another name.",
    errno.ENAMETOOLONG: "the name is too long for this file system. Choose a shorter one.",
    errno.ELOOP: "symbolic links lead in a circle. Remove one of them.",
    errno.EMFILE: "too many files are open at once (ulimit -n). Raise the limit.",
    errno.EIO: "the disk fails while reading or writing. Check it, and take a copy of what is there.",
}
"""Number of an OSError -> what is wrong, and what to do."""


def _file_fault(error: OSError) -> str:
    """Which file, what is wrong with it and what to do; a package's own OSError has no number, only a text."""
    if isinstance(error, shutil.Error):  # of a whole folder: a list of sources, targets and reasons
        error = _first_of_folder(error)
    place = str(error.filename) if error.filename is not None else ""
    begin = f"{place}: " if place else ""
    if error.errno in FULL:
        return f"{begin}the disk is full{_room(place)}. Free some room and run the same command again."
    if error.errno in FILE_FAULTS:
        return f"{begin or 'a file cannot be read or written: '}{FILE_FAULTS[error.errno]}"
    if error.errno is not None and error.strerror:
        return f"{begin or 'the system refuses: '}{error.strerror} (error {error.errno})."
    return f"{begin}{_brief(error)}."


def _first_of_folder(error: shutil.Error) -> OSError:
    """The first file of a folder that could not be copied, with the number that its reason begins with."""
    _, target, reason = error.args[0][0]
    number = re.match(r"\[Errno (\d+)\] ", str(reason))
    return OSError(int(number[1]), str(reason), str(target)) if number else OSError(f"{target}: {reason}")


def _room(place: str) -> str:
    """The room left on the disk of a path, in words; empty where it cannot be asked."""
    existing = next((path for path in (Path(place), *Path(place).parents) if path.exists()), None) if place else None
    return f" ({size_text(shutil.disk_usage(existing).free)} are free)" if existing is not None else ""


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
