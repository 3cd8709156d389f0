"""What a problem set holds, and sets that share nothing."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from paced.cli.app import app
from paced.cli.arguments import JsonFile
from paced.cli.endings import DONE, FAILED
from paced.cli.running import write_json_text

data = App(name="data", help="What a problem set holds, and sets that share nothing.", group="Problem sets")
app.command(data)


@data.command(group="Problem sets")
def inspect(
    problems: Path, *, adapter: str = "auto", answer_format: str = "boxed", json: JsonFile = None
) -> int:  # fmt: skip
    """Show how a problem set is read: adapter, counts, answer types, conflicts, failing golds, and two rows.

    Everything that is wrong is shown at once. Exits with 1 when there are bad rows or failing golds.

    Parameters
    ----------
    problems
        JSON, CSV or parquet, gzipped or not, a folder of files or a pattern.
    adapter
        How the columns are read: auto, found by their names, or the name of an adapter.
    answer_format
        Where a completion writes its answer, as each gold is graded against itself.
    json
        Write everything as one JSON object to this file; `-` prints it instead of the text.
    """
    import json as json_text

    from paced.pipeline.inspect_data import inspect_problems

    seen = inspect_problems(problems, adapter=adapter, answer_format=answer_format)
    if not write_json_text(json, json_text.dumps(seen.as_json(), indent=2, default=str)):
        print(printable(seen.report()))
    return FAILED if seen.failing or seen.file.quarantined else DONE


def printable(text: str) -> str:
    """A text of strangers without what a terminal obeys; line breaks stay."""
    return "".join(one if one.isprintable() or one == "\n" else f"\\x{ord(one):02x}" for one in text)
