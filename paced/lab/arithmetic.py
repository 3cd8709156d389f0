"""Small sums with known answers, for a real pre-trained model whose competence ends within the reach of a child.

``python -m paced.lab.arithmetic recipes/data`` writes the three files that ``recipes/smollm2-selfdistill.yaml`` reads:
additions to train on, other additions held out, and subtractions, which are not trained and may be forgotten.
A held-out pair of numbers never is in the training file, in either order.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from paced.records import Problem
from paced.run.storage import encode_line, write_atomic

TRAINING, HELDOUT, PRIOR = "additions.jsonl", "additions-heldout.jsonl", "subtractions.jsonl"
SEED = 20


def addition_problems(num_training: int = 256, num_heldout: int = 96) -> tuple[list[Problem], list[Problem]]:
    """Additions of a number below 10 and another one, as (training, held out): every pair below 10 and below 20, and
    as many with the other addend below 100 as it takes; the order of the two addends is random."""
    numbers = np.random.default_rng(SEED)
    near = [(small, other) for small in range(1, 10) for other in range(small, 20)]
    far = [(small, other) for small in range(1, 10) for other in range(20, 100)]
    chosen = numbers.permutation(len(far))[: num_training + num_heldout - len(near)]
    pairs = near + [far[index] for index in chosen]
    turned = numbers.random(len(pairs)) < 0.5
    problems = [
        _problem(f"{other} + {small}" if turn else f"{small} + {other}", small + other, "addition")
        for (small, other), turn in zip(pairs, turned, strict=True)
    ]
    mixed = [problems[index] for index in numbers.permutation(len(problems))]
    return mixed[:num_training], mixed[num_training:]


def subtraction_problems(count: int = 48) -> list[Problem]:
    """Differences of numbers below 20 with a result of at least 0."""
    pairs = [(left, right) for left in range(2, 20) for right in range(1, min(left, 10))]
    order = np.random.default_rng(SEED + 1).permutation(len(pairs))[:count]
    return [_problem(f"{pairs[i][0]} - {pairs[i][1]}", pairs[i][0] - pairs[i][1], "subtraction") for i in order]


def _problem(text: str, value: int, source: str) -> Problem:
    return Problem(
        problem_id=text, problem=text, answer=str(value), answer_type="integer", solution=str(value), source=source
    )


def write_files(folder: Path) -> None:
    """Write the three problem files."""
    training, heldout = addition_problems()
    for name, problems in ((TRAINING, training), (HELDOUT, heldout), (PRIOR, subtraction_problems())):
        write_atomic(folder / name, "".join(f"{encode_line(problem)}\n" for problem in problems))


if __name__ == "__main__":
    write_files(Path(sys.argv[1]))
