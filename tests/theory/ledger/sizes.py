"""How many points, cases or examples decide each check: a check that quietly tries fewer is a weaker one.

``PYTHONPATH=tests python -m theory.ledger.sizes`` writes the numbers anew; look at each that falls.
"""

from __future__ import annotations

import json
from pathlib import Path

from paced.theory.ledger.ledger import ledger
from paced.theory.ledger.runner import Ran, run_task, tasks_of

FILE = Path(__file__).with_name("sizes.json")
RECORDED: dict[str, int] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
"""Claim and sentence of a check -> how many decided it."""


def name_of(ran: Ran) -> str:
    """The key of a check."""
    return f"{ran.task.claim}: {ran.says}"


def is_smaller(ran: Ran) -> bool:
    """Whether a check tried fewer than recorded; examples of Hypothesis, whose number is its own, than half of them."""
    recorded = RECORDED.get(name_of(ran), 0)
    size = (ran.outcome.samples or 0) if ran.outcome else 0
    return ran.task.kind == "check" and size < (recorded / 2 if ran.declared == "hypothesis" else recorded)


def main() -> None:
    """Write the numbers of every check that has one."""
    ran = [one for one in map(run_task, tasks_of(ledger().values())) if one.task.kind == "check"]
    sizes = {name_of(one): one.outcome.samples for one in ran if one.outcome and one.outcome.samples}
    FILE.write_text(json.dumps(sizes, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
