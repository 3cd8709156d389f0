"""The table of rules on equality is what the grader does, and what docs/grading.md shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from paced.grading.compare import Comparison
from paced.grading.math import compare_math
from paced.grading.rules import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "grading.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("gold", "said"), [pair for rule in RULES for pair in rule.equal])
def test_what_the_table_calls_equal_is_graded_correct(gold, said):
    assert verdict(gold, said) == "correct"


@pytest.mark.parametrize(("gold", "said"), [pair for rule in RULES for pair in rule.unequal])
def test_what_the_table_keeps_apart_is_graded_incorrect(gold, said):
    assert verdict(gold, said) == "incorrect"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_page_shows_every_rule_with_its_examples(rule):
    assert table_row(rule) in PAGE


def verdict(gold, said):
    outcome = compare_math(extracted=said, answer=gold)
    assert isinstance(outcome, Comparison), "the table needs no worker"
    return outcome.verdict


def table_row(rule):
    """One line of the table in docs/grading.md."""
    cells = (
        "; ".join(f"`{gold}` and `{said}`".replace("|", "\\|") for gold, said in pairs) or "–"
        for pairs in (rule.equal, rule.unequal)
    )
    return f"| {rule.name} | {rule.text} | {' | '.join(cells)} |"
