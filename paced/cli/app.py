"""The application, and how it ends: one sentence and an exit code."""

from __future__ import annotations

from cyclopts import App

from paced import __version__
from paced.errors import ConfigError, MissingExtraError, RunFolderError

app = App(name="paced", version=__version__, help="Distillation at the frontier of student competence.")

FAILED, WRONG_INPUT, STOPPED = 1, 2, 75


def main() -> None:
    """Run the command line; errors of the caller are one sentence and an exit code, not a traceback."""
    from paced.run.signals import StopRequested, end_process

    try:
        result = app()
        code = result if isinstance(result, int) else 0
    except StopRequested as stop:
        _say(str(stop))
        code = STOPPED
    except FloatingPointError as error:
        _say(f"error: {error}")
        code = FAILED
    except (ConfigError, RunFolderError, MissingExtraError, ValueError, OSError) as error:
        _say(f"error: {error}")
        code = WRONG_INPUT
    end_process(code)


def _say(sentence: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, soft_wrap=True).print(Text(sentence, style="red"))
