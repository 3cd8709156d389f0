"""The arguments that several commands share, each described once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

Target = Annotated[Path, Parameter(help="Recipe (YAML), or the folder of a run that has begun.")]
RunTarget = Annotated[Path, Parameter(help="The folder of a run.")]
Overrides = Annotated[str, Parameter(help="Settings as section.field=value; only with a recipe.")]
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


NORMAL = Verbosity()
