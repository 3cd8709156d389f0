"""Whether a prompt and its completion fit into a model's context.

A prompt that leaves no room is refused before it is sampled: some servers shorten ``max_new_tokens`` in silence, report
``length``, and a pass rate would measure the limit instead of the student.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TooLong:
    """A prompt that does not fit together with the completion that was asked for."""

    row: int
    """Its place among the prompts."""
    prompt_tokens: int
    max_new_tokens: int
    context_tokens: int
    """What the model takes in all."""

    def __str__(self) -> str:
        return (
            f"{self.prompt_tokens:,} tokens and {self.max_new_tokens:,} new ones do not fit into a context of "
            f"{self.context_tokens:,}"
        )


def too_long(
    prompts: Sequence[Sequence[int]], *, max_new_tokens: int, context_tokens: int | None
) -> tuple[TooLong, ...]:
    """The prompts that do not fit, in their order; none when the limit is unknown.

    Args:
        prompts: token ids of each prompt.
        max_new_tokens: length limit of a completion, >= 1.
        context_tokens: prompt and completion together, as :attr:`paced.rollouts.engine.Engine.context_tokens`.

    Example:
        >>> str(*too_long([[1, 2], [1, 2, 3]], max_new_tokens=6, context_tokens=8))
        '3 tokens and 6 new ones do not fit into a context of 8'
    """
    if context_tokens is None:
        return ()
    room = context_tokens - max_new_tokens
    return tuple(
        TooLong(row, len(prompt), max_new_tokens, context_tokens)
        for row, prompt in enumerate(prompts)
        if len(prompt) > room
    )


def refuse_too_long(
    place: str, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, context_tokens: int | None
) -> None:
    """Refuse prompts that do not fit, all at once.

    Args:
        place: what the error begins with, e.g. the engine's name.
        prompts: as for :func:`too_long`.
        max_new_tokens: as there.
        context_tokens: as there.

    Raises:
        ValueError: with how many there are, and the place and length of the longest.
    """
    unfitting = too_long(prompts, max_new_tokens=max_new_tokens, context_tokens=context_tokens)
    if unfitting:
        longest = max(unfitting, key=lambda one: one.prompt_tokens)
        raise ValueError(
            f"{place}: prompts and completions must fit into the model's context, got {len(unfitting):,} of "
            f"{len(prompts):,} prompts that do not; of the longest, prompt {longest.row}, {longest}. Lower "
            "max_new_tokens, or leave them out."
        )
