"""What a lab model can do, measured on problems that are the same for every seed, with the sampler of the rollouts.

One set for all seeds, so that students who pass it differ by their own noise and not by their problems. Pre-training
takes quick probes on its way and whole ones near its end. Left out: the decision to stop (``pretrain.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paced.lab.recipe import PretrainRecipe, Targets
from paced.lab.task import KINDS, chain_problems, prior_problems
from paced.lab.tokenizer import EOS_ID, IDS, PAD_ID, SYMBOLS
from paced.records import Problem
from paced.rollouts.hf import sample_completions
from paced.run.seeds import sample_keys, text_key

MAX_COMPLETION = 13
"""Tokens of the longest completion: six styled digits and the end."""
NEAR = 0.9
"""Share of every target from which on a quick probe is followed by a whole one."""


@dataclass(frozen=True, kw_only=True)
class Skills:
    """Mean pass rates of a lab model at temperature 1, by kind of problem."""

    graded: float
    """Chains of operators that pre-training shows."""
    prior: float
    """Reverse and sort."""
    hinted: float
    """Hash chains after a hint, which is to be copied."""
    unseen: float = 0.0
    """Chains of operators that pre-training never shows the student; measured by whole probes only."""
    hash: float = 0.0
    """Chains that cannot be computed; measured by whole probes only."""

    def near(self, targets: Targets) -> bool:
        """Whether a whole probe is worth its time."""
        return (
            self.graded >= NEAR * targets.graded[0]
            and self.prior >= NEAR * targets.prior
            and self.hinted >= NEAR * targets.hinted
        )

    def reach(self, targets: Targets, *, knows_unseen: bool) -> bool:
        """Whether everything that the designs assume holds at once."""
        low, high = targets.graded
        return (
            low <= self.graded <= high
            and self.prior >= targets.prior
            and self.hinted >= targets.hinted
            and self.hash <= targets.out_of_reach
            and (knows_unseen or self.unseen <= targets.out_of_reach)
        )

    def __str__(self) -> str:
        """In words."""
        return f"graded {self.graded:.2f}, prior skill {self.prior:.2f}, hints copied {self.hinted:.2f}"


class Probe:
    """The fixed problems of a recipe's probes."""

    def __init__(self, recipe: PretrainRecipe) -> None:
        """Draw the problems: ``probe_problems`` graded ones, and of the other kinds in proportion."""
        numbers = np.random.default_rng(text_key("probe"))
        size = recipe.probe_problems
        self.seed = recipe.seed
        self.graded = chain_problems("graded", size, numbers)
        self.prior = prior_problems(size + size // 5, numbers)
        self.hash = chain_problems("hash", max(2, 3 * size // 5), numbers)
        self.unseen = chain_problems("unseen", max(2, 3 * size // 5), numbers)

    def quick(self, model: Any, step: int) -> Skills:
        """A third of the problems, one completion each: standard errors of about 0.04."""
        graded, prior, hinted = (
            problems[: len(problems) // 3 + 1] for problems in (self.graded, self.prior, self.hash)
        )
        return Skills(
            graded=self._rate(model, graded, 1, step),
            prior=self._rate(model, prior, 1, step),
            hinted=self._rate(model, hinted, 1, step, hinted=True),
        )

    def whole(self, model: Any, step: int) -> Skills:
        """All problems, graded ones four times: standard errors of about 0.016 on graded, 0.006 on prior problems."""
        return Skills(
            graded=self._rate(model, self.graded, 4, step),
            prior=self._rate(model, self.prior, 1, step),
            hinted=self._rate(model, self.hash, 1, step, hinted=True),
            unseen=self._rate(model, self.unseen, 1, step),
            hash=self._rate(model, self.hash, 1, step),
        )

    def _rate(
        self, model: Any, problems: Sequence[Problem], num_samples: int, step: int, *, hinted: bool = False
    ) -> float:
        return float(np.mean(passes(model, problems, num_samples, self.seed, step, hinted=hinted)))


def knows_unseen(recipe: PretrainRecipe) -> bool:
    """Whether the recipe's mixture shows the unseen operators, as the bigger teacher's does."""
    return recipe.mixture.plain_operators > KINDS["unseen"].start


def passes(
    model: Any, problems: Sequence[Problem], num_samples: int, seed: int, draw: int | str, *, hinted: bool = False
) -> list[list[bool]]:
    """Whether each completion at temperature 1 gives the answer digits, for each problem.

    Args:
        model: a lab model.
        problems: problems of the lab.
        num_samples: K completions of each.
        seed: run seed of the noise.
        draw: name of this draw.
        hinted: show the expert solution first, as the teacher sees it.
    """
    texts = [f"{problem.solution}#{problem.problem}=" if hinted else f"{problem.problem}=" for problem in problems]
    completions = sample_completions(
        model,
        prompts=[[IDS[symbol] for symbol in text] for text in texts],
        keys=sample_keys(
            run_seed=seed, stage=draw, problem_ids=[problem.problem_id for problem in problems], num_samples=num_samples
        ),
        max_new_tokens=MAX_COMPLETION,
        sampling_temperature=1.0,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
        max_rows=4096,
    )
    return [
        [
            completion.finish_reason == "stop" and answer_digits(completion.token_ids) == problem.answer
            for completion in of_problem
        ]
        for problem, of_problem in zip(problems, completions, strict=True)
    ]


def answer_digits(token_ids: Sequence[int]) -> str:
    """The digits of a completion, style letters left out."""
    return "".join(SYMBOLS[token] for token in token_ids if SYMBOLS[token].isdigit())
