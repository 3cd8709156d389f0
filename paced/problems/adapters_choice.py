"""Adapter for questions with options (MMLU, MMLU-Pro, ARC): these are part of the problem, the answer is a letter."""

from __future__ import annotations

import string
from typing import Any

from paced.problems.adapters_named import known
from paced.problems.columns import Cells, Columns, Roles, UnusableCell, structured
from paced.problems.spellings import CHOICES, KNOWN_OF_IT
from paced.run.tablefile.cells import is_missing, number_of

LETTERS = string.ascii_uppercase[:10]
"""Options that the answer type ``choice`` knows."""


def choice_roles(columns: Columns) -> Roles | None:
    """MMLU and its like: question, a list of options, and which of them is right."""
    roles = columns.roles(
        problem=("question", "problem", "query", "prompt"), choices=CHOICES,
        answer=("answer", "answer_index", "answerKey", "label", "target"), **KNOWN_OF_IT,
    )  # fmt: skip
    if not {"problem", "choices", "answer"} <= set(roles):
        return None
    return (
        roles if columns.mostly(roles["choices"], lambda value: isinstance(structured(value), (list, dict))) else None
    )


def read_choice(cells: Cells) -> dict[str, Any]:
    """The question with its options lettered below it; a class label, a letter or an option's text as the letter."""
    options, marks = _options(cells.get("choices"))
    row = known(cells) | {"problem": cells.get("problem"), "answer": None, "answer_type": "choice"}
    if is_missing(cells.get("answer")) or not isinstance(cells.get("problem"), str):
        return row
    place = _place(cells["answer"], options, marks)
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return row | {"problem": "\n".join([cells["problem"].rstrip(), "", *lines]), "answer": LETTERS[place]}


def _options(value: object) -> tuple[list[str], list[str]]:
    """(texts, the marks that the data set gives them) of the options; ARC writes both, MMLU the texts."""
    options: Any = structured(value)
    marks: Any = None
    if isinstance(options, dict):
        options, marks = options.get("text"), options.get("label")
    value = options
    if not isinstance(value, list) or not 2 <= len(value) <= len(LETTERS) or not all(_is_option(one) for one in value):
        raise UnusableCell("choices", value, f"Write a list of 2 to {len(LETTERS)} options, each a text.")
    texts = [str(one).strip() for one in value]
    return texts, [str(mark) for mark in marks] if isinstance(marks, list) and len(marks) == len(texts) else []


def _is_option(value: object) -> bool:
    return not is_missing(value) and isinstance(value, (str, int, float))


def _place(answer: object, options: list[str], marks: list[str]) -> int:
    """The index of the right option from its label (0 is the first), its letter, its mark or its text."""
    text = str(answer).strip()
    if text in marks:
        return marks.index(text)
    number = number_of(answer)
    if isinstance(number, int) and 0 <= number < len(options):
        return number
    letter = text.strip("().").upper()
    if len(letter) == 1 and letter in LETTERS[: len(options)]:
        return LETTERS.index(letter)
    if options.count(text) == 1:
        return options.index(text)
    raise UnusableCell(
        "answer", answer, f"Write which option is right: 0 to {len(options) - 1}, or A to {LETTERS[len(options) - 1]}."
    )
