"""Every claim that the package, its docs and its recipes cite can be looked up with ``paced verify --explain``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paced.theory.ledger.ledger import ledger
from paced.theory.ledger.runner import select

ROOT = Path(__file__).parents[3]
SEARCHED = (("paced", "*.py"), ("docs", "*.md"), ("recipes", "*.yaml"))
READ = [*sorted(path for folder, kind in SEARCHED for path in (ROOT / folder).rglob(kind)), ROOT / "README.md"]
UNKNOWN = re.compile(r"\bC\d\d\b|\bX\d+\b|\b[Aa]udit\b|\bspec C")
"""Numbers of a list that a reader does not have."""
KINDS = sorted({re.match(r"[a-z]+", name).group() for name in ledger()})
CITED = re.compile(rf"`((?:{'|'.join(KINDS)})\d+[a-c]?'?(?:\.[a-z_]+)*)`")
"""What has the form of an id and is set as code."""


def places(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """(file and line, what matched) for every match."""
    return [
        (f"{path.relative_to(ROOT)}:{number}", match.group(match.lastindex or 0))
        for path in READ
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def test_nothing_is_cited_by_a_number_that_cannot_be_looked_up():
    assert places(UNKNOWN) == []


def test_every_cited_id_is_in_the_ledger():
    cited = places(CITED)
    assert len(cited) > 100
    assert [(place, name) for place, name in cited if not is_known(name)] == []


def is_known(name: str) -> bool:
    """Whether ``--explain`` takes it: a claim, or the first part of the ids of several."""
    try:
        return bool(select([name]))
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["prop11.condition", "x7", "a3b'"])
def test_an_id_is_a_claim_or_the_beginning_of_several(name):
    assert is_known(name)
    assert not is_known(name + "z")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("(claim C41)", UNKNOWN), ("extension X3", UNKNOWN), ("audit X3", UNKNOWN), ("see ``x3``", CITED)],
)
def test_the_patterns_see_what_they_look_for(text, pattern):
    assert pattern.search(text)
