"""Numbers of the paper that ``tables.py`` leaves out: Tables 6 and 9, MMLU in Tables 7 and 8, the abstract.

Values are in per cent or points, as printed, as text, so that no check depends on binary rounding.
"""

from __future__ import annotations

from fractions import Fraction

from paced.errors import check_whole

EXPONENTS: dict[tuple[int, int], tuple[str, str]] = {
    (1, 1): ("94.0", "0.2"),
    (1, 2): ("95.4", "0.9"),
    (2, 1): ("91.5", "1.8"),
    (1, 3): ("94.9", "2.4"),
    (3, 1): ("90.3", "1.7"),
}
"""Table 6: (α, β) -> MATH-500 and forgetting on MMLU."""

FORGETTING: dict[str, dict[str, str]] = {
    "Table 7": {"K = 4": "0.2", "K = 8": "0.2", "K = 16": "0.3"},
    "Table 8": {"KL, KL": "0.2", "RevKL, RevKL": "0.1", "RevKL, KL": "0.3", "KL, RevKL": "0.1"},
}
"""The MMLU columns of Tables 7 and 8."""

MIGRATION: dict[str, tuple[str, str, str, str]] = {
    "Step 0": ("17", "51", "32", "0.61"),
    "Step 100": ("12", "32", "56", "0.70"),
    "Step 200": ("9", "24", "67", "0.78"),
    "Step 300": ("5", "21", "74", "0.84"),
}
"""Table 9: per cent of the problems with low, middle and high pass rate, and the average pass rate."""

ABSTRACT: dict[str, tuple[str, str]] = {"Table 2": ("7.5", "14.8"), "Table 3": ("9.8", "13.6")}
"""Gains over the base model that the abstract states: MATH-500 and AIME 2025."""


def trade_table() -> dict[str, list[str] | list[float]]:
    """Table 6: the exponents, forgetting and MATH-500.

    Example:
        >>> [column[1] for column in trade_table().values()]
        ['(1, 2)', 0.9, 95.4]
    """
    rows = EXPONENTS.items()
    return {
        "exponents": [str(row) for row, _ in rows],
        "forgetting": [float(forgotten) for _, (_, forgotten) in rows],
        "MATH-500": [float(score) for _, (score, _) in rows],
    }


def migration_table() -> dict[str, list[float]]:
    """Table 9: shares of the problems with low, middle and high pass rate against the training step.

    Example:
        >>> migration_table()["middle"]
        [0.51, 0.32, 0.24, 0.21]
    """
    shares = {
        name: [int(row[i]) / 100 for row in MIGRATION.values()] for i, name in enumerate(("low", "middle", "high"))
    }
    return {"step": [float(step.removeprefix("Step ")) for step in MIGRATION], **shares}


def kernel_peak(exponents: tuple[int, int]) -> Fraction:
    """α/(α+β) of a row of Table 6.

    Example:
        >>> kernel_peak((1, 2))
        Fraction(1, 3)
    """
    alpha, beta = (check_whole("kernel_peak", f"exponents[{i}]", value, low=0) for i, value in enumerate(exponents))
    if alpha + beta == 0:
        raise ValueError(f"kernel_peak: exponents must be >= 0 and not both 0, got {exponents}.")
    return Fraction(alpha, alpha + beta)


def middle_share(step: str) -> Fraction:
    """Share of the problems in the middle bin of Table 9.

    Example:
        >>> middle_share("Step 0")
        Fraction(51, 100)
    """
    if step not in MIGRATION:
        raise ValueError(f"middle_share: step must be one of {', '.join(MIGRATION)}, got {step!r}.")
    return Fraction(MIGRATION[step][1]) / 100
