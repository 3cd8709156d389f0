"""Read a problem file, whole or not at all: every unusable row is named in one message, and no row is lost silently.

A problem file is JSONL or parquet with the columns of :class:`paced.records.Problem`; ``problem`` and ``answer`` are
enough. Other columns are passed over and named in a note, unless they look like a misspelt column that is missing.
Left out: adapters for the schemas of public data sets, and guesses about which column was meant.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from paced.errors import BadRow, BadRows, ConfigError
from paced.grading.numerals import parse_integer
from paced.records import Problem
from paced.run.storage import text_hash

COLUMNS = tuple(entry.name for entry in dataclasses.fields(Problem))
REQUIRED = ("problem", "answer")
OFTEN_CALLED = {
    "problem": ("question", "prompt", "query", "instruction", "input", "task"),
    "answer": ("gold", "target", "ground_truth", "expected_answer", "final_answer", "label", "output"),
}
"""What other data sets call a required column: named in the error, never used by itself."""
ANSWER_TYPES = ("exact", "integer")


@dataclass(frozen=True, kw_only=True)
class ProblemFile:
    """The problems of one file, and what a reader should know about how they were read."""

    problems: tuple[Problem, ...]
    """In the order of the file, ids unique."""
    notes: tuple[str, ...]
    """Sentences on columns passed over and repeated rows."""


def read_problems(path: str | Path, *, limit: int = 0) -> ProblemFile:
    """Read and check a problem file.

    Args:
        path: ``.parquet``, or JSONL under any other name. A row without ``problem_id`` gets a hash of its text.
        limit: keep the first ``limit`` problems; 0 for all. Every row is checked in any case.

    Raises:
        ConfigError: the file cannot be read, or holds no problem.
        BadRows: all rows that cannot be used, each with what would mend it.

    Edges: a row that repeats the text and answer of an earlier one and has no id of its own is passed over, and the
        notes say how many; the same text with two answers is an error. An answer given as a JSON integer is compared
        as an integer unless ``answer_type`` says otherwise.

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
        raise ConfigError(f"{path}: holds no problem. Write one JSON object with 'problem' and 'answer' per line.")
    faults += _misnamed_columns(rows)
    misnamed = {fault.column for fault in faults}
    kept: dict[str, tuple[int, Problem]] = {}
    golds: dict[str, tuple[int, str]] = {}
    repeated = 0
    for number, row in rows:
        problem, wrong = _problem(number, row, hinted=misnamed)
        if problem is None:
            faults += wrong
            continue
        first, gold = golds.setdefault(_bare(problem.problem), (number, problem.answer.strip()))
        if gold != problem.answer.strip():
            faults.append(_fault(number, "answer", problem.answer, f"Row {first} gives the same problem {gold!r}."))
        elif problem.problem_id not in kept:
            kept[problem.problem_id] = (number, problem)
        elif row.get("problem_id") is None and first != number:
            repeated += 1
        else:
            earlier = kept[problem.problem_id][0]
            faults.append(_fault(number, "problem_id", problem.problem_id, f"Row {earlier} has the same id."))
    if faults:
        raise BadRows(str(path), sorted(faults, key=lambda fault: fault.row))
    problems = tuple(problem for _, problem in kept.values())
    notes = []
    if repeated:
        notes.append(f"{path.name}: {repeated} rows repeat an earlier problem and were passed over.")
    passed_over = sorted({key for _, row in rows for key in row} - set(COLUMNS))
    if passed_over:
        notes.append(f"{path.name}: columns not used: {', '.join(passed_over)}.")
    return ProblemFile(problems=problems[:limit] if limit else problems, notes=tuple(notes))


def problem_id_of(text: str) -> str:
    """The id of a problem that brings none: 16 hexadecimal digits of a hash of its text, white space made equal.

    Example:
        >>> problem_id_of("2 + 2") == problem_id_of(" 2  + 2\\n")
        True
    """
    return text_hash(_bare(text))[:16]


