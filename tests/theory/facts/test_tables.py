"""Which printed percentages a mean over problems and samples can be."""

from __future__ import annotations

from fractions import Fraction

import pytest

from paced.theory.facts.tables import MMLU, REASONING, reachable


@pytest.mark.parametrize(("problems", "samples"), [(3, 1), (30, 8), (7, 5)])
@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_reachable_is_what_enumerating_every_count_prints(problems, samples, decimals):
    scale = 10**decimals
    values = [Fraction(100 * count, problems * samples) for count in range(problems * samples + 1)]
    cut = {value * scale // 1 for value in values}
    rounded = {(value * scale + Fraction(1, 2)) // 1 for value in values}  # halves up
    for n in range(0, 100 * scale + 1, 7):
        text = f"{n // scale}" + (f".{n % scale:0{decimals}d}" if decimals else "")
        want = tuple(name for name, group in (("rounded", rounded), ("cut", cut)) if n in group)
        assert reachable(text, num_problems=problems, num_samples=samples) == want


SUMS = {
    "Table 2": ("455.5", "185.5", "153.7"), "Table 3": ("451.4", "133.6", "97.0"),
    "Table 7": ("281.3", "124.2", "106.0"), "Table 8": ("374.9", "165.3", "142.1"),
    "Table 4": ("351.9", "12.3"), "Table 5": ("348.9", "4.1"),
}  # fmt: skip
"""Every column of the printed tables, added up: a number mistyped on either side shows."""


@pytest.mark.parametrize("table", SUMS)
def test_the_columns_of_the_tables_have_their_sums(table):
    rows = (REASONING | MMLU)[table].values()
    assert [sum(Fraction(x) for x in column if x) for column in zip(*rows, strict=True)] == [
        *map(Fraction, SUMS[table])
    ]
