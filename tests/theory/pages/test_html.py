"""The one-file page: what a claim needs is on it, nothing comes from elsewhere; and a claim can be had as JSON."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from paced.cli.theory import verify
from paced.errors import ConfigError
from paced.theory.ledger.ledger import ledger
from paced.theory.ledger.runner import run, select
from paced.theory.pages.console import show_claim
from paced.theory.pages.explain import OWN, VERDICTS
from paced.theory.pages.files import write_html


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("html") / "verify.html"
    write_html(run(["a3a", "eq3", "prop8.floor"], workers=1), path)
    return path.read_text()


def test_a_claim_has_its_hypotheses_numbers_formula_and_neighbours_with_titles(page):
    section = page.split('<section id="eq3.smooth">')[1].split("</section>")[0]
    claim = ledger()["eq3.smooth"]
    for part in (
        *claim.hypotheses,
        *claim.numbers(),
        ledger()["eq1"].title,
        "Reference numbers",
        "Hypotheses",
        "<math",
    ):
        assert part in section
    assert "<code>eq1</code>" in section  # not on this page, so without a link
    assert 'href="#eq1"' not in page
    assert "x1" in page


def test_the_page_says_what_its_words_and_letters_mean(page):
    folded = page[page.index("How to read this page") : page.index("<nav")]
    for verdict in {claim.verdict for claim in ledger().values()}:
        assert f"<td>{VERDICTS[verdict]}</td>" in folded
    for engine in {check.engine for claim in ledger().values() for check in claim.checks}:
        assert f"<td>{engine}</td>" in folded
    assert "<td>s2, M2</td>" in folded
    assert OWN in page.split('<section id="eq3.relatives">')[1].split("</section>")[0]


def test_the_contents_count_the_verdicts_and_link_every_claim(page):
    contents = page[page.index("<nav") : page.index("</nav>")]
    shown = [name for name in ledger() if f'<section id="{name}">' in page]
    assert sorted(re.findall(r'href="#([^"]+)"', contents)) == sorted(shown)
    assert sum(map(int, re.findall(r"<summary>(\d+) ", contents))) == len(shown)


def test_boxes_of_the_graph_have_titles_and_nothing_is_loaded(page):
    graph = page[page.index("<svg") : page.index("</svg>")]
    assert "The kernel" in re.sub(r"<title>[^<]*</title>", "", graph)
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page) == []


def test_parts_of_a_theorem_are_found_by_their_number_in_any_case():
    def shown(name):
        console = Console(width=150, file=io.StringIO())
        show_claim(name, console)
        return [claim for claim in ledger() if f"{claim} · " in console.file.getvalue()]

    assert shown("thm6.i") == shown("Thm6.II") == ["thm6"]
    assert shown("thm6.iii") == ["thm6.iii"]


def test_a_number_of_the_audit_is_answered_with_how_claims_are_called():
    with pytest.raises(ConfigError, match=r"got 'C41'\. Claims are called by the paper's items, such as prop11"):
        select(["C41"])
    assert [claim.id for claim in select(["X3"])] == ["x3"]


def test_an_explained_claim_can_be_had_as_json(tmp_path, capsys):
    assert verify(explain="x11", json=tmp_path / "x11.json") == 0
    (claim,) = json.loads((tmp_path / "x11.json").read_text())
    assert claim["id"] == "x11"
    assert claim["rests_on"] == list(ledger()["x11"].depends_on)
    assert claim["counterexample"]["numbers"]["sampling"] == pytest.approx(7744 / 245)
    assert claim["verdict"] == "true under conditions"
