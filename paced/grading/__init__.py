"""Who judges: where a completion's answer is, how it is compared, and the verdict with its reason."""

from paced.grading.comparisons import register

__all__ = ["register"]
