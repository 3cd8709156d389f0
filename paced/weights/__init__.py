"""The one weighting API: weight functions from counts, estimates, fits, normalisation and rollout allocation."""

from paced.weights.baselines import DropZero, HardFilter, TargetDifficulty, Uniform
from paced.weights.budget.planner import PolicyPlan, plan_rollouts
from paced.weights.fit.fit import FitResult, fit
from paced.weights.kernels import (
    EASIER,
    HARDER,
    ROOT,
    BetaKernel,
    MinimaxKernel,
    SaturatedKernel,
    TeacherCeilingKernel,
)
from paced.weights.normalise import NormalisedWeights, normalise, sampling_probabilities
from paced.weights.protocol import WeightFunction

WEIGHTS: dict[str, type[WeightFunction]] = {
    "uniform": Uniform,
    "beta": BetaKernel,
    "hard_filter": HardFilter,
    "drop_zero": DropZero,
    "target_difficulty": TargetDifficulty,
    "saturated": SaturatedKernel,
    "minimax": MinimaxKernel,
    "teacher_ceiling": TeacherCeilingKernel,
}
"""``weights.name`` in a recipe -> weight function; its fields are the recipe's ``weights.parameters``."""

__all__ = [
    "EASIER",
    "HARDER",
    "ROOT",
    "WEIGHTS",
    "BetaKernel",
    "DropZero",
    "FitResult",
    "HardFilter",
    "MinimaxKernel",
    "NormalisedWeights",
    "PolicyPlan",
    "SaturatedKernel",
    "TargetDifficulty",
    "TeacherCeilingKernel",
    "Uniform",
    "WeightFunction",
    "fit",
    "normalise",
    "plan_rollouts",
    "sampling_probabilities",
]
