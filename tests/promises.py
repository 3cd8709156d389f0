"""Which file of tests holds which promise: docs/tests.md, read off the first sentence of every file below tests/.

    python tests/promises.py docs/tests.md

A test holds the page in docs/ to what this writes.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).parent

INTRODUCTION = """\
# Which file of tests holds which promise

Written by `python tests/promises.py docs/tests.md` from the first sentence of every file. The folders mirror those of
`paced/`: what `paced/weights/` promises is held in `tests/weights/`. Beside these files every example of a public
docstring below `paced/` runs as a test, and each claim of the theory has checks and controls of its own in
`paced/theory/claims/`. `CONTRIBUTING.md` says which command runs what, and how long it takes.
"""


def promise_of(file: Path) -> str:
    """The first sentence of a file's docstring, on one line, in Markdown.

    Args:
        file: a Python file.

    Raises:
        ValueError: it has no docstring, or the first paragraph is no sentence.

    Example:
        >>> promise_of(TESTS / "weights" / "test_wilson.py")
        'The Wilson interval against its definition.'
    """
    first = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]
    sentence = " ".join(first.split()).replace("``", "`")
    if not sentence.endswith("."):
        raise ValueError(
            f"{file}: the docstring of a file of tests begins with the sentence that its tests hold, ending in a full "
            f"stop; got {sentence!r}."
        )
    return sentence


def promises_page() -> str:
    """The page, in Markdown: a table for each folder, then what the tests share."""
    folders = sorted({file.parent for file in TESTS.rglob("test_*.py")})
    tables = [_table(f"`{folder.relative_to(TESTS.parent)}/`", folder, folder.glob("test_*.py")) for folder in folders]
    shared = (file for file in TESTS.rglob("*.py") if not file.name.startswith("test_"))
    return "\n".join([INTRODUCTION, *tables, _table("What tests share", TESTS, shared)])


def _table(title: str, root: Path, files: Iterable[Path]) -> str:
    rows = [
        f"| `{file.relative_to(root)}` | {promise_of(file).replace('|', chr(92) + '|')} |" for file in sorted(files)
    ]
    return "\n".join([f"## {title}", "", "| file | what it holds |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(promises_page(), encoding="utf-8")
