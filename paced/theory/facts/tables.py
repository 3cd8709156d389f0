"""The numbers of the paper's tables, as printed, and the arithmetic that they must satisfy.

Values are in per cent, as decimals with one digit, kept as fractions so that no check depends on binary rounding.
Left out: Table 10 (settings) and Figure 3, whose numbers are not printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import floor

from paced.errors import check_whole

REASONING: dict[str, dict[str, tuple[str, str, str]]] = {
    "Table 2": {
        "Base": ("86.5", "28.7", "20.8"),
        "Forward KL (unweighted)": ("90.4", "35.9", "29.3"),
        "Hard Filter Forward KL": ("92.7", "39.5", "33.9"),
        "AKL": ("91.9", "39.8", "34.1"),
        "Paced Forward KL": ("94.0", "41.6", "35.6"),
    },
    "Table 3": {
        "Base": ("83.9", "19.6", "11.5"),
        "Reverse KL (unweighted)": ("90.4", "25.3", "16.9"),
        "Hard Filter Reverse KL": ("92.0", "28.9", "22.0"),
        "AKL": ("91.4", "28.2", "21.5"),
        "Paced Reverse KL": ("93.7", "31.6", "25.1"),
    },
    "Table 7": {
        "K = 4": ("92.8", "40.1", "34.2"),
        "K = 8": ("94.0", "41.6", "35.6"),
        "K = 16": ("94.5", "42.5", "36.2"),
    },
    "Table 8": {
        "KL, KL": ("94.0", "41.6", "35.6"),
        "RevKL, RevKL": ("93.2", "40.9", "35.3"),
        "RevKL, KL": ("92.1", "38.9", "33.7"),
        "KL, RevKL": ("95.6", "43.9", "37.5"),
    },
}
"""MATH-500, AIME 2024 and AIME 2025 (30 problems each), mean@8."""

MMLU: dict[str, dict[str, tuple[str, str | None]]] = {
    "Table 4": {
        "Base": ("73.2", None),
        "Forward KL (unweighted)": ("66.4", "6.8"),
        "Hard Filter Forward KL": ("70.7", "2.5"),
        "AKL": ("68.6", "2.8"),
        "Paced Forward KL": ("73.0", "0.2"),
    },
    "Table 5": {
        "Base": ("70.6", None),
        "Reverse KL (unweighted)": ("68.4", "2.2"),
        "Hard Filter Reverse KL": ("70.1", "0.5"),
        "AKL": ("69.8", "0.8"),
        "Paced Reverse KL": ("70.0", "0.6"),
    },
}
"""MMLU after training, and the forgetting printed beside it."""

AIME_PROBLEMS = 30


def forgetting_table() -> dict[str, list[str] | list[float]]:
    """Base minus after, and the forgetting printed beside it, for each method of Tables 4 and 5.

    Example:
        >>> [column[2] for column in forgetting_table().values()]
        ['AKL, T4', 4.6, 2.8]
    """
    methods, differences, printed = [], [], []
    for table, rows in MMLU.items():
        for method, (after, beside) in rows.items():
            if beside is not None:
                short = method.removesuffix(" Forward KL").removesuffix(" Reverse KL")
                methods.append(f"{'Unweighted' if '(' in method else short}, T{table[-1]}")
                differences.append(float(Fraction(rows["Base"][0]) - Fraction(after)))
                printed.append(float(beside))
    return {"method": methods, "base minus after": differences, "printed": printed}


def mean_at_k_table(values: Mapping[str, str], *, num_samples: int = 8) -> dict[str, list[float]]:
    """Each printed AIME value with the distance from it to the nearest mean@k, in points.

    Example:
        >>> {name: [round(x, 3) for x in column] for name, column in mean_at_k_table({"Base": "28.7"}).items()}
        {'printed': [28.7], 'nearest mean@8 minus printed': [0.05]}
    """
    total = AIME_PROBLEMS * num_samples
    exact = [Fraction(value) for value in values.values()]
    distances = [Fraction(100 * round(value * total / 100), total) - value for value in exact]
    return {
        "printed": [float(value) for value in exact],
        f"nearest mean@{num_samples} minus printed": [float(distance) for distance in distances],
    }


def reachable(percent: str, *, num_problems: int, num_samples: int) -> tuple[str, ...]:
    """How a printed percentage can come from one mean@k: ``rounded``, ``cut``, both or neither.

    mean@k on n problems is a multiple of 1/(n k); a printed value is reachable when such a multiple prints as it.

    Args:
        percent: as printed, e.g. "41.6".
        num_problems: n >= 1.
        num_samples: k >= 1.

    Example:
        >>> reachable("28.7", num_problems=30, num_samples=8), reachable("41.6", num_problems=30, num_samples=8)
        (('cut',), ('cut',))
        >>> reachable("35.9", num_problems=30, num_samples=8)
        ()
    """
    check_whole("reachable", "num_problems", num_problems, low=1)
    check_whole("reachable", "num_samples", num_samples, low=1)
    decimals = len(percent.partition(".")[2])
    unit = Fraction(1, 10**decimals)
    printed, total = Fraction(percent), num_problems * num_samples
    below = floor(printed * total / 100)
    values = [Fraction(100 * count, total) for count in range(max(0, below - 1), min(total, below + 2) + 1)]
    ways = []
    if any(2 * abs(value - printed) < unit or 2 * (printed - value) == unit for value in values):
        ways.append("rounded")
    if any(printed <= value < printed + unit for value in values):
        ways.append("cut")
    return tuple(ways)
