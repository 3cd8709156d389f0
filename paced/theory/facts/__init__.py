"""Exact functions of the theory: kernels, populations, variances, descent, minimax values."""
