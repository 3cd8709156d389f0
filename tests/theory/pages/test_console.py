"""What `paced verify` shows: a row names its claim and its verdict at any width, and an assumption is called that."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from paced.theory.ledger.ledger import ledger
from paced.theory.ledger.runner import run
from paced.theory.pages.console import SHORT, console, show_claim, show_report

NAMES = ["a1", "eq3", "thm6", "prop8.floor", "prop10"]


@pytest.fixture(scope="module")
def report():
    return run(NAMES, workers=1)


@pytest.mark.parametrize("width", [100, 150, 200])
def test_ids_verdicts_and_seconds_are_never_cut(report, width):
    screen = Console(width=width, file=io.StringIO())
    show_report(report, screen)
    text = screen.file.getvalue()
    lines = {line.split()[0]: line for line in text.splitlines() if line.split()[:1] and line.split()[0] in NAMES}
    assert sorted(lines) == sorted(NAMES)
    for name, line in lines.items():
        assert SHORT[ledger()[name].verdict] in line
        assert line.rstrip()[-4:].replace(".", "").isdigit()
    assert "assumed" in lines["a1"].split("assumed", 1)[1]  # the verdict, and in place of an engine
    assert " claims: " in text


def test_the_first_part_of_an_id_explains_every_claim_that_has_it_and_a_whole_id_only_its_own():
    def shown(name):
        screen = Console(width=150, file=io.StringIO())
        show_claim(name, screen)
        return [claim for claim in ledger() if f"{claim} · " in screen.file.getvalue()]

    assert shown("x7") == ["x7.neyman", "x7.value", "x7.screening"]
    assert shown("THM6") == ["thm6"]


def test_an_explained_claim_shows_a_point_where_the_hypotheses_of_its_z3_checks_hold():
    screen = Console(width=150, file=io.StringIO())
    show_claim("thm6", screen)
    assert screen.file.getvalue().count("proved (the hypotheses hold at") == 2


def test_brackets_of_mathematics_are_shown_and_not_read_as_markup(capsys):
    show_report(run(["c50"], workers=1), console())
    text = capsys.readouterr().out
    for check in ledger()["c50"].checks:
        assert check.says[:24] in text
    assert "E[u^2] and Var(u)" in text
