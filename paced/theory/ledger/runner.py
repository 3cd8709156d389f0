"""Run the checks of the ledger, in parallel and without torch, and compare every outcome with the recorded one.

A task is one check or one control, not one claim: the slowest claim then does not delay the rest. A check that
crashes is not an outcome; it is reported with its traceback and fails the run. The table and the JSON are here; the
pages with figures are in ``paced.theory.pages.files``, which may draw.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Literal, NamedTuple

from paced.errors import ConfigError
from paced.theory.ledger.claim import Check, Claim, Engine, Outcome, Result
from paced.theory.ledger.ledger import ledger


class Task(NamedTuple):
    """One check or control of one claim."""

    claim: str
    kind: Literal["check", "control"]
    number: int


@dataclass(frozen=True)
class Ran:
    """What one check or control gave."""

    task: Task
    declared: Engine
    """What the check says that it is decided by."""
    says: str
    domain: str
    expected: Result
    outcome: Outcome | None
    """None when it crashed."""
    error: str
    """The traceback of a crash, else empty."""
    seconds: float

    @property
    def engine(self) -> Engine:
        """What decided; what was to decide where it crashed."""
        return self.outcome.engine if self.outcome else self.declared

    @property
    def as_expected(self) -> bool:
        """Whether the outcome is the recorded one, of a check also by the engine that it declares."""
        if self.outcome is None or self.outcome.result is not self.expected:
            return False
        return self.task.kind == "control" or self.outcome.engine == self.declared


@dataclass(frozen=True)
class Report:
    """All that a run of the ledger found."""

    ran: tuple[Ran, ...]
    seconds: float

    @property
    def failures(self) -> tuple[Ran, ...]:
        """Checks and controls whose outcome is not the recorded one."""
        return tuple(one for one in self.ran if not one.as_expected)

    def of(self, claim: str) -> tuple[Ran, ...]:
        """What the checks and controls of one claim gave."""
        return tuple(one for one in self.ran if one.task.claim == claim)


ALIASES = {"thm6.i": "thm6", "thm6.ii": "thm6"}
"""Parts of a theorem that one claim proves together."""


def select(names: Sequence[str]) -> list[Claim]:
    """The claims with these ids, or whose id begins with one of them and a dot; all when ``names`` is empty.

    Raises:
        ConfigError: an id that is not in the ledger; the message names the nearest ones.

    Example:
        >>> [claim.id for claim in select(["eq3"])]
        ['eq3', 'eq3.smooth', 'eq3.relatives']
    """
    claims = ledger()
    if not names:
        return list(claims.values())
    chosen = []
    for asked in names:
        name = ALIASES.get(asked.casefold(), asked.casefold())  # Thm6 is read as thm6
        matches = [claim for claim in claims.values() if claim.id == name or claim.id.startswith(f"{name}.")]
        if not matches:
            from difflib import get_close_matches

            near = ", ".join(get_close_matches(name, claims, n=3)) or "see paced verify --list"
            fix = f"Nearest: {near}."
            if name[:1] == "c" and name[1:].isdigit():  # numbers of an earlier list
                fix = "Claims are called by the paper's items, such as prop11.condition: see paced verify --list."
            raise ConfigError(f"paced verify: claim must be in the ledger, got {asked!r}. {fix}")
        chosen += [claim for claim in matches if claim not in chosen]
    return chosen


def tasks_of(claims: Iterable[Claim]) -> list[Task]:
    """Every check and control of some claims."""
    return [
        task
        for claim in claims
        for task in (
            *(Task(claim.id, "check", i) for i in range(len(claim.checks))),
            *(Task(claim.id, "control", i) for i in range(len(claim.controls))),
        )
    ]


def run_task(task: Task) -> Ran:
    """Run one check or control, with its time; a crash becomes part of the result."""
    claim = ledger()[task.claim]
    one = claim.checks[task.number] if task.kind == "check" else claim.controls[task.number]
    says, domain, expected = (
        (one.says, one.domain, one.expected) if isinstance(one, Check) else (one.changed, "", Result.REFUTED)
    )
    outcome, error = None, ""
    start = time.perf_counter()
    try:
        outcome = one.decide()
    except Exception:  # a crash of any kind is a finding about the check, shown and counted as a failure
        error = traceback.format_exc()
    return Ran(task, one.engine, says, domain, expected, outcome, error, time.perf_counter() - start)


def run_tasks(tasks: Sequence[Task], *, workers: int = 1) -> Iterator[Ran]:
    """Yield results as they come.

    Args:
        tasks: what to run.
        workers: processes; 1 runs everything here.
    """
    if workers <= 1 or len(tasks) < 8:
        yield from map(run_task, tasks)
        return
    # Threads of the parent (the progress bar) do not survive a fork, so workers are started afresh.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        for done in as_completed([pool.submit(run_task, task) for task in tasks]):
            yield done.result()


def run(
    names: Sequence[str] = (), *, workers: int | None = None, on_done: Callable[[Ran], None] | None = None
) -> Report:
    """Run the claims with these ids (all when empty).

    Args:
        names: ids of claims.
        workers: processes; by default one for each core.
        on_done: called after every check, for a progress bar.

    Example:
        >>> run(["eq3"], workers=1).failures
        ()
    """
    tasks = tasks_of(select(names))
    start = time.perf_counter()
    results = []
    for one in run_tasks(tasks, workers=workers or os.cpu_count() or 1):
        results.append(one)
        if on_done:
            on_done(one)
    order = {task: place for place, task in enumerate(tasks)}
    return Report(tuple(sorted(results, key=lambda one: order[one.task])), time.perf_counter() - start)


def to_json(report: Report) -> str:
    """One record for each check and control: claim, kind, engine, sentence, domain, expected, outcome, seconds."""
    rows = []
    for one in report.ran:
        outcome = None if one.outcome is None else asdict(one.outcome)
        rows.append(
            {
                "claim": one.task.claim,
                "verdict": ledger()[one.task.claim].verdict,
                "kind": one.task.kind,
                "engine": one.engine,
                "says": one.says,
                "domain": one.domain,
                "expected": one.expected,
                "outcome": outcome,
                "as_expected": one.as_expected,
                "error": one.error,
                "seconds": round(one.seconds, 4),
            }
        )
    summary = {"seconds": round(report.seconds, 2), "failures": len(report.failures), "checks": rows}
    return json.dumps(summary, indent=1, default=str, ensure_ascii=False)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
