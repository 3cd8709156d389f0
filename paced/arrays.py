"""The types of arrays that signatures name: what the entries are. Shapes are given in docstrings and comments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Weights, pass rates, gradients: real numbers in double precision, whatever their shape."""
Integers = NDArray[np.int64]
"""Counts of passes, rollouts and problems, and positions."""
Booleans = NDArray[np.bool_]
"""Masks."""
Keys = NDArray[np.uint64]
"""The 64-bit keys of random streams."""
Pair = tuple[float, float]
"""Two exponents, or the two parameters of a law."""
