"""What a check gives back: numbers with the limits that they must keep, facts, and what it left out and why."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


class CannotRunError(Exception):
    """A check has nothing that it could run here; the text is a sentence that says why."""


@dataclass(frozen=True)
class Gate:
    """A number and the limit that it must keep."""

    what: str
    """What was measured."""
    value: float
    """The number."""
    limit: float
    """Largest allowed value, or least one."""
    at_least: bool = False
    """Whether ``limit`` is the least allowed value."""

    @property
    def passed(self) -> bool:
        """Whether the limit is kept; a number that is not finite keeps none."""
        kept = self.value >= self.limit if self.at_least else self.value <= self.limit
        return math.isfinite(self.value) and kept


@dataclass
class Measured:
    """What one check found on one device."""

    gates: list[Gate] = field(default_factory=list)
    """At least one."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Numbers without a limit, such as rates."""
    left_out: list[str] = field(default_factory=list)
    """A sentence for each part of the check that this machine cannot run."""


Check = Callable[[torch.device], Measured]


@dataclass(frozen=True)
class Outcome:
    """One check, run."""

    name: str
    """Of the check."""
    status: str
    """passed, failed or skipped."""
    seconds: float
    """Wall time."""
    measured: Measured
    """Its numbers."""
    reason: str = ""
    """Why it was skipped, or the error that it ended with."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        gates = [vars(gate) | {"passed": gate.passed} for gate in self.measured.gates]
        rest = {"facts": self.measured.facts, "left_out": self.measured.left_out, "reason": self.reason}
        return {"name": self.name, "status": self.status, "seconds": round(self.seconds, 2), "gates": gates, **rest}


def run_check(name: str, check: Check, device: torch.device) -> Outcome:
    """Run one check; an error is a failure of this check and does not keep the others from running."""
    start = time.perf_counter()
    try:
        measured = check(device)
    except CannotRunError as reason:
        return Outcome(name, "skipped", time.perf_counter() - start, Measured(), str(reason))
    except Exception as error:
        lines = traceback.format_exception(error)
        told = f"{type(error).__name__}: {error} ({lines[-2].strip().splitlines()[0]})"
        return Outcome(name, "failed", time.perf_counter() - start, Measured(), told)
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()
    passed = bool(measured.gates) and all(gate.passed for gate in measured.gates)
    return Outcome(name, "passed" if passed else "failed", time.perf_counter() - start, measured)


def relative_error(ours: Tensor, exact: Tensor) -> float:
    """‖ours − exact‖ / ‖exact‖ in float64."""
    exact = exact.double()
    return float((ours.double() - exact).norm() / exact.norm())


def best_seconds(work: Callable[[], Any], device: torch.device, *, repeats: int = 5) -> float:
    """Least wall time of a call, after one that is not counted; waits for the device."""
    work()
    times = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - start)
    return min(times)


def wait(device: torch.device) -> None:
    """Until the device has done all that it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
