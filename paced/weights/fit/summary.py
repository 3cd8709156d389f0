"""The text table of a fit: its layout, and how a number is written in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH = 78


class SummaryRow(NamedTuple):
    """One estimated quantity with its uncertainty."""

    name: str
    estimate: float
    standard_error: float
    low: float
    high: float


def summary_text(
    title: str, *, facts: Sequence[str], rows: Sequence[SummaryRow], level: float, notes: Sequence[str]
) -> str:
    """A title, lines of facts, one line for each row under a header, and lines of notes, between rules."""
    percent = f"{100 * level:g}% interval"
    lines = [
        "=" * WIDTH,
        title,
        "=" * WIDTH,
        *facts,
        "-" * WIDTH,
        f"{'':<27}{'estimate':>12}{'std. error':>12}{percent:>26}",
        "-" * WIDTH,
    ]
    for row in rows:
        interval = f"[{number_text(row.low)}, {number_text(row.high)}]"
        lines.append(
            f"{row.name:<27}{number_text(row.estimate):>12}{number_text(row.standard_error):>12}{interval:>26}"
        )
    return "\n".join([*lines, "-" * WIDTH, *notes, "=" * WIDTH])


def number_text(value: float) -> str:
    """Four decimals, ``-`` for NaN.

    Example:
        >>> number_text(0.5), number_text(math.inf), number_text(math.nan)
        ('0.5000', 'inf', '-')
    """
    if math.isnan(value):
        return "-"
    return "inf" if value == math.inf else f"{value:.4f}"
