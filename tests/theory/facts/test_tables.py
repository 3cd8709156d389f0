"""Which printed percentages a mean over problems and samples can be."""

from __future__ import annotations

from fractions import Fraction

import pytest

from paced.theory.facts.tables import reachable


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
