"""Rows of a data set, as users of transformers and TRL have them, as the examples that the loss takes.

=================== ==================================================================== =================
column              what                                                                 without it
=================== ==================================================================== =================
``prompt``          text, token ids, or messages ``[{"role": …, "content": …}]``         refused
``completion``      text (the end-of-sequence token is added) or token ids (as they are) refused
``weight``          w >= 0 of the problem, in any unit                                   1
``teacher_prompt``  what the teacher reads instead, such as the expert solution          the student's
=================== ==================================================================== =================

An :class:`Example` is a row as well. Left out: truncation; a sequence that does not fit is the caller's to leave out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from paced.errors import ArgumentTypeError
from paced.train.examples import Example

COLUMNS = ["prompt", "completion", "weight", "teacher_prompt"]


class Rows:
    """Turns rows into examples; a collator for ``transformers.Trainer``."""

    def __init__(self, tokenizer: Any, *, mean_weight: float = 1.0) -> None:
        """Write tokens with ``tokenizer`` and divide each row's weight by ``mean_weight``."""
        self.tokenizer, self.mean_weight = tokenizer, mean_weight

    def __call__(self, rows: Sequence[Any]) -> dict[str, list[Example]]:
        """A micro-batch: ``{"examples": [...]}``."""
        return {"examples": [self.example(row) for row in rows]}

    def example(self, row: Example | Mapping[str, Any]) -> Example:
        """One row as an example.

        Raises:
            ValueError, TypeError: a column that is absent, empty or of a wrong type, or a negative weight.
        """
        if isinstance(row, Example):
            return row
        absent = [name for name in COLUMNS[:2] if row.get(name) is None]
        if absent:
            raise ValueError(f"Rows: a row must have {' and '.join(absent)}, got the columns {', '.join(row)}.")
        student = self._prompt(row["prompt"], "prompt")
        shown = row.get("teacher_prompt")
        return Example(
            problem_id=str(row.get("problem_id", "")),
            sample_index=0,
            student_prompt_ids=student,
            teacher_prompt_ids=student if shown is None else self._prompt(shown, "teacher_prompt"),
            completion_ids=self.completion(row["completion"]),
            unit_mean_weight=weight_of(row) / self.mean_weight,
        )

    def _prompt(self, value: Any, column: str) -> tuple[int, ...]:
        if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            text = self.tokenizer.apply_chat_template(list(value), tokenize=False, add_generation_prompt=True)
            ids = self._ids(self.tokenizer(text, add_special_tokens=False)["input_ids"], column)
        else:
            ids = self._ids(self.tokenizer(value)["input_ids"] if isinstance(value, str) else value, column)
        if not ids:
            raise ValueError(f"Rows: {column} must have at least one token, got none.")
        return ids

    def completion(self, value: Any) -> tuple[int, ...]:
        """Token ids of a completion: text with the end-of-sequence token, or ids as they are."""
        if not isinstance(value, str):
            return self._ids(value, "completion")
        ids = self._ids(self.tokenizer(value, add_special_tokens=False)["input_ids"], "completion")
        end = self.tokenizer.eos_token_id
        return ids if end is None else (*ids, end)

    def _ids(self, value: Any, column: str) -> tuple[int, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(one, int) for one in value):
            raise ArgumentTypeError(f"Rows: {column} must be text or a list of token ids, got {type(value).__name__}.")
        return tuple(value)


def weight_of(row: Example | Mapping[str, Any]) -> float:
    """The weight of a row; 1 for a row without one.

    Raises:
        ValueError: negative, or not finite.
    """
    if isinstance(row, Example):
        return row.unit_mean_weight
    given = row.get("weight")
    weight = 1.0 if given is None else float(given)
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"Rows: weight must be finite and >= 0, got {weight}.")
    return weight


def mean_weight(dataset: Any) -> float:
    """The mean of the weights of a data set with a length; 1 where all are 0, so that nothing is divided by it.

    Example:
        >>> mean_weight([{"prompt": "a", "weight": 1.0}, {"prompt": "b", "weight": 4.0}])
        2.5
    """
    names = getattr(dataset, "column_names", None)
    if names is not None:
        weights = [weight_of({"weight": value}) for value in dataset["weight"]] if "weight" in names else [1.0]
    else:
        weights = [weight_of(dataset[index]) for index in range(len(dataset))]
    return (math.fsum(weights) / len(weights) if weights else 0.0) or 1.0
