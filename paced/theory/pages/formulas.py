"""A claim's formula for a page that has no network and for a terminal: LaTeX as MathML, and as one line of Unicode."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

SYMBOLS = {"ne": "≠", "iff": " ⇔ ", "Pr": "P", "arg": "arg "}
"""What pylatexenc leaves out."""
FRACTIONS = ("frac", "tfrac", "dfrac")
RAISED = str.maketrans("0123456789+-*⊤", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻*ᵀ")


def mathml(latex: str) -> str:
    """The formula as a ``<math>`` element, which browsers draw with the fonts that they have.

    Example:
        >>> mathml(r"\\frac{1}{2}").count("<mfrac>")
        1
    """
    from latex2mathml.converter import convert

    return str(convert(latex.replace(r"\arg", r"\operatorname{arg}"), display="block"))


def unicode_text(latex: str) -> str:
    """The formula in one line, with brackets wherever LaTeX groups by position.

    Example:
        >>> unicode_text(r"\\frac{a+1}{2}\\le\\|g\\|^2,\\ x_{ij}^{-1}\\ne\\binom Kc")
        '(a+1)/2≤‖g‖², x_(ij)⁻¹≠C(K, c)'
    """
    # A group behind ^ or _ keeps its extent: LaTeX shows it by size, a line of text by brackets.
    text = _converter().latex_to_text(re.sub(r"([\^_])\s*\{", r"\1\\paced{", latex))
    text = re.sub(r"\^(?:\(([-+]?\d+)\)|(\d|⊤|\*))", lambda m: (m.group(1) or m.group(2)).translate(RAISED), text)
    return re.sub(r"\s+", " ", text).strip()


@cache
def _converter() -> Any:
    from pylatexenc.latex2text import LatexNodes2Text, MacroTextSpec, get_default_latex_context_db
    from pylatexenc.latexwalker import LatexWalker
    from pylatexenc.latexwalker import get_default_latex_context_db as walker_db
    from pylatexenc.macrospec import std_macro

    def inside(node: Any, index: int, l2tobj: Any) -> str:
        return str(l2tobj.nodelist_to_text([node.nodeargd.argnlist[index]])).strip()

    def bracketed(text: str) -> str:
        return text if re.fullmatch(r"\d+|\w[\u0300-\u036f]?|⊤|\*|\([^()]*\)", text) else f"({text})"

    def fraction(node: Any, l2tobj: Any) -> str:
        return f"{bracketed(inside(node, 0, l2tobj))}/{bracketed(inside(node, 1, l2tobj))}"

    def choose(node: Any, l2tobj: Any) -> str:
        return f"C({inside(node, 0, l2tobj)}, {inside(node, 1, l2tobj)})"

    def root(node: Any, l2tobj: Any) -> str:
        return f"√{bracketed(inside(node, 1, l2tobj))}"

    def group(node: Any, l2tobj: Any) -> str:
        return bracketed(inside(node, 0, l2tobj))

    texts, parsed = get_default_latex_context_db(), walker_db()
    texts.add_context_category(
        "paced",
        prepend=True,
        macros=[
            *(MacroTextSpec(name, simplify_repl=fraction) for name in FRACTIONS),
            MacroTextSpec("binom", simplify_repl=choose),
            MacroTextSpec("sqrt", simplify_repl=root),
            MacroTextSpec("paced", simplify_repl=group),
            MacroTextSpec("|", simplify_repl="‖"),
            *(MacroTextSpec(name, simplify_repl=text) for name, text in SYMBOLS.items()),
        ],
    )
    parsed.add_context_category(
        "paced",
        prepend=True,
        macros=[*(std_macro(name, False, 2) for name in (*FRACTIONS, "binom")), std_macro("paced", False, 1)],
    )

    class Converter(LatexNodes2Text):
        def latex_to_text(self, latex: str, **kwargs: Any) -> str:
            nodes, _, _ = LatexWalker(latex, latex_context=parsed, tolerant_parsing=True).get_latex_nodes()
            return str(self.nodelist_to_text(nodes))

    return Converter(latex_context=texts, math_mode="text")
