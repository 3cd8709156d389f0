"""Distillation at the frontier of student competence: weights, theory, training and analysis."""

__version__ = "0.1.0"
