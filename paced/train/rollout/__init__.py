"""Sampling engines, the noise they share, and grading."""
