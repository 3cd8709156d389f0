"""Read a problem file, whole or not at all: every unusable row is named in one message, and no row is lost silently.

A problem file is JSON, CSV or parquet (:mod:`paced.run.tablefile`) with the columns of :class:`paced.records.Problem`;
``problem`` and ``answer`` are enough. Other columns are passed over and named in a note, unless they look like a column
that is missing, misspelt.
Left out: adapters for the schemas of public data sets, and guesses about which column was meant.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paced.errors import BadRow, BadRows, ConfigError
from paced.grading.comparisons import answer_types
from paced.grading.guess import answer_type_of
from paced.grading.numerals import parse_integer
from paced.problems.golds import as_text
from paced.problems.messages import read_messages
from paced.records import Problem
from paced.run.storage import text_hash
from paced.run.tablefile import Row, format_of, read_rows
from paced.run.tablefile.cells import fault_of_text, is_missing, number_of, shown

COLUMNS = tuple(entry.name for entry in dataclasses.fields(Problem))
REQUIRED = ("problem", "answer")
OFTEN_CALLED = {
    "problem": ("question", "prompt", "query", "instruction", "input", "task"),
    "answer": ("gold", "target", "ground_truth", "expected_answer", "final_answer", "label", "output"),
}
"""What other data sets call a required column: named in the error, never used by itself."""
MAYBE_ABSENT = ("None", "none", "null", "NULL", "N/A", "n/a", "NA")
"""Answers that may be meant and may be what a table makes of an absent value: said, not refused."""


@dataclass(frozen=True, kw_only=True)
class ProblemFile:
    """The problems of one file, and what a reader should know about how they were read."""

    problems: tuple[Problem, ...]
    """In the order of the file, ids unique."""
    notes: tuple[str, ...]
    """Sentences on columns passed over and repeated rows."""
    rows: tuple[int, ...]
    """The row of each problem in the file, as :class:`paced.errors.BadRow` counts."""


def read_problems(path: str | Path, *, limit: int = 0) -> ProblemFile:
    """Read and check a problem file.

    Args:
        path: JSON lines, a JSON list, CSV, TSV or parquet, gzipped or not (:data:`paced.run.tablefile.FORMATS`). A row
            without ``problem_id`` gets a hash of its text.
        limit: keep the first ``limit`` problems; 0 for all. Every row is checked in any case.

    Raises:
        ConfigError: the file cannot be read, or holds no problem.
        BadRows: all rows that cannot be used, each with what would make it usable.

    Edges: a row that repeats the text and answer of an earlier one and has no id of its own is passed over, and the
        notes say how many; the same text with two answers is an error. An answer given as an integer, as a float that
        is whole, or in digits in CSV, is compared as an integer; every other one without ``answer_type`` has the type
        that :func:`paced.grading.guess.answer_type_of` reads from its text. NaN is absent.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "sums.jsonl"
        >>> _ = file.write_text('{"problem": "2+2", "answer": 4}\\n')
        >>> read_problems(file).problems[0].answer_type
        'integer'
    """
    path = Path(path)
    rows, faults = _rows(path)
    if not rows and not faults:
        raise ConfigError(f"{path}: holds no problem. Write one row with 'problem' and 'answer' for each problem.")
    faults += _misnamed_columns(rows)
    misnamed = {fault.column for fault in faults}
    _refuse_without_columns(path, rows, misnamed)
    from_csv = format_of(path) == "csv"
    kept: dict[str, tuple[int, Problem]] = {}
    golds: dict[str, tuple[int, str]] = {}
    repeated = 0
    for number, row in rows:
        problem, wrong = _problem(number, row, from_csv=from_csv, hinted=misnamed)
        if problem is None:
            faults += wrong
            continue
        first, gold = golds.setdefault(_bare(problem.problem), (number, problem.answer.strip()))
        if gold != problem.answer.strip():
            faults.append(_fault(number, "answer", problem.answer, f"Row {first} gives the same problem {gold!r}."))
        elif problem.problem_id not in kept:
            kept[problem.problem_id] = (number, problem)
        elif is_missing(row.get("problem_id")) and first != number:
            repeated += 1
        else:
            earlier = kept[problem.problem_id][0]
            faults.append(_fault(number, "problem_id", problem.problem_id, f"Row {earlier} has the same id."))
    if faults:
        raise BadRows(str(path), sorted(faults, key=lambda fault: fault.row))
    places, problems = tuple(row for row, _ in kept.values()), tuple(problem for _, problem in kept.values())
    notes = []
    empty = [row for row, problem in kept.values() if problem.answer.strip() in MAYBE_ABSENT]
    if empty:
        notes.append(
            f"{path.name}: {len(empty)} of {len(problems)} answers read 'None', 'N/A' or the like (first: "
            f"row {empty[0]}), which may be how a table wrote an absent value."
        )
    if repeated:
        rows_repeat, were = ("row repeats", "was") if repeated == 1 else ("rows repeat", "were")
        notes.append(f"{path.name}: {repeated} {rows_repeat} an earlier problem and {were} passed over.")
    passed_over = sorted(key for key in {key for _, row in rows for key in row} - set(COLUMNS) if key.strip())
    if passed_over:
        notes.append(f"{path.name}: columns not used: {_listed(passed_over)}.")
    stop = limit or len(problems)
    return ProblemFile(problems=problems[:stop], notes=tuple(notes), rows=places[:stop])


def problem_id_of(text: str) -> str:
    """The id of a problem that brings none: 16 hexadecimal digits of a hash of its text, white space made equal.

    Indentation is kept: two programs that differ in it are two problems.

    Example:
        >>> problem_id_of("2 + 2") == problem_id_of(" 2  +\\n2\\n")
        True
        >>> problem_id_of("if x:\\n    a()\\n    b()") == problem_id_of("if x:\\n    a()\\nb()")
        False
    """
    return text_hash(_bare(text))[:16]


def _rows(path: Path) -> tuple[list[Row], list[BadRow]]:
    """The rows of the file, an empty cell of CSV as None, and what could not be read as a row."""
    faults: list[BadRow] = []
    try:
        rows = list(read_rows(path, faults, is_row=_holds_an_answer))
    except OSError as error:
        reason = str(error) if error.errno is None else f"{path}: cannot be read ({error.strerror})."
        raise ConfigError(reason) from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if format_of(path) == "csv":
        rows = [(number, {name: cell or None for name, cell in row.items()}) for number, row in rows]
    return rows, faults


def _holds_an_answer(cells: Mapping[str, str]) -> bool:
    """Whether a single line of CSV is like a row: lines of a text may hold commas too, but not then an answer."""
    return number_of(cells.get("answer")) is not None


def _misnamed_columns(rows: Sequence[Row]) -> list[BadRow]:
    """Columns that look like a known one that is missing, each named once with the number of rows it affects."""
    affected: dict[tuple[str, str], list[int]] = {}
    for number, row in rows:
        missing = [column for column in COLUMNS if column not in row]
        for key in row:
            near = _nearest(key, missing) if key not in COLUMNS else None
            if near is not None:
                affected.setdefault((key, near), []).append(number)
    faults = []
    for (key, near), numbers in affected.items():
        more = f" ({len(numbers)} rows)" if len(numbers) > 1 else ""
        fix = f"There is no '{near}': did you mean that? Rename the column{more}."
        faults.append(BadRow(row=numbers[0], column=key, found="an unknown column", fix=fix))
    return faults


def _refuse_without_columns(path: Path, rows: Sequence[Row], misnamed: set[str]) -> None:
    """Refuse a file of which no row has a required column, unless it is misnamed: one sentence for all rows."""
    names = list(dict.fromkeys(key for _, row in rows for key in row))
    explained = {_nearest(key, REQUIRED) for key in names if key in misnamed}
    absent = [column for column in REQUIRED if column not in names and column not in explained]
    if absent and names:
        wanted = " and ".join(f"'{column}'" for column in absent)
        raise ConfigError(f"{path}: no row has {wanted}; columns found: {_listed(names)}. Rename or add the column.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name if name.isprintable() else ascii(name) for name in names)


def _nearest(key: str, missing: Sequence[str]) -> str | None:
    """The missing column that a name is most like, or None if it is like none of them."""
    near = max(missing, key=lambda column: _likeness(key, column), default=None)
    return near if near is not None and _likeness(key, near) > 0.8 else None


@functools.lru_cache(maxsize=1024)
def _likeness(key: str, column: str) -> float:
    """1 for the column's own name in other letters and for a name that others give it, less for a misspelling."""
    word = key.lower().strip()
    return 1.0 if word in OFTEN_CALLED.get(column, ()) else difflib.SequenceMatcher(None, word, column).ratio()


