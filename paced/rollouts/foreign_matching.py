"""Which problem a row of another tool's file belongs to: by id, or by a text that the problem alone has.

Of ids and texts only 64-bit hashes are kept, so that memory does not depend on how long they are.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from paced.errors import BadRow
from paced.records import Problem
from paced.rollouts.foreign_rows import Layout, cell, id_of, message_text
from paced.run.recordfile import Places
from paced.run.seeds import text_key
from paced.run.tablefile import shown

SHARED = -1
"""In the place of a problem, for a text that several have."""


class Matching:
    """The problems whose completions are needed come first; behind them those whose rows are passed over."""

    def __init__(
        self, problems: Sequence[Problem], others: Sequence[Problem] | None, prompts: Mapping[str, Iterable[str]]
    ) -> None:
        """Hash ids and texts.

        Args:
            problems: whose completions are needed, ids unique.
            others: whose rows are passed over; None passes over every row of none of ``problems``.
            prompts: problem id -> further texts by which a row may name the problem.
        """
        self.passes_over = others is None
        self._problems = problems
        wanted = Places(problem.problem_id for problem in problems)
        self._others = [problem for problem in others or () if wanted.get(problem.problem_id) is None]
        self._ids = Places(problem.problem_id for some in (problems, self._others) for problem in some)
        self._texts = _Texts((problems, self._others), prompts)

    def place_of(self, record: Mapping[str, Any], layout: Layout, row: int, faults: list[BadRow]) -> int | None:
        """The place of a row's problem; None for one that is passed over or at fault."""
        column = layout.columns.get("problem_id")
        if column is None:
            return self._by_text(record, layout.columns["prompt"], row, faults)
        value = cell(record, column)
        name, fix = id_of(value)
        place = self._ids.get(name)
        if not fix and place is None:
            if self.passes_over:
                return None
            first = self._problems[0].problem_id if len(self._problems) else ""
            fix = f"No problem has this id; theirs are like {shown(first)}."
        by_text = self._texts.place_of(message_text(cell(record, layout.columns.get("prompt", ""))))
        if not fix and by_text not in (None, SHARED, place):
            fix = f"By its {layout.columns['prompt']} the row belongs to the problem {shown(self._id_at(by_text))}."
        if fix:
            faults.append(BadRow(row=row, column=column, found=shown(value), fix=fix))
            return None
        return place

    def _by_text(self, record: Mapping[str, Any], column: str, row: int, faults: list[BadRow]) -> int | None:
        said = message_text(cell(record, column))
        place = self._texts.place_of(said)
        is_text = isinstance(said, str) and bool(said.split())
        if place not in (None, SHARED) or (place is None and is_text and self.passes_over):
            return place
        fix = "No problem, and no prompt of one, has this text: name the column of the problem's id."
        if place == SHARED:
            fix = "Several problems have this text: name the column of the problem's id."
        elif not is_text:
            fix = "Write the text of the problem or of its prompt."
        faults.append(BadRow(row=row, column=column, found=shown(said), fix=fix))
        return None

    def _id_at(self, place: int) -> str:
        known = len(self._problems)
        return (self._problems[place] if place < known else self._others[place - known]).problem_id


class _Texts:
    """Where the problem is that a text belongs to, white space made equal."""

    def __init__(self, problems: Iterable[Sequence[Problem]], prompts: Mapping[str, Iterable[str]]) -> None:
        keys, places = array("Q"), array("i")
        for place, problem in enumerate(problem for some in problems for problem in some):
            for text in {problem.problem, *prompts.get(problem.problem_id, ())}:
                keys.append(text_key(" ".join(text.split())))
                places.append(place)
        order = np.argsort(np.array(keys, dtype=np.uint64), kind="stable")  # [num_texts]
        self._keys, first = np.unique(np.array(keys, dtype=np.uint64)[order], return_index=True)  # [num_keys]
        self._places = np.zeros(0, dtype=np.int64)
        if len(order):
            of_key = np.array(places, dtype=np.int64)[order]  # [num_texts]
            least, most = np.minimum.reduceat(of_key, first), np.maximum.reduceat(of_key, first)  # [num_keys]
            self._places = np.where(least == most, least, SHARED)  # [num_keys]

    def place_of(self, text: Any) -> int | None:
        """Its place, :data:`SHARED`, or None for what is not the text of a problem."""
        words = text.split() if isinstance(text, str) else []
        key = np.uint64(text_key(" ".join(words)))
        at = int(np.searchsorted(self._keys, key))
        return int(self._places[at]) if words and at < len(self._keys) and self._keys[at] == key else None
