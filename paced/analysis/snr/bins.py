"""SNR against pass rate: bins, pooled and debiased values with intervals over problems (see ``bin_intervals.py``).

Within a bin the debiased SNR² is ΣU/ΣV over its problems, never a mean of ratios. The cross-problem form asks how much
the problems' *mean* gradients differ at equal pass rate, the noise of the theory's Definition 2. It uses equally many
problems in every bin, because its raw form reads 1/√(n−1) for pure noise in a bin of n: unequal bins draw a bell.
Left out: measuring (``measure.py``), the kernel that fits the problems (``exponents.py``) and drawing (``figure.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from paced.analysis.snr.bin_intervals import Interval, between_interval, mean_interval, ratio_interval
from paced.analysis.snr.estimators import check_gram, plug_in_floor
from paced.analysis.snr.rows import ProblemSnr
from paced.arrays import Floats, Integers
from paced.errors import check_choice
from paced.records import PassRate

Binning = Literal["width", "count"]
FEW = 5
"""A bin of fewer problems is named in the warnings: its value says little."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BinSnr:
    """One bin of the curve. SNR forms are amplitudes, the debiased one a square that may be negative."""

    low: float
    """Lower edge of the pass-rate bin."""
    high: float
    """Upper edge."""
    pass_rate: float
    """Mean pass-rate estimate of its problems."""
    num_passed: int
    """Passes of all its problems together."""
    num_graded: int
    """Graded rollouts of all its problems together."""
    num_problems: int
    """Problems in the bin."""
    num_degenerate: int
    """Of these, problems whose rollouts are all alike: Eq. (8) is 0/0 there."""
    paper_snr: float
    """Mean of Eq. (8) over the problems that have one; NaN when none has."""
    paper_snr_low: float
    paper_snr_high: float
    guarded_snr: float
    """Mean of the guarded form."""
    guarded_snr_low: float
    guarded_snr_high: float
    debiased_snr_squared: float
    """ΣU/ΣV; NaN when there is no noise at all."""
    debiased_snr_squared_low: float
    debiased_snr_squared_high: float
    debiased_variance: float
    """Variance of it over draws of problems."""
    null_snr: float
    """Mean of Eq. (8) under sign flips."""
    floor: float
    """What Eq. (8) reads for pure noise in many dimensions, 1/√(K−1) at the mean K."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossBin:
    """Signal against the spread between problems of one bin."""

    low: float
    """Lower edge of the pass-rate bin."""
    high: float
    """Upper edge."""
    pass_rate: float
    """Mean pass-rate estimate of the problems used."""
    num_problems: int
    """Problems used, the same in every bin."""
    debiased_snr_squared: float
    """U/V of the problems' mean gradients."""
    debiased_snr_squared_low: float
    debiased_snr_squared_high: float
    raw_snr: float
    """‖mean‖/spread as an amplitude, with its floor 1/√(n−1): only an illustration."""


def bin_edges(pass_rates: ArrayLike, *, num_bins: int = 10, binning: Binning = "width") -> Floats:
    """Edges [num_bins + 1] from 0 to 1, of equal width or with about equally many problems in each bin.

    Edges: equal counts with tied pass rates give fewer bins, since equal estimates cannot be told apart.

    Example:
        >>> bin_edges([0.0, 0.1, 0.2, 0.9], num_bins=2, binning="count").round(3).tolist()
        [0.0, 0.15, 1.0]
    """
    p = np.asarray(pass_rates, dtype=np.float64)
    if num_bins < 1:
        raise ValueError(f"bin_edges: num_bins must be >= 1, got {num_bins}.")
    if p.size == 0 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("bin_edges: pass_rates must hold at least one value, all in [0, 1].")
    check_choice("bin_edges", "binning", binning, get_args(Binning))
    if binning == "width":
        return np.linspace(0, 1, num_bins + 1)
    inner = np.quantile(p, np.linspace(0, 1, num_bins + 1)[1:-1])
    return np.unique(np.concatenate([[0.0], inner, [1.0]]))


def bin_index(pass_rates: ArrayLike, edges: Floats) -> Integers:
    """Which bin [low, high) each pass rate is in; 1 belongs to the last.

    Example:
        >>> bin_index([0.0, 0.5, 1.0], np.array([0.0, 0.5, 1.0])).tolist()
        [0, 1, 1]
    """
    index = np.searchsorted(edges, np.asarray(pass_rates, dtype=np.float64), side="right") - 1
    return np.clip(index, 0, len(edges) - 2).astype(np.int64)