def _problem(
    number: int, row: Mapping[str, Any], *, from_csv: bool, hinted: set[str]
) -> tuple[Problem | None, list[BadRow]]:
    """The problem of one row, or why there is none; a column whose misspelling is named already is not named again."""
    faults: list[BadRow] = []
    integers: set[str] = set()

    def text(column: str) -> str:
        value = row.get(column)
        if is_missing(value) and not isinstance(value, str):
            if column in REQUIRED and not any(_nearest(key, [column]) for key in row if key in hinted):
                faults.append(_fault(number, column, value, "Every problem needs one."))
            return ""
        written, fix = value if isinstance(value, str) else "", ""
        if is_missing(value) and column in (*REQUIRED, "problem_id"):
            fix = "Write something, or leave the row out."
        elif column in ("answer", "problem_id"):
            written, is_integer, fix = as_text(value, from_csv=from_csv and column == "answer")
            integers.update([column] if is_integer else [])
        elif not isinstance(value, str):
            fix = "Write text."
        fix = fix or fault_of_text(written)
        if fix:
            faults.append(_fault(number, column, value, fix))
            return ""
        return written

    values = {column: text(column) for column in ("problem_id", "problem", "answer", "solution", "source")}
    if not is_missing(row.get("messages")):
        values["messages"], fix = read_messages(row["messages"])
        faults += [_fault(number, "messages", row["messages"], fix)] if fix else []
    kind = row.get("answer_type")
    if is_missing(kind):
        kind = "integer" if "answer" in integers else answer_type_of(values["answer"])
    if kind not in answer_types():
        faults.append(_fault(number, "answer_type", kind, f"Write one of {', '.join(answer_types())}."))
    elif kind == "integer" and values["answer"].strip() and parse_integer(values["answer"]) is None:
        faults.append(_fault(number, "answer", values["answer"], "Write an integer, or set answer_type to exact."))
    if faults or any(not values[column].strip() for column in REQUIRED):
        return None, faults
    values["problem_id"] = values["problem_id"] or problem_id_of(values["problem"])
    return Problem(answer_type=str(kind), **values), []


def _bare(text: str) -> str:
    """A problem's text with every run of white space as one space, except for the indentation of a line.

    Indentation that all lines share goes, and so do line breaks before a line without any: a text that was wrapped, or
    moved to the right as a whole, is the same problem.
    """
    lines = textwrap.dedent(text.replace("\r\n", "\n").replace("\r", "\n")).strip().split("\n")
    bare = ""
    for line in lines:
        if words := line.split():
            indent = line[: len(line) - len(line.lstrip())]
            bare += (f"\n{indent}" if indent else " ") + " ".join(words)
    return bare.strip()


def _fault(row: int, column: str, value: object, fix: str) -> BadRow:
    return BadRow(row=row, column=column, found=shown(value), fix=fix)
