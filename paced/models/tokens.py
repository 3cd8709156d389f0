"""Tokens of a model: which end a completion, which pad it, how many there are, and whether two tokenizers agree.

Student and teacher must share one tokenizer, because their distributions are compared token by token; they may differ
in everything else, the padding of the vocabulary included.
"""

from __future__ import annotations

import json
from typing import Any

from paced.errors import ConfigError


def end_tokens(model: Any, tokenizer: Any, end_of_answer: str = "") -> tuple[int, ...]:
    """Ids that end a completion of a loaded model; see :func:`ends_of`."""
    return ends_of(model.generation_config, tokenizer, end_of_answer)


def ends_of(generation_config: Any, tokenizer: Any, end_of_answer: str = "") -> tuple[int, ...]:
    """Ids that end a completion: those of the model's generation config, the tokenizer's, and the recipe's own.

    Chat models often end a turn with another token than a document; both end a completion here.

    Raises:
        ConfigError: neither names one, so that every completion would run into the token limit; an id that is not an
            integer, which would never be equal to a token.
    """
    ends: set[int] = set()
    for value in (getattr(generation_config, "eos_token_id", None), tokenizer.eos_token_id):
        ids = list(value) if isinstance(value, list | tuple | set) else [value] if value is not None else []
        if any(isinstance(one, bool) or not isinstance(one, int) for one in ids):
            raise ConfigError(
                f"generation_config.json: eos_token_id must be an integer or a list of them, got {value!r}."
            )
        ends |= {one for one in ids if 0 <= one < vocabulary_size(tokenizer)}  # others can end nothing
    if end_of_answer:
        ids = tokenizer.encode(end_of_answer, add_special_tokens=False)
        if len(ids) != 1:
            raise ConfigError(
                f"prompts.end_of_answer: must be one token of this tokenizer, got {end_of_answer!r}, which is "
                f"{len(ids)}."
            )
        ends.add(ids[0])
    if not ends:
        raise ConfigError(
            "student: neither generation_config.json nor the tokenizer names an end-of-sequence token of this "
            "tokenizer, so no completion would ever stop. Set eos_token_id in generation_config.json."
        )
    return tuple(sorted(ends))


def padding_token(tokenizer: Any, ends: tuple[int, ...]) -> int:
    """An id to pad with; padding is masked everywhere, so a tokenizer without one lends its first end token."""
    return int(tokenizer.pad_token_id) if tokenizer.pad_token_id is not None else ends[0]


def check_vocabulary(model: Any, tokenizer: Any, *, who: str) -> None:
    """Refuse a model whose embedding lacks rows for tokens that its tokenizer writes; extra rows are padding."""
    rows = model.get_input_embeddings().num_embeddings
    needed = vocabulary_size(tokenizer)
    if rows < needed:
        raise ConfigError(
            f"{who}: the embedding must have a row for every token, got {rows} rows for {needed} token ids. "
            "The folder mixes two models."
        )


def check_same_tokenizer(student: Any, teacher: Any) -> None:
    """Refuse a teacher whose tokenizer differs from the student's in any way that changes token ids.

    Compared are the vocabulary and how text is cut into tokens (normaliser, pre-tokenizer, merges). Padding, chat
    template and end-of-sequence token may differ: padding is masked, the prompts are each model's own, and a base
    student of an instruct teacher ends with another token (``preflight_models.py`` sees that it stops).

    Raises:
        ConfigError: the first differences found, by token.
    """
    faults = []
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    if ours != theirs:
        differing = sorted(token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token))
        shown = ", ".join(
            f"{token!r} {ours.get(token, 'absent')}/{theirs.get(token, 'absent')}" for token in differing[:3]
        )
        faults.append(f"{len(differing)} tokens have different ids (student/teacher: {shown})")
    if not faults and _cutting(student) != _cutting(teacher):
        faults.append("text is cut into tokens by different rules")
    if faults:
        raise ConfigError(
            f"teacher: must share the student's tokenizer, but {'; '.join(faults)}. Distillation compares the two "
            "distributions token by token; choose a teacher of the student's family."
        )


def vocabulary_size(tokenizer: Any) -> int:
    """One more than the largest token id that a tokenizer knows: rows of a head from there on are padding.

    ``len(tokenizer)`` counts tokens, which is less when ids are left out.
    """
    return max(tokenizer.get_vocab().values()) + 1


def absent_ids(tokenizer: Any) -> tuple[int, ...]:
    """Ids below :func:`vocabulary_size` that no token has: gaps that an added token leaves behind it."""
    known = set(tokenizer.get_vocab().values())
    return tuple(number for number in range(vocabulary_size(tokenizer)) if number not in known)


def _cutting(tokenizer: Any) -> Any:
    """How a fast tokenizer cuts text, as data; a slow one by its class."""
    core = getattr(tokenizer, "backend_tokenizer", None)
    if core is None:
        return type(tokenizer).__name__
    rules = json.loads(core.to_str())
    return {key: rules.get(key) for key in ("normalizer", "pre_tokenizer", "model")}
