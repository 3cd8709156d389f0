"""The arguments that several commands share, each described once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

if TYPE_CHECKING:
    from paced.run.progress import Progress

Target = Annotated[Path, Parameter(help="Recipe (YAML), or the folder of a run that has begun.")]
RunTarget = Annotated[Path, Parameter(help="The folder of a run.")]
Overrides = Annotated[str, Parameter(help="Settings as section.field=value.")]
Stage = Annotated[int, Parameter(help="Which stage, counted from 1.", validator=Number(gte=1))]
Method = Annotated[str, Parameter(help="A compared method of the recipe; empty for the run itself.")]
Root = Annotated[Path, Parameter(help="Folder that holds the run folders.")]
Count = Annotated[int, Parameter(validator=Number(gte=1))]
Seed = Annotated[int, Parameter(validator=Number(gte=0))]
JsonFile = Annotated[Path | None, Parameter(allow_leading_hyphen=True)]
"""A file for a command's JSON; ``-`` is the standard output."""
Quiet = Annotated[bool, Parameter(negative="", help="Show no progress and no notes, only results and errors.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Verbosity:
    """How much is shown while a command works."""

    quiet: Quiet = False
    verbose: Annotated[bool, Parameter(negative="", help="Show plain lines of progress every two seconds.")] = False

    def progress(self) -> Progress:
        """Where progress and notes are shown."""
        from paced.run.progress import make_progress

        return make_progress(quiet=self.quiet, verbose=self.verbose)


NORMAL = Verbosity()
