"""Our own table of (gold, response, verdict): every row is graded as written, and no row costs much.

Rows are of the kinds in which public graders were measured. Each was written with the rules of docs/grading.md, never
copied from what the grader said.
"""

from __future__ import annotations

import json
import re
import resource
import time
from pathlib import Path

import pytest

from paced.grading.grade import grade_all
from paced.grading.guess import answer_type_of
from paced.grading.rules import RULES
from paced.records import Problem, Rollout
from paced.run.config import GradingConfig
from paced.run.schema import Choice

ROWS = [json.loads(line) for line in (Path(__file__).parent / "triples.jsonl").read_text("utf-8").splitlines()]
BOXED = GradingConfig(answer_format=Choice("boxed"))
HUGE = {
    "200,000 digits": "\\boxed{" + "9" * 200_000 + "}",
    "3,000 nested braces": "\\boxed{" + "{" * 3000 + "5" + "}" * 3000 + "}",
    "3,000 nested fractions": "\\boxed{" + "\\frac{1}{" * 3000 + "5" + "}" * 3000 + "}",
    "3,000 brackets": "\\boxed{" + "(" * 3000 + "5" + ")" * 3000 + "}",
    "boxes that never close": "\\boxed{" * 16 + "9" * 90_000,
    "many boxes": "\\boxed{5}" * 10_000,
    "texts that never close": "\\boxed{" + "\\text{" * 300 + "}",
    "dollars": "\\boxed{" + "$" * 1900 + "}",
    "commas": "\\boxed{" + "1," * 900 + "1}",
    "words": "\\boxed{" + "aaa " * 480 + "}",
    "blanks": "\\boxed{" + " " * 1900 + "5 6}",
    "backslashes": "\\boxed{" + "\\\\" * 900 + "5 6}",
    "equals": "\\boxed{" + "x=" * 900 + "6}",
    "plus minus": "\\boxed{" + "\\pm 1" * 300 + "}",
    "tower under the caps": "\\boxed{9^{9^{9^9}}+\\int_0^1 x\\,dx}",
    "product without end": "\\boxed{\\prod_{i=1}^{10^8} i}",
    "determinant": "\\boxed{\\det\\begin{pmatrix}"
    + "\\\\".join("a_1&b&c&d&e&f&g&h" for _ in range(7))
    + "\\end{pmatrix}}",
}


def graded(rows, *, guessed=False):
    tasks = [
        Problem(
            problem_id=str(index),
            problem="?",
            answer=row["gold"],
            answer_type=answer_type_of(row["gold"]) if guessed else "math",
        )
        for index, row in enumerate(rows)
    ]
    said = [
        Rollout(
            problem_id=str(index),
            sample_index=0,
            token_ids=(1,),
            text=row["response"],
            finish_reason=row.get("finish_reason", "stop"),
            seed=1,
        )
        for index, row in enumerate(rows)
    ]
    return grade_all(tasks, said, BOXED)


def test_every_row_of_the_table_is_graded_as_written():
    assert wrong_of(ROWS, graded(ROWS)) == []


def test_whole_numbers_are_graded_alike_by_the_type_that_is_guessed():
    rows = [row for row in ROWS if answer_type_of(row["gold"]) == "integer" and row["verdict"] != "grader_timeout"]
    wrong = {response for _, response, *_ in wrong_of(rows, graded(rows, guessed=True))}
    not_rational = (r"i^2", r"\sin^2 x+\cos^2 x", r"e^0", r"\frac{x}{x}", r"\sin\pi")
    assert len(rows) > 200
    assert wrong == {rf"Thus $\boxed{{{one}}}$." for one in not_rational}, "mathematics, which needs answer_type: math"


def wrong_of(rows, grades):
    return [
        (row["gold"][:60], row["response"][:80], row["verdict"], grade.verdict, grade.reason)
        for row, grade in zip(rows, grades, strict=True)
        if grade.verdict != row["verdict"]
    ]


def test_every_verdict_of_a_comparison_names_the_rule_that_gave_it():
    """A disagreement with another grader can be held against the page: benchmarks/grading.py lists them by rule."""
    known = {rule.name for rule in RULES} | {"text"}
    reasons = [grade.reason for grade in graded(ROWS) if grade.verdict in ("correct", "incorrect")]
    named = {name for reason in reasons for name in re.findall(r"by the rule '([^']*)'\.$", reason)}
    others = [one for one in reasons if "by the rule" not in one]
    assert named <= known
    assert all(re.search("as text|by math-verify|^The answer |is not read as mathematics", one) for one in others)


def test_the_table_has_rows_of_every_verdict_and_kind():
    kinds = {row["kind"] for row in ROWS}
    assert len(ROWS) >= 500
    assert len({(row["gold"], row["response"], row.get("finish_reason")) for row in ROWS}) == len(ROWS)
    assert {"integer", "fraction", "surd", "interval", "matrix", "base", "think", "hedge", "injection", "bomb"} <= kinds
    assert {row["verdict"] for row in ROWS} >= {"correct", "incorrect", "no_answer", "truncated", "gold_unparseable"}


@pytest.mark.slow
@pytest.mark.parametrize("name", HUGE)
def test_a_bomb_is_never_correct_and_the_rest_of_the_file_is_graded(name):
    rows = [{"gold": "7", "response": HUGE[name]}, {"gold": "5", "response": "\\boxed{5}"}]
    before, largest = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    verdicts = [grade.verdict for grade in graded(rows)]
    assert verdicts[0] in ("incorrect", "no_answer", "grader_timeout", "grader_error")
    assert verdicts[1] == "correct"
    assert time.process_time() - before < 10  # CPU time of this process: the load of the machine is not in it
    now = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB; of all children ever, those of other tests too
    assert now == largest or now < 2**20


def test_nothing_that_a_model_writes_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graded([row for row in ROWS if row["kind"] == "injection"])
    assert list(tmp_path.iterdir()) == []