def choose_equally(pass_rates: ArrayLike, *, edges: Floats, per_bin: int, seed: int = 0) -> Integers:
    """Indices of at most ``per_bin`` problems of every bin, drawn with ``seed``, in their order.

    Example:
        >>> choose_equally([0.1, 0.2, 0.3, 0.9], edges=np.array([0.0, 0.5, 1.0]), per_bin=1).size
        2
    """
    bins, rng = bin_index(pass_rates, edges), np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(bins == number))[:per_bin] for number in range(len(edges) - 1)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def snr_curve(
    rows: Sequence[ProblemSnr],
    pass_rates: Mapping[str, PassRate],
    *,
    num_bins: int = 10,
    binning: Binning = "width",
) -> list[BinSnr]:
    """The bins that contain problems, lowest pass rate first.

    Args:
        rows: of one loss, see ``lm_head_snr``.
        pass_rates: of the same problems by id, best from other rollouts than the gradients'.
        num_bins: most bins.
        binning: ``width`` or ``count``.
    """
    known = [row for row in rows if row.problem_id in pass_rates and pass_rates[row.problem_id].num_rollouts]
    if not known:
        return []
    rates = [pass_rates[row.problem_id] for row in known]
    p = np.array([rate.pass_rate_estimate for rate in rates])
    edges = bin_edges(p, num_bins=num_bins, binning=binning)
    bins = bin_index(p, edges)
    curve = []
    for number in range(len(edges) - 1):
        inside = np.flatnonzero(bins == number)
        if inside.size:
            members, counts = [known[i] for i in inside], [rates[i] for i in inside]
            curve.append(_bin(members, counts, edges[number], edges[number + 1]))
    return curve


def _bin(rows: list[ProblemSnr], rates: list[PassRate], low: float, high: float) -> BinSnr:
    debiased = ratio_interval([row.signal for row in rows], [row.noise for row in rows])
    null = [row.null_snr for row in rows if np.isfinite(row.null_snr)]
    return BinSnr(
        low=float(low), high=float(high),
        pass_rate=float(np.mean([rate.pass_rate_estimate for rate in rates])),
        num_passed=sum(rate.num_passed for rate in rates), num_graded=sum(rate.num_rollouts for rate in rates),
        num_problems=len(rows), num_degenerate=sum(row.degenerate for row in rows),
        **_columns("paper_snr", mean_interval([row.paper_snr for row in rows if not row.degenerate])),
        **_columns("guarded_snr", mean_interval([row.guarded_snr for row in rows])),
        **_columns("debiased_snr_squared", debiased), debiased_variance=debiased.variance,
        null_snr=float(np.mean(null)) if null else float("nan"),
        floor=plug_in_floor(round(float(np.mean([row.num_rollouts for row in rows])))),
    )  # fmt: skip


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def cross_bin(gram: ArrayLike, *, low: float, high: float, pass_rate: float) -> CrossBin:
    """Signal and spread of the mean gradients of one bin's problems, from their Gram matrix.

    U is the mean of <ḡ_x, ḡ_y> over pairs of different problems, V the mean of ‖ḡ_x‖² minus U. V contains what is
    left of the rollout noise, tr Σ_x/K, as well.

    Args:
        gram: <ḡ_x, ḡ_y> [n, n], n >= 4.
        low: lower edge of the bin.
        high: upper edge.
        pass_rate: mean pass rate of the n problems.
    """
    G = check_gram("cross_bin", gram)
    if len(G) < 4:
        raise ValueError(f"cross_bin: gram must hold at least 4 problems, got {len(G)}.")
    mean_square = float(G.mean())
    spread = float(np.trace(G)) / len(G) - mean_square
    return CrossBin(
        low=low, high=high, pass_rate=pass_rate, num_problems=len(G),
        **_columns("debiased_snr_squared", between_interval(G)),
        raw_snr=float(np.sqrt(max(mean_square, 0.0) / spread)) if spread > 0 else float("nan"),
    )  # fmt: skip


def equal_groups(pass_rates: ArrayLike, edges: Floats, *, at_least: int = FEW, seed: int = 0) -> dict[int, list[int]]:
    """Indices of equally many problems for every bin of ``at_least`` problems: as many as the smallest such bin has.

    Example:
        >>> {k: len(v) for k, v in equal_groups([0.1] * 9 + [0.9] * 6 + [0.5], np.linspace(0, 1, 4)).items()}
        {0: 6, 2: 6}
    """
    bins = bin_index(pass_rates, edges)
    sizes = np.bincount(bins, minlength=len(edges) - 1)
    usable = np.flatnonzero(sizes >= at_least).tolist()
    if not usable:
        return {}
    smallest, rng = int(sizes[usable].min()), np.random.default_rng(seed)
    return {number: sorted(rng.permutation(np.flatnonzero(bins == number))[:smallest].tolist()) for number in usable}


def curve_warnings(curve: Sequence[BinSnr], *, same_rollouts: bool) -> list[str]:
    """What a reader of the curve must know: thin bins, degenerate problems, pass rates from the gradients' rollouts."""
    notes = []
    few = [f"[{one.low:.2f}, {one.high:.2f}): {one.num_problems}" for one in curve if one.num_problems < FEW]
    if few:
        notes.append(f"Bins with fewer than {FEW} problems, by pass rate: {', '.join(few)}.")
    alike = sum(one.num_degenerate for one in curve)
    total = sum(one.num_problems for one in curve)
    if alike:
        notes.append(
            f"{alike} of {total} problems are degenerate: their rollouts are all alike and Eq. (8) is 0/0. The paper's "
            "form leaves them out, the guarded and pooled forms keep them."
        )
    if same_rollouts:
        notes.append(
            "Pass rates and gradients come from the same rollouts, whose errors go together. Split them: half for the "
            "pass rate, half for the SNR."
        )
    return notes
