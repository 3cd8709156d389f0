"""Formulas without a network: every one of the ledger becomes MathML and a line of Unicode, with nothing left out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from paced.theory.ledger.ledger import ledger
from paced.theory.pages.formulas import mathml, unicode_text

SILENT = {
    "\\" + name
    for name in (
        *[",", ";", "\\", "|", "{", "}"], " ", "quad", "qquad", "left", "right", "bigl", "bigr",
        "Bigl", "Bigr", "big", "Big",
        "mathrm", "operatorname", "text", "mathbb", "mathcal", "paced", "tfrac", "frac", "dfrac", "binom", "sqrt",
    )
}  # fmt: skip
"""Macros that space, size or group, and those that are drawn by what they contain."""


@pytest.mark.parametrize("name", list(ledger()))
def test_every_formula_is_mathml_and_text_without_macros(name):
    latex = ledger()[name].latex
    ElementTree.fromstring(mathml(latex))
    for text in (re.sub(r"<[^>]*>", "", mathml(latex)), unicode_text(latex)):
        assert "\\" not in text
        assert text


def test_no_symbol_of_the_ledger_is_left_out_of_the_text():
    macros = {m for claim in ledger().values() for m in re.findall(r"\\(?:[a-zA-Z]+|.)", claim.latex)} - SILENT
    assert [macro for macro in sorted(macros) if unicode_text(rf"a{macro} b").replace(" ", "") == "ab"] == []


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\frac{(3+2\tau)(5+2\tau)}{2}", "((3+2τ)(5+2τ))/2"),
        (r"\frac1{K(K-1)}", "1/(K(K-1))"),
        (r"\tfrac1B\le\binom Kc", "1/B≤C(K, c)"),
        (r"x^{-2}+y^{a+b}+z_{i}", "x⁻²+y^(a+b)+z_i"),
        (r"i\ne j\iff\|g\|=0", "i≠j ⇔ ‖g‖=0"),
    ],
)
def test_brackets_stand_where_latex_groups_by_position(latex, text):
    assert unicode_text(latex) == text
