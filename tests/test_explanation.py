"""The pages of docs/explanation: their lines run, their verdicts are the ledger's, and no claim is left out."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from paced.theory.ledger.ledger import ledger
from paced.theory.pages.verdicts import MARKED, claims_linked, fill_verdicts, rests_on, write_verdicts

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "explanation").glob("*.md"))
PARSERS = [PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)]
OPENED = re.compile(r"^```(\S+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = page.read_text(encoding="utf-8")
    blocks = OPENED.findall(MARKED.sub("", text))
    assert set(blocks) <= {"python", "{toctree}", "{container}"}, "a block of another language is run by nobody"
    examples = list(Sybil(parsers=PARSERS).parse(page).examples())
    assert len(examples) == len(re.findall(r"^>>> ", text, re.MULTILINE))
    assert [line for line in text.splitlines() if len(line) > 100 and line.startswith((">>>", "..."))] == []
    assert blocks.count("python") == text.count("```python\n>>> "), "a block without a prompt shows no result"
    for example in examples:
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_verdicts_of_a_page_are_those_of_the_ledger(page):
    text = page.read_text(encoding="utf-8")
    assert fill_verdicts(text) == text, "run: python -m paced.theory.pages.verdicts docs/explanation"


def test_the_graph_of_claims_is_that_of_the_ledger(tmp_path):
    write_verdicts(tmp_path)
    assert (tmp_path / "claims.svg").read_bytes() == (ROOT / "docs" / "explanation" / "claims.svg").read_bytes()


def test_every_claim_of_the_ledger_is_explained_on_a_page():
    prose = "\n".join(MARKED.sub("", page.read_text(encoding="utf-8")) for page in PAGES)
    explained = {claim.id for claim in claims_linked(prose, ledger())}
    assert sorted(set(ledger()) - explained) == []


def test_a_changed_verdict_makes_a_page_stale():
    page = "[x](../theory/lem5.md)\n\n<!-- verdict: page -->\n<!-- end -->\n"
    filled = fill_verdicts(page)
    assert fill_verdicts(filled) == filled
    assert fill_verdicts(filled.replace("| true |", "| assumed |")) == filled


def test_what_rests_on_an_assumption_is_counted_through_other_claims():
    claims = ledger()
    assert "a3b" in rests_on("thm6", claims)
    assert "a3b" not in claims["thm6"].depends_on
    assert rests_on("eq1", claims) == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- verdict: proven -->\n<!-- end -->", "a mark must name page or one of true, .* got 'proven'"),
        ("[x](../theory/thm9.md)\n<!-- verdict: page -->\n<!-- end -->", "the page of a claim, got thm9"),
    ],
)
def test_a_mark_or_link_to_nothing_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        fill_verdicts(text)


GALLERY = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
BLOCKS = re.split(r"^#+ ", GALLERY, flags=re.MULTILINE)
FIGURES = [
    ROOT / "docs" / "explanation" / "claims.svg",
    *sorted((ROOT / "docs" / "figures").glob("*.png")),
    *sorted((ROOT / "docs" / "theory" / "figures").glob("*.png")),
]


def test_every_figure_file_is_in_the_gallery_with_its_command():
    commands = re.compile(r"^`(?:paced|python) [^`]+`", re.MULTILINE)
    shown = {
        name
        for block in BLOCKS
        for name in re.findall(r"^!\[.{20,}\]\(([^)]+)\)$", block, re.MULTILINE)
        if commands.search(block)
    }
    assert shown == {figure.relative_to(ROOT / "docs").as_posix() for figure in FIGURES}


def figure_functions():
    """Every public function of the package that returns a Figure, but for the parts that others draw with."""
    from paced.theory.pages.figures import DRAWINGS

    for path in sorted((ROOT / "paced").rglob("figure*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if module == "paced.theory.pages.figures":
            yield from (f"{module}.{function.__name__}" for function in DRAWINGS.values())
        elif module != "paced.figures":
            names = re.findall(r"^def ([a-z]\w+)\((?:[^()]|\([^()]*\))*\) -> Figure:", path.read_text(), re.MULTILINE)
            yield from (f"{module}.{name}" for name in names)


def test_every_function_that_draws_a_figure_is_in_the_gallery():
    functions = set(figure_functions())
    assert len(functions) > 20
    assert set(re.findall(r"`(paced(?:\.\w+)+\.figure\w*\.\w+)`", GALLERY)) == functions
