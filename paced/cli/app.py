"""The application, and how it ends: one sentence and an exit code (``endings.py``)."""

from __future__ import annotations

import os
import sys
import traceback

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from paced import __version__
from paced.cli.endings import DONE, NO_READER, WRONG_INPUT, ending_of

app = App(
    name="paced",
    version=__version__,
    help="Distillation at the frontier of student competence.",
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(name="--install-completion")


def main() -> None:
    """Run the command line; whatever happens ends in one sentence and an exit code, not in a traceback."""
    from paced.run.signals import end_process

    code = run_command()
    if code == NO_READER:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in the buffer has no reader
    end_process(code)


def run_command(arguments: list[str] | None = None) -> int:
    """The exit code of one command: what ``main`` does, in a process that continues.

    Args:
        arguments: as typed after ``paced``; None for this process's own.

    Example:
        >>> run_command(["weigh", "absent.csv", "-o", "weights.csv"])  # and a sentence on the error stream
        2
    """
    try:
        result = app(arguments, exit_on_error=False, result_action="return_value", print_error=True)
        sys.stdout.flush()  # a reader that went away is noticed here, not at the interpreter's exit
        return result if isinstance(result, int) else DONE
    except CycloptsError:  # an argument that is not known or cannot be read: cyclopts has said so
        return WRONG_INPUT
    except SystemExit as leaving:  # rich leaves with 1 when the reader of its output went away
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        return NO_READER
    except BaseException as error:  # the one place where every kind of failure ends
        if os.environ.get("PACED_TRACEBACK") == "1":
            traceback.print_exception(error)
        sentence, code = ending_of(error)
        if sentence:
            _say(sentence)
        return code


def _say(sentence: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from paced.run.inert import inert

    Console(stderr=True, soft_wrap=True).print(Text(inert(sentence), style="red"))
