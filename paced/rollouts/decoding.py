"""From sampled tokens to the text that is kept and graded; needs no model, so that others' are read alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paced.grading.extract import is_thinking_mark


def decoded(tokenizer: Any, rows: Sequence[Sequence[int]]) -> list[str]:
    """Texts of token rows without control tokens, except for those that mark thinking: the grader must see these."""
    control = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
    marks = {token_id for token_id, token in control.items() if is_thinking_mark(token)}
    if not marks:
        return tokenizer.batch_decode(rows, skip_special_tokens=True)
    hidden = control.keys() - marks
    return tokenizer.batch_decode(
        [[one for one in row if one not in hidden] for row in rows], skip_special_tokens=False
    )
