"""Counts or outcomes: what a column such as ``correct`` means when a number of rollouts is in the same row.

Its name cannot tell: ``correct = 1`` beside ``total = 8`` is one pass of eight, or one of eight rollouts, which passed.
The rows can. Where each problem has one row, they are counts; where it has ``total`` rows with outcomes only, they are
rollouts. What fits neither is refused with both readings named, since a wrong guess makes every pass rate wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace

from paced.run.tablefile import Row
from paced.run.tablefile.cells import is_missing, number_of, shown
from paced.weights.table.rows import name_of, outcome_in, sample_of
from paced.weights.table.spellings import PERHAPS_RATE, Layout, plain_name


@dataclass
class _Seen:
    """What the rows show about the two columns."""

    rows: dict[Hashable, set[Hashable]] = field(default_factory=lambda: defaultdict(set))
    """Problem -> its rows, or the indices of its rollouts where there are any."""
    sizes: dict[Hashable, set[int | float]] = field(default_factory=lambda: defaultdict(set))
    """Problem -> what its rows say about the number of rollouts."""
    only_outcomes: bool = True
    """Nothing but 0, 1, truth values and verdicts in the first column."""
    only_whole: bool = True
    """Nothing but numbers without a decimal point in the first column."""
    only_rates: bool = True
    """Nothing but numbers in [0, 1] in the first column."""
    fractions: bool = False
    """A number strictly between 0 and 1 in the first column."""
    only_ones: bool = True
    """Nothing but 1 in the second column."""


def decide(file: str, layout: Layout, rows: Iterable[Row]) -> Layout:
    """Read the rows of a file whose layout is ``either`` and say whether they are ``counts`` or ``samples``.

    Args:
        file: what the message calls it.
        layout: as the names of the columns tell.
        rows: all of the file; faults in them are left to the reading that is decided on.

    Raises:
        ValueError: neither reading fits.
    """
    seen = _look(layout, rows)
    if not seen.sizes:  # a column of texts that happens to be called 'samples'
        return replace(layout, kind="samples", second="", also_rollouts=())
    if seen.only_rates and seen.fractions and plain_name(layout.first) in PERHAPS_RATE:
        return replace(layout, kind="counts", rate=True)
    once = not layout.sample_index and all(len(members) == 1 for members in seen.rows.values())
    if not seen.only_outcomes or (once and seen.only_whole):
        return replace(layout, kind="counts")
    complete = not once and all(sizes == {len(seen.rows[name])} for name, sizes in seen.sizes.items())
    if seen.only_ones or complete:
        return replace(layout, kind="samples")
    raise ValueError(_neither(file, layout, seen))


def _look(layout: Layout, rows: Iterable[Row]) -> _Seen:
    seen = _Seen()
    for row, record in rows:
        name = row if layout.problem_id is None else name_of(record, layout, row, [])
        seen.rows[name].add(sample_of(record, layout, row, []) if layout.sample_index else row)
        value, size = record.get(layout.first), number_of(record.get(layout.second))
        if size is not None:
            seen.sizes[name].add(size)
            seen.only_ones &= size == 1
        if not is_missing(value):
            number = number_of(value)
            seen.only_rates &= number is not None and 0 <= number <= 1
            seen.fractions |= number is not None and 0 < number < 1
            seen.only_outcomes &= outcome_in(value) is not None
            written = str(value).strip().lstrip("+-")
            seen.only_whole &= not isinstance(value, (bool, float)) and written.isascii() and written.isdigit()
    return seen


def _neither(file: str, layout: Layout, seen: _Seen) -> str:
    first, second = shown(layout.first), shown(layout.second)
    name, sizes = next(
        (item for item in seen.sizes.items() if item[1] != {len(seen.rows[item[0]])}), next(iter(seen.sizes.items()))
    )
    said = " and ".join(f"{size:g}" for size in sorted(sizes))
    numbered = ", or call it sample_index if it numbers the rollouts of a problem" if len(sizes) > 1 else ""
    num_rows = len(seen.rows[name])
    return (
        f"{file}: {first} beside {second} can be read in two ways, and the rows fit neither: problem {shown(name)} has "
        f"{num_rows} row{'s' if num_rows > 1 else ''}, {second} says {said}, and {first} holds outcomes only. "
        f"If {first} counts the passes, write it in whole numbers and one row for each problem; if each row is one "
        f"rollout, remove {second}{numbered}."
    )
