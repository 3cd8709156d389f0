"""What ``paced power`` says: whether an evaluation would show a gain, and what it would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paced.analysis.report.terminal import as_text
from paced.analysis.results.comparison import BASE, FINAL
from paced.analysis.results.power import (
    Spread,
    power,
    problems_needed,
    samples_needed,
    spread_of_base,
    spread_of_pair,
)
from paced.errors import ConfigError
from paced.records import PassRate
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet
from paced.weights.table.read import read_counts

SAMPLES = (1, 2, 4, 8, 16, 32, 64)
"""k for which the problems that are needed are shown."""


@dataclass(frozen=True, kw_only=True)
class PowerQuestion:
    """What is asked of an evaluation."""

    gain: float
    """Mean gain that should be seen, in (0, 1]."""
    target: float = 0.8
    """Chance with which it should be seen, in (0, 1)."""
    num_methods: int = 1
    """Comparisons in the family; Holm's strictest step tests each at 0.05 over this number."""
    gain_spread: float | None = None
    """Standard deviation of the gain over problems, where only the base has been evaluated."""

    def __post_init__(self) -> None:
        if not 0 < self.gain <= 1:
            raise ConfigError(f"power: gain must be > 0 and <= 1 (0.03 is three points), got {self.gain:g}.")

    @property
    def level(self) -> float:
        """Of each test."""
        return 0.05 / self.num_methods


def power_of_run(run: RunFolder, question: PowerQuestion, *, names: Sequence[str] = ()) -> str:
    """The answer for the held-out sets of a run, by name or all: of base and final, or of the base alone.

    Raises:
        ConfigError: no such set, or a set on which not even the base has been evaluated.
    """
    sets = [item.name for item in run.config().evaluation.sets]
    unknown = [name for name in names if name not in sets]
    if unknown or not sets:
        raise ConfigError(f"{run.root}: has no held-out set {', '.join(unknown)}. Choose among: {', '.join(sets)}.")
    texts = []
    for name in names or sets:
        files = [run.counts(checkpoint, name) for checkpoint in (BASE, FINAL)]
        if not files[0].exists():
            raise ConfigError(f"{run.root}: has no evaluation of '{BASE}' on '{name}'. Run: paced evaluate {run.root}")
        counts = [read_parquet(file, PassRate) for file in files if file.exists()]
        texts.append(power_text(name, question, *counts))
    return "\n\n".join(texts)


def power_of_tables(base: Path, after: Path | None, question: PowerQuestion) -> str:
    """The answer for tables of counts: of the base student, and of another one if there is one."""
    return power_text(base.name, question, *(_counts(file) for file in (base, after) if file is not None))


def power_text(name: str, question: PowerQuestion, before: Sequence[PassRate], after: Sequence[PassRate] = ()) -> str:
    """The answer for one set, as lines for a person."""
    spread = (
        spread_of_pair(before, after)
        if after
        else spread_of_base(before, gain=question.gain, gain_spread=question.gain_spread)
    )
    graded = [rate for rate in before if rate.num_rollouts]
    num_problems, num_samples = len(graded), max(rate.num_rollouts for rate in graded)
    whence = "from both students" if after else "samples from the base student, gain assumed"
    points = f"a gain of {100 * question.gain:g} points"
    lines = [
        f"{name}: {num_problems:,} problems x {num_samples} samples. The gain of a problem has standard deviation "
        f"{100 * spread.between**0.5:.1f} points, one sample of both students adds {100 * spread.within**0.5:.1f} "
        f"({whence}).",
        f"{points} is found with chance "
        f"{100 * power(question.gain, spread, num_problems, num_samples, level=question.level):.0f} % "
        f"(paired t test at level {question.level:.3g}); the smallest gain with chance {100 * question.target:.0f} % "
        f"is {100 * smallest_gain(spread, num_problems, num_samples, question):.1f} points.",
        _samples_sentence(points, spread, num_problems, question),
        f"problems needed for chance {100 * question.target:.0f} %, by samples of each:",
        as_text(_problems_table(spread, question)),
    ]
    return "\n".join(lines)


def smallest_gain(spread: Spread, num_problems: int, num_samples: int, question: PowerQuestion) -> float:
    """The smallest gain, to a thousandth of a point, that is found with the question's chance; 1 at most."""
    low, high = 0.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        enough = power(middle, spread, num_problems, num_samples, level=question.level) >= question.target
        low, high = (low, middle) if enough else (middle, high)
    return high


def _samples_sentence(points: str, spread: Spread, num_problems: int, question: PowerQuestion) -> str:
    needed = samples_needed(
        question.gain, spread, num_problems, target=question.target, level=question.level
    )  # None: the spread of the gain itself is too large for so few problems
    if needed is None:
        return f"no number of samples shows {points} with {num_problems:,} problems: take more problems."
    return f"samples needed with {num_problems:,} problems: {needed:,} of each."


def _problems_table(spread: Spread, question: PowerQuestion) -> dict[str, list[str]]:
    needed = [problems_needed(question.gain, spread, k, target=question.target, level=question.level) for k in SAMPLES]
    return {
        "samples": [str(k) for k in SAMPLES],
        "problems": ["-" if count is None else f"{count:,}" for count in needed],
        "completions": ["-" if count is None else f"{count * k:,}" for count, k in zip(needed, SAMPLES, strict=True)],
    }


def _counts(file: Path) -> list[PassRate]:
    table = read_counts(file)
    return [
        PassRate(problem_id=str(name), num_passed=int(passed), num_rollouts=int(count))
        for name, passed, count in zip(table.problem_ids.to_pylist(), table.num_passed, table.num_rollouts, strict=True)
    ]
