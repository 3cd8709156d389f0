"""Completions that an engine could not get, after it has given all the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

Row = TypeVar("Row")


class MissingCompletions(OSError):  # noqa: N818 - named by what it holds
    """Some prompts have no completions, though every other one was given; asking again asks for these alone.

    Example:
        >>> print(MissingCompletions("server", {3: "http://a answered 400 (bad)", 8: "the same"}, of=10))
        server: 2 of 10 prompts lack completions: 3, 8 (of 3: http://a answered 400 (bad)). The others are done; run \
the same command again to ask for these alone.
    """

    SHOWN = 5

    def __init__(
        self, place: str, reasons: Mapping[int, str], *, of: int, names: Sequence[str] = (), also: str = ""
    ) -> None:
        """Say what is missing.

        Args:
            place: the engine's name.
            reasons: row of a prompt -> why it has no completions.
            of: how many prompts were asked for.
            names: what a reader calls the prompts, by row; empty to call them by number.
            also: a further sentence, e.g. which servers were lost.
        """
        self.place, self.reasons, self.of, self.also = place, dict(reasons), of, also
        rows = sorted(self.reasons)
        shown = [str(names[row]) if names else str(row) for row in rows[: self.SHOWN]]
        more = f" and {len(rows) - len(shown):,} more" if len(rows) > len(shown) else ""
        super().__init__(
            f"{place}: {len(rows):,} of {of:,} prompts lack completions: {', '.join(shown)}{more} (of {shown[0]}: "
            f"{self.reasons[rows[0]]}).{' ' + also if also else ''} The others are done; run the same command again "
            "to ask for these alone."
        )


def with_names(rows: Iterator[Row], names: Sequence[str]) -> Iterator[Row]:
    """The same rows; an error about missing ones calls the prompts by ``names`` instead of by number."""
    try:
        yield from rows
    except MissingCompletions as error:
        raise MissingCompletions(error.place, error.reasons, of=error.of, names=names, also=error.also) from error