def _rows(path: Path) -> tuple[list[tuple[int, Mapping[str, Any]]], list[BadRow]]:
    """(row number, mapping) of every row that is one, and the rows that are not."""
    try:
        if path.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            try:
                return list(enumerate(pq.read_table(path).to_pylist(), start=1)), []
            except pa.ArrowInvalid as error:
                raise ConfigError(f"{path}: is not a parquet file ({error}).") from error
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Give the path of a problem file.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: must be UTF-8 text, got a byte that is not at {error.start}.") from error
    rows: list[tuple[int, Mapping[str, Any]]] = []
    faults: list[BadRow] = []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 may stand inside a string
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            faults.append(_fault(number, "-", line, "Write one JSON object per line (JSONL)."))
            continue
        if isinstance(row, dict):
            rows.append((number, row))
        else:
            faults.append(_fault(number, "-", line, "Write a JSON object with 'problem' and 'answer'."))
    return rows, faults


def _misnamed_columns(rows: Sequence[tuple[int, Mapping[str, Any]]]) -> list[BadRow]:
    """Columns that look like a known one that is missing, each named once with the number of rows it affects."""
    affected: dict[tuple[str, str], list[int]] = {}
    for number, row in rows:
        missing = [column for column in COLUMNS if column not in row]
        for key in row:
            if key not in COLUMNS:
                for near in _near(key, missing):
                    affected.setdefault((key, near), []).append(number)
    faults = []
    for (key, near), numbers in affected.items():
        more = f" ({len(numbers)} rows)" if len(numbers) > 1 else ""
        fix = f"There is no '{near}': did you mean that? Rename the column{more}."
        faults.append(BadRow(row=numbers[0], column=key, found="an unknown column", fix=fix))
    return faults


def _near(key: str, missing: Sequence[str]) -> Iterator[str]:
    word = key.lower().strip()
    for column in missing:
        if word in OFTEN_CALLED.get(column, ()) or difflib.SequenceMatcher(None, word, column).ratio() > 0.8:
            yield column
            return


def _problem(number: int, row: Mapping[str, Any], *, hinted: set[str]) -> tuple[Problem | None, list[BadRow]]:
    """The problem of one row, or why there is none; a column whose misspelling is named already is not named again."""
    faults: list[BadRow] = []

    def text(column: str) -> str:
        value = row.get(column)
        if value is None:
            explained = any(near == column for key in row if key in hinted for near in _near(key, [column]))
            if column in REQUIRED and not explained:
                faults.append(_fault(number, column, None, "Every problem needs one."))
            return ""
        if column in ("answer", "problem_id") and isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            faults.append(_fault(number, column, value, "Write text."))
            return ""
        if column in (*REQUIRED, "problem_id") and not value.strip():
            faults.append(_fault(number, column, value, "Write something, or leave the row out."))
        return value

    values = {column: text(column) for column in ("problem_id", "problem", "answer", "solution", "source")}
    kind = row.get("answer_type") or ("integer" if type(row.get("answer")) is int else "exact")
    if kind not in ANSWER_TYPES:
        faults.append(_fault(number, "answer_type", kind, f"Write one of {', '.join(ANSWER_TYPES)}."))
    elif kind == "integer" and values["answer"].strip() and parse_integer(values["answer"]) is None:
        faults.append(_fault(number, "answer", values["answer"], "Write an integer, or set answer_type to exact."))
    if faults or any(not values[column].strip() for column in REQUIRED):
        return None, faults
    values["problem_id"] = values["problem_id"] or problem_id_of(values["problem"])
    answer_type: Literal["exact", "integer"] = "integer" if kind == "integer" else "exact"
    return Problem(answer_type=answer_type, **values), []


def _bare(text: str) -> str:
    return " ".join(text.split())


def _fault(row: int, column: str, found: object, fix: str) -> BadRow:
    shown = "nothing" if found is None else repr(found)
    return BadRow(row=row, column=column, found=shown if len(shown) <= 60 else shown[:57] + "...", fix=fix)
