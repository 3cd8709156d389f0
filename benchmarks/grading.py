"""How fast answers are graded, and where this grader and plain math-verify disagree, in one run.

    python benchmarks/grading.py [--table tests/grading/triples.jsonl]

Easy rows are integers in a box behind 600 characters of text; symbolic ones are the table's rows with mathematics in
them. math-verify runs as its README says, on the same answers, in this process. Each disagreement is printed with the
reason that this grader gives, so that it can be held against the rules of docs/grading.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections import Counter
from pathlib import Path

from machine import head

from paced.grading.grade import grade_all
from paced.records import Grade, Problem, Rollout
from paced.run.config import GradingConfig
from paced.run.schema import Choice

BOXED = GradingConfig(answer_format=Choice("boxed"))
TABLE = Path(__file__).parents[1] / "tests" / "grading" / "triples.jsonl"
COMPARED = 300
"""Rows that math-verify is timed on."""


def graded(rows: list[dict[str, str]], answer_type: str) -> tuple[list[Grade], float]:
    """The grades of rows and the answers a second."""
    tasks = [
        Problem(problem_id=str(i), problem="?", answer=row["gold"], answer_type=answer_type)
        for i, row in enumerate(rows)
    ]
    said = [
        Rollout(problem_id=str(i), sample_index=0, token_ids=(1,), text=row["response"], finish_reason="stop", seed=1)
        for i, row in enumerate(rows)
    ]
    start = time.perf_counter()
    grades = grade_all(tasks, said, BOXED)
    return grades, len(rows) / (time.perf_counter() - start)


def plain_math_verify(rows: list[dict[str, str]]) -> tuple[list[bool], float]:
    """What math-verify says of the same rows by its README, and the answers a second."""
    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    start = time.perf_counter()
    verdicts = [bool(verify(parse(f"\\boxed{{{row['gold']}}}"), parse(row["response"]))) for row in rows]
    return verdicts, len(rows) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--show", action="store_true", help="print every disagreement, not their counts alone")
    asked = parser.parse_args()
    table = [json.loads(line) for line in asked.table.read_text("utf-8").splitlines()]
    easy = [{"gold": str(n), "response": "We add the parts. " * 33 + f"So \\boxed{{{n}}}."} for n in range(2000)]
    kinds = {
        "fraction",
        "surd",
        "pi_log_trig",
        "expression",
        "interval",
        "list",
        "set",
        "complex",
        "matrix",
        "equation",
    }
    symbolic = [row for row in table if row["kind"] in kinds]
    print(head("sympy"))
    graded(symbolic[:3], "math")  # imports are not grading
    _, easy_rate = graded(easy, "integer")
    grades, symbolic_rate = graded(symbolic, "math")
    every_nth = symbolic[:: max(1, len(symbolic) // COMPARED)][:COMPARED]
    theirs, their_rate = plain_math_verify(every_nth)
    _, their_easy_rate = plain_math_verify(easy[:50])
    print(f"easy integers: {easy_rate:,.0f} answers/s, math-verify {their_easy_rate:,.0f}")
    print(f"symbolic:      {symbolic_rate:,.0f} answers/s, math-verify {their_rate:,.0f}")
    of = {id(row): grade for row, grade in zip(symbolic, grades, strict=True)}
    wrong = sum((of[id(row)].verdict == "correct") != (row["verdict"] == "correct") for row in every_nth)
    their_wrong = sum(verdict != (row["verdict"] == "correct") for row, verdict in zip(every_nth, theirs, strict=True))
    print(f"against the table's verdicts, of {len(every_nth)}: {wrong} wrong, math-verify {their_wrong} wrong")
    reasons: Counter[str] = Counter()
    for row, verdict in zip(every_nth, theirs, strict=True):
        grade = of[id(row)]
        if (grade.verdict == "correct") != verdict:
            reasons[f"ours {grade.verdict}: {grade.reason.rpartition('by ')[2] or grade.reason}"] += 1
            if asked.show:
                print(f"  {row['gold']!r} | {row['response']!r} | ours {grade.verdict}: {grade.reason}")
    for reason, count in reasons.most_common():
        print(f"  {count:3d} disagreements, {reason}")


if __name__ == "__main__":
    main()
