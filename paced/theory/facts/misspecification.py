"""How wrong a kernel may be: the worst efficiency of any weight when the noise is misjudged by e^±δ (``x12``).

The scale-free efficiency of a weight w is F = E[w s2]²/(E[w² M2] E[s2²/M2]), s2 the squared signal and M2 the second
moment. If the true second moment is M2 e^-r with |r| <= δ, F is the nominal value over A·B with the means
A = Σ α e^-r and B = Σ β e^r, α ∝ w² M2 and β ∝ s2²/M2 the two weighted laws of the pass rates. Left out: a misjudged
signal, for which only :func:`signal_floor` holds.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats
from paced.errors import check_number
from paced.theory.facts.domains import masses_of, positives, reals

LARGEST = 14
"""Problems whose signs of r are enumerated."""


def misspecification_floor(delta: ArrayLike, distance: ArrayLike) -> Floats:
    """1/(cosh δ + t sinh δ)²: the least share of the nominal efficiency that is left (``x12``).

    Args:
        delta: δ >= 0, largest |log| by which SNR² is misjudged through its noise.
        distance: t in [0, 1], total variation between α and β; shapes broadcast.

    Edges: sech² δ at t = 0, the bound for the best weight (``x4``); e^-2δ at t = 1, which is trivial.

    Example:
        >>> misspecification_floor(0.3, [0.0, 0.25, 1.0]).round(6).tolist()
        [0.915137, 0.795107, 0.548812]
    """
    d = reals("misspecification_floor", "delta", delta, low=0)
    t = reals("misspecification_floor", "distance", distance, low=0, high=1)
    # over e^δ, so that a large δ gives a small number and never inf
    return np.asarray((2 * np.exp(-d) / (1 + t + (1 - t) * np.exp(-2 * d))) ** 2)


def signal_floor(delta: ArrayLike, distance: ArrayLike) -> Floats:
    """sech² δ (1 - 2t' sinh 2δ), at least 0: the same for a misjudged signal, s2 e^r with M2 known (``x12``).

    Args:
        delta: δ >= 0.
        distance: t' in [0, 1], total variation between the laws ∝ w s2 and ∝ s2²/M2; shapes broadcast.

    Edges: says nothing, 0, from sinh 2δ = 1/(2t') on.

    Example:
        >>> signal_floor(0.3, [0.0, 0.1]).round(6).tolist()
        [0.915137, 0.798612]
    """
    d = reals("signal_floor", "delta", delta, low=0)
    t = reals("signal_floor", "distance", distance, low=0, high=1)
    # sech² δ sinh 2δ = 2 tanh δ, which does not overflow
    return np.asarray(np.maximum((1 - np.tanh(d) ** 2) - 4 * t * np.tanh(d), 0.0))


def weighted_laws(
    weight: ArrayLike, signal_squared: ArrayLike, second_moment: ArrayLike, *, masses: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """α ∝ w² M2 and β ∝ s2²/M2: what a weight spends, and what the best weight would.

    Args:
        weight: w > 0, shape [num_problems].
        signal_squared: s2 > 0, same shape.
        second_moment: M2 > 0, same shape.
        masses: of the problems; equal by default.

    Example:
        >>> [law.round(6).tolist() for law in weighted_laws([1, 1], [1, 3], [1, 1])]
        [[0.5, 0.5], [0.1, 0.9]]
    """
    place = "weighted_laws"
    w, s2, m2 = (
        np.atleast_1d(positives(place, name, x))
        for name, x in (("weight", weight), ("signal_squared", signal_squared), ("second_moment", second_moment))
    )
    if not w.shape == s2.shape == m2.shape:
        raise ValueError(
            f"{place}: weight, signal_squared and second_moment must be one number for each problem, got shapes "
            f"{w.shape}, {s2.shape} and {m2.shape}."
        )
    mass = masses_of(place, masses, w.size)
    spent, best = mass * (w / w.max()) ** 2 * m2, mass * (s2 / s2.max()) ** 2 / m2
    return spent / spent.sum(), best / best.sum()


def total_variation(first: ArrayLike, second: ArrayLike) -> float:
    """Half the sum of |α - β|.

    Example:
        >>> total_variation([0.5, 0.5], [0.1, 0.9])
        0.4
    """
    return float(np.abs(np.asarray(first) - np.asarray(second)).sum() / 2)


def nominal_efficiency(first: ArrayLike, second: ArrayLike) -> float:
    """F of the weight when nothing is misjudged: (Σ √(α β))².

    Example:
        >>> round(nominal_efficiency([0.5, 0.5], [0.1, 0.9]), 6)
        0.8
    """
    return float(np.sum(np.sqrt(np.asarray(first) * np.asarray(second))) ** 2)


def worst_efficiency_of(first: ArrayLike, second: ArrayLike, delta: float) -> float:
    """The least F over |r| <= δ, by all signs of r: A·B is convex in each e^r, so its largest value is at a corner.

    Args:
        first: α, at most :data:`LARGEST` atoms, summing to 1.
        second: β.
        delta: δ >= 0.

    Example:
        >>> a, b = weighted_laws([1, 1], [1, 3], [1, 1])
        >>> round(worst_efficiency_of(a, b, 0.3), 6), round(0.8 * float(misspecification_floor(0.3, 0.4)), 6)
        (0.593739, 0.587272)
    """
    alpha, beta = (reals("worst_efficiency_of", name, x, low=0) for name, x in (("first", first), ("second", second)))
    check_number("worst_efficiency_of", "delta", delta, low=0)
    if alpha.shape != beta.shape or alpha.ndim != 1 or not 1 <= alpha.size <= LARGEST:
        raise ValueError(f"worst_efficiency_of: two laws on the same 1 to {LARGEST} atoms are needed.")
    r = delta * np.array(list(product((-1.0, 1.0), repeat=alpha.size)))  # [corners, atoms]
    loss = (np.exp(-r) @ alpha) * (np.exp(r) @ beta)  # [corners]
    return float(nominal_efficiency(alpha, beta) / loss.max())


# --- table for the page -----------------------------------------------------------------------------------------------
def misspecification_table(*, size: int = 61) -> dict[str, list[float]]:
    """The floor against δ for four distances.

    Example:
        >>> {name: round(column[1], 4) for name, column in misspecification_table(size=3).items()}
        {'delta': 0.5, 't = 0 (sech²)': 0.7864, 't = 0.1': 0.7185, 't = 0.3': 0.6066, 't = 1': 0.3679}
    """
    d = np.linspace(0, 1, size)
    names = {"t = 0 (sech²)": 0.0, "t = 0.1": 0.1, "t = 0.3": 0.3, "t = 1": 1.0}
    return {"delta": d.tolist(), **{name: misspecification_floor(d, t).tolist() for name, t in names.items()}}
