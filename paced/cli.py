"""The command line: one subcommand for each step of the data flow, and no logic of its own.

Every command imports what it needs when it runs, so that ``paced --help`` answers at once and ``paced fit`` or
``paced verify`` never load torch. A TARGET is a recipe (YAML) or the folder of a run that has begun.
Exit codes: 0 done, 1 a claim or check failed, 2 wrong input, 75 stopped by a signal and ready to go on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from paced import __version__
from paced.errors import ConfigError, MissingExtraError, RunFolderError

if TYPE_CHECKING:
    from paced.config import RunConfig
    from paced.runfolder import RunFolder

app = App(name="paced", version=__version__, help="Distillation at the frontier of student competence.")

FAILED, WRONG_INPUT, STOPPED = 1, 2, 75


def main() -> None:
    """Run the command line; errors of the caller are one sentence and an exit code, not a traceback."""
    try:
        result = app()
    except (ConfigError, RunFolderError, MissingExtraError, ValueError, FileNotFoundError) as error:
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True, soft_wrap=True).print(Text(f"error: {error}", style="red"))
        sys.exit(WRONG_INPUT)
    sys.exit(result if isinstance(result, int) else 0)


@app.command(group="Whole jobs")
def run(
    config: Path,
    *overrides: str,
    seed: int | None = None,
    root: Path = Path("runs"),
    dry_run: bool = False,
) -> int:
    """Run a recipe from rollouts to report; finished steps are kept, so the same command goes on after a kill.

    Parameters
    ----------
    config: recipe, a YAML file.
    overrides: settings as section.field=value.
    seed: the run's seed; every other seed is derived from it.
    root: folder that holds the run folders.
    dry_run: show the first prompts and the estimated cost, train nothing.
    """
    from paced.analysis.job import run_job

    folder, settings = _open(config, overrides, seed=seed, root=root)
    return run_job(folder, settings, dry_run=dry_run)
