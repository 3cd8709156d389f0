"""Adapters for tables with a column for the problem and one for the answer or the worked solution, under any names."""

from __future__ import annotations

import re
from typing import Any

from paced.problems.columns import Cells, Columns, Roles, UnusableCell, messages_of, single
from paced.problems.spellings import ANSWER, ANSWER_TYPE, KNOWN_OF_IT, PROBLEM, SOLUTION, WORKED
from paced.problems.worked import gold_and_solution, gsm8k_parts, has_mark, is_prose, is_worked
from paced.run.tablefile.cells import is_missing, number_of

AIME_URL = re.compile(r"(?i)AIME")
NO_GOLD = {"proof", "notfound", "not found", ""}
"""What NuminaMath writes where there is no final answer."""


def math500_roles(columns: Columns) -> Roles | None:
    """MATH-500: everything has its own column."""
    if not columns.has("problem", "solution", "answer", "subject", "level", "unique_id"):
        return None
    return columns.roles(problem=("problem",), answer=("answer",), solution=("solution",), **KNOWN_OF_IT)


def math_roles(columns: Columns) -> Roles | None:
    """Hendrycks' MATH: the answer is the last box of the solution."""
    if columns.find(*ANSWER) or not (columns.has("problem", "solution", "level") and columns.find("type", "subject")):
        return None
    return columns.roles(problem=("problem",), worked=("solution",), subject=("type", "subject"), level=("level",))


def aime_roles(columns: Columns) -> Roles | None:
    """AIME 2024 and 2025: a problem, an integer from 0 to 999, and a mark that it is AIME."""
    roles = columns.roles(problem=("problem", "question"), answer=("answer",), solution=("solution",), **KNOWN_OF_IT)
    if not {"problem", "answer"} <= set(roles) or columns.find("answer_type"):
        return None
    values = columns.values(roles["answer"])
    if not values or not all(map(_is_aime_answer, values)):
        return None
    marks = [columns.find("url"), columns.find("id"), columns.find("problem_idx")]
    marked = columns.find("problem_idx") or any(columns.mostly(mark, _speaks_of_aime) for mark in marks)
    return roles if marked else None


def _speaks_of_aime(value: object) -> bool:
    return isinstance(value, str) and (
        AIME_URL.search(value) is not None or re.match(r"20\d\d-I{1,2}-", value) is not None
    )


def _is_aime_answer(value: object) -> bool:
    number = number_of(single_or_none(value))
    return isinstance(number, int) and 0 <= number <= 999


def single_or_none(value: object) -> object:
    """The one entry of a list, or None."""
    try:
        return single("answer", value)
    except UnusableCell:
        return None


def gsm8k_roles(columns: Columns) -> Roles | None:
    """GSM8K: the answer's column holds the rationale, and the gold after ``####``."""
    roles = columns.roles(problem=PROBLEM, answer=("answer", "solution", "response", "output"), **KNOWN_OF_IT)
    return roles if "problem" in roles and columns.mostly(roles.get("answer"), has_mark) else None


def numina_roles(columns: Columns) -> Roles | None:
    """NuminaMath, OpenR1-Math and their like: a worked solution with the answer boxed, or with a column of its own."""
    if not columns.has("problem", "solution"):
        return None
    if not (columns.find("messages", "generations") or columns.has("problem_type", "question_type")):
        return None
    return columns.roles(
        problem=("problem",), answer=("answer",), worked=("solution",), subject=("problem_type",), source=("source",),
        problem_id=("uuid",),
    )  # fmt: skip


def own_roles(columns: Columns) -> Roles | None:
    """Our own columns, ``problem`` and ``answer`` spelled so; what else is known of a problem, in any spelling."""
    if not columns.has("problem", "answer") or columns.mostly("answer", has_mark):
        return None
    if not columns.find(*ANSWER_TYPE) and columns.mostly("answer", is_worked):
        return None
    return columns.roles(
        problem=("problem",), answer=("answer",), answer_type=ANSWER_TYPE, solution=SOLUTION,
        messages=("messages",),
        **KNOWN_OF_IT,
    )  # fmt: skip


def generic_roles(columns: Columns) -> Roles | None:
    """Any common spelling of problem, answer and solution, one of the last two at least."""
    roles = columns.roles(problem=PROBLEM, answer=ANSWER, answer_type=ANSWER_TYPE, **KNOWN_OF_IT)
    if columns.mostly(roles.get("problem"), lambda value: messages_of(value) is not None):
        return None
    says_type = "answer_type" in roles
    if not says_type and columns.mostly(roles.get("answer"), lambda value: is_worked(value) or is_prose(value)):
        roles["worked"] = roles.pop("answer")
    else:
        spellings = SOLUTION if "answer" in roles else WORKED
        roles |= Columns(tuple(name for name in columns.names if name not in roles.values())).roles(worked=spellings)
    return roles if "problem" in roles and {"answer", "worked"} & set(roles) else None


def read_named(cells: Cells) -> dict[str, Any]:
    """Problem and answer as they are; a worked solution beside an answer is the expert solution."""
    row = known(cells) | {"problem": cells.get("problem"), "answer": single("answer", cells.get("answer"))}
    worked = cells["solution"] if "solution" in cells else cells.get("worked")
    row["solution"] = single("worked", worked) if isinstance(worked, list) else worked
    return row


def read_gsm8k(cells: Cells) -> dict[str, Any]:
    """The gold after ``####``; the rationale before it is the expert solution."""
    if not isinstance(cells.get("answer"), str):
        return known(cells) | {"problem": cells.get("problem"), "answer": cells.get("answer")}
    gold, rationale = gsm8k_parts(cells["answer"])
    return known(cells) | {"problem": cells.get("problem"), "answer": gold, "solution": rationale}


def read_worked(cells: Cells) -> dict[str, Any]:
    """The answer's column where it says something, else the answer that the worked solution marks."""
    worked, answer = single("worked", cells.get("worked")), single("answer", cells.get("answer"))
    row = known(cells) | {"problem": cells.get("problem"), "solution": worked}
    if isinstance(answer, str) and answer.strip().casefold() in NO_GOLD - {""}:
        raise UnusableCell("answer", answer, "This problem has no final answer to grade: leave the row out.")
    if not is_missing(answer):
        return row | {"answer": answer}
    if not isinstance(worked, str) or is_missing(worked):
        return row | {"answer": None if is_missing(worked) else worked}
    row["answer"], row["solution"] = gold_and_solution("worked", worked)
    return row


def known(cells: Cells) -> dict[str, Any]:
    """What is known of a problem beside its text and answer, as text; ``Level 5`` is the level 5."""
    row: dict[str, Any] = {
        name: cells.get(name) for name in ("problem_id", "source", "answer_type", "messages") if name in cells
    }
    for name in ("subject", "level"):
        value = cells.get(name)
        entries = value if isinstance(value, list) else [value]
        texts = [str(number_of(entry)) if number_of(entry) is not None else entry for entry in entries]
        row[name] = ", ".join(text.strip() for text in texts if isinstance(text, str))
    row["level"] = re.sub(r"(?i)^level\s*(?=[\d?])", "", str(row["level"]))
    return row
