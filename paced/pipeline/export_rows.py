"""One problem of a training set for another trainer: what every form has of it, and what the caller decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from paced.errors import ConfigError
from paced.problems.prompts import fill
from paced.records import Problem

RATES = ("num_passed", "num_rollouts", "pass_rate", "weight", "unit_mean_weight")
"""Columns that every form has."""


@dataclass(frozen=True, kw_only=True)
class ExportedProblem:
    """One problem of the training set."""

    problem: Problem
    """What is asked."""
    row: int
    """Where it is in the problem file."""
    num_passed: int
    """s."""
    num_rollouts: int
    """K >= 1."""
    weight: float
    """w >= 0, as the weight function gave it."""
    unit_mean_weight: float
    """w divided by its mean over the exported set."""

    def rates(self) -> dict[str, Any]:
        """Its cells in the columns of :data:`RATES`."""
        values = {name: getattr(self, name) for name in RATES if name != "pass_rate"}
        return values | {"pass_rate": self.num_passed / self.num_rollouts}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What the forms leave to the caller."""

    prompt: str = "{problem}"
    """User message; ``{problem}`` is replaced by the problem's text."""
    system: str = ""
    """System message; empty for none."""
    as_text: bool = False
    """trl: the prompt as text instead of messages."""
    data_source: str = ""
    """verl: what chooses the reward function; empty for the source of each problem, or the name of its file."""
    ability: str = "math"
    """verl: the kind of task."""
    split: str = "train"
    """verl: in ``extra_info``."""

    def __post_init__(self) -> None:
        """A message without its problem asks nothing."""
        if "{problem}" not in self.prompt:
            raise ConfigError(f"export: prompt must contain {{problem}}, got {self.prompt!r}.")

    def messages(self, problem: Problem) -> list[dict[str, str]]:
        """The chat in which a problem is asked.

        Example:
            >>> ExportOptions(system="Be brief.").messages(Problem(problem_id="a", problem="2{x}?", answer="4"))
            [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': '2{x}?'}]
        """
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": fill(self.prompt, problem)}]


def chat_type() -> Any:
    """The Arrow type of a chat: a list of role and content."""
    import pyarrow as pa

    return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def rate_fields() -> list[tuple[str, Any]]:
    """The Arrow fields of :data:`RATES`."""
    import pyarrow as pa

    return [(name, pa.int64() if name.startswith("num_") else pa.float64()) for name in RATES]
