"""Named tolerances: a test says how close and why, never a bare number."""

EXACT = 0.0
"""Rationals, integers and bit-for-bit promises."""
F64 = 1e-12
"""Relative; closed forms in float64 against another closed form."""
QUADRATURE = 1e-9
"""Relative; against adaptive quadrature or a reference value printed to ten digits."""
F32 = 1e-5
"""Relative; float32 results against the float64 oracle."""
MC_SE = 5.0
"""Standard errors; simulations with a fixed seed."""
