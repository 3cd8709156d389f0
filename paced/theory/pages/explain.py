"""One claim as a page of Markdown: the docs are these pages, and ``paced verify --explain`` prints one.

A page says what is expected of each check, not what a run found, so that it is the same on every machine;
``paced verify --strict`` is what ties the two together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from paced.theory.ledger.claim import Claim, Verdict
from paced.theory.pages.words import ENGINE_WORDS, NOTATION, RESULT_WORDS, VERDICT_WORDS

VERDICTS = {
    Verdict.TRUE: "true",
    Verdict.CONDITIONAL: "true under conditions",
    Verdict.LOOSE: "loose or false as worded",
    Verdict.ASSUMED: "assumed",
}
"""How a verdict is written for readers."""

OWN = "A claim of our own; the paper does not make it."

TEST = "tests/theory/ledger/test_ledger.py"


def page_name(claim: str) -> str:
    """File name of a claim's page, without ending.

    Example:
        >>> page_name("a3b'.special"), page_name("thm6.ii")
        ('a3b-prime-special', 'thm6-ii')
    """
    return claim.replace("'", ".prime").replace(".", "-")


def page(claim: Claim, claims: Mapping[str, Claim]) -> str:
    """The claim's page: statement, verdict, proof, counterexample, numbers, figure, checks and controls.

    Args:
        claim: the claim.
        claims: the whole ledger, for the links in both directions.
    """
    parts = [
        f"# {escape(claim.title)}",
        f"`{claim.id}` · {escape(claim.where)} · **{VERDICTS[claim.verdict]}**",
        _said("The paper", claim.paper) if claim.paper else f"*{OWN}*",
        _said("What is verified", claim.statement),
        f"$$\n{claim.latex}\n$$",
        _list("Hypotheses", claim.hypotheses),
        _said("Proof sketch", claim.proof),
        _said("Repair", claim.repair),
        _counterexample(claim),
        _figure(claim),
        "**Reference numbers**\n\n" + _numbers(claim.numbers()) if claim.numbers else "",
        _checks(claim),
        _links("Rests on", claim.depends_on, claims),
        _links("Used by", users_of(claim, claims), claims),
        _functions(claim),
        f"Run it: `paced verify --claim {claim.id}`. Test: `{TEST}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain_data(claim: Claim, claims: Mapping[str, Claim]) -> dict[str, Any]:
    """The claim's page as plain data, ready for JSON; values that are not finite become None."""

    def finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
        return {name: float(x) if math.isfinite(x) else None for name, x in numbers.items()}

    example = claim.counterexample
    return {
        "id": claim.id,
        "where": claim.where,
        "title": claim.title,
        "verdict": VERDICTS[claim.verdict],
        "paper": claim.paper,
        "statement": claim.statement,
        "latex": claim.latex,
        "hypotheses": list(claim.hypotheses),
        "proof": claim.proof,
        "repair": claim.repair,
        "counterexample": example and {"text": example.text, "numbers": finite(example.evaluate())},
        "numbers": finite(claim.numbers()) if claim.numbers else {},
        "checks": [
            {"engine": one.engine, "says": one.says, "domain": one.domain, "expected": str(one.expected)}
            for one in claim.checks
        ],
        "controls": [{"engine": one.engine, "changed": one.changed} for one in claim.controls],
        "rests_on": list(claim.depends_on),
        "used_by": users_of(claim, claims),
        "functions": list(claim.function_names),
    }


def index(claims: Mapping[str, Claim]) -> str:
    """The index page: verdicts counted, equation → statement → function → test, and every claim."""
    counted = {verdict: sum(claim.verdict is verdict for claim in claims.values()) for verdict in Verdict}
    checks = sum(len(claim.checks) for claim in claims.values())
    controls = sum(len(claim.controls) for claim in claims.values())
    parts = [
        "# The paper's claims, checked by machine",
        f"{len(claims)} claims, {checks} checks, {controls} negative controls: "
        + ", ".join(f"{number} {VERDICTS[verdict]}" for verdict, number in counted.items())
        + ". A control is the same check with a hypothesis dropped or a constant perturbed; each is refuted with a "
        "witness. `paced verify` runs them all, `--claim ID` one, `--explain ID` prints a page.",
        "Pages of this folder are written by `paced verify --docs docs/theory`; a test compares them with the ledger.",
        "## How to read a page\n\n" + "\n\n".join(_words(title, words) for title, words in reading_aids().items()),
        "## Equations\n\n" + _equation_table(claims),
        "## Claims\n\n" + _claim_table(claims),
        "```{toctree}\n:hidden:\n:maxdepth: 1\n\n" + "\n".join(page_name(name) for name in claims) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def reading_aids() -> dict[str, dict[str, str]]:
    """Tables of words and letters by their titles."""
    return {
        "verdict on the paper's sentence": {VERDICTS[verdict]: text for verdict, text in VERDICT_WORDS.items()},
        "outcome of a check": {str(result): text for result, text in RESULT_WORDS.items()},
        "engine": {str(engine): text for engine, text in ENGINE_WORDS.items()},
        "letters": NOTATION,
    }


def _words(title: str, words: Mapping[str, str]) -> str:
    rows = "\n".join(f"| {escape(word)} | {escape(text)} |" for word, text in words.items())
    return f"| {title} | |\n|---|---|\n{rows}"


def escape(text: str) -> str:
    """Plain text as Markdown that shows the same characters.

    Example:
        >>> escape("w* <= 1/(eta L) | a_b")
        'w\\\\* \\\\<= 1/(eta L) \\\\| a\\\\_b'
    """
    return re.sub(r"([\\`*_<>\[\]|$])", r"\\\1", text)


def number_text(value: float) -> str:
    """Six digits, which every machine agrees on.

    Example:
        >>> number_text(0.4304672100000001), number_text(2.0), number_text(1e-9)
        ('0.430467', '2', '1e-09')
    """
    return f"{float(value):.6g}"


def _equation_table(claims: Mapping[str, Claim]) -> str:
    rows = []
    for number in range(1, 52):
        for claim in claims.values():
            if number in claim.equations:
                functions = ", ".join(f"`{name.removeprefix('paced.')}`" for name in claim.function_names) or "—"
                link = f"[{escape(claim.title)}]({page_name(claim.id)}.md)"
                rows.append((f"({number})", link, VERDICTS[claim.verdict], functions, f"`{TEST}` [`{claim.id}`]"))
    return _table(("equation", "statement", "verdict", "function", "test"), rows)


def _claim_table(claims: Mapping[str, Claim]) -> str:
    rows = [
        (
            f"[`{claim.id}`]({page_name(claim.id)}.md)",
            escape(claim.where),
            escape(claim.title),
            VERDICTS[claim.verdict],
            ", ".join(dict.fromkeys(check.engine for check in claim.checks)),
        )
        for claim in claims.values()
    ]
    return _table(("claim", "where", "statement", "verdict", "engines"), rows)


def _checks(claim: Claim) -> str:
    rows = [(check.engine, escape(check.says), escape(check.domain), str(check.expected)) for check in claim.checks]
    controls = [(control.engine, escape(control.changed), "refuted") for control in claim.controls]
    return (
        "## Checks\n\n"
        + _table(("engine", "sentence", "domain", "expected"), rows)
        + "\n\n## Negative controls\n\n"
        + _table(("engine", "changed", "expected"), controls)
    )


def _counterexample(claim: Claim) -> str:
    if claim.counterexample is None:
        return ""
    return _said("Counterexample", claim.counterexample.text) + "\n\n" + _numbers(claim.counterexample.evaluate())


def _numbers(numbers: Mapping[str, float]) -> str:
    return _table(("quantity", "value"), [(escape(name), number_text(value)) for name, value in numbers.items()])


def _functions(claim: Claim) -> str:
    if not claim.functions:
        return ""
    return "Computed by " + ", ".join(f"`{name}`" for name in claim.function_names) + "."


def users_of(claim: Claim, claims: Mapping[str, Claim]) -> list[str]:
    """Ids of the claims whose proof rests on this one directly."""
    return [other.id for other in claims.values() if claim.id in other.depends_on]


def _links(title: str, names: Iterable[str], claims: Mapping[str, Claim]) -> str:
    lines = "\n".join(f"- [`{name}`]({page_name(name)}.md) {escape(claims[name].title)}" for name in names)
    return f"**{title}**\n\n{lines}" if lines else ""


def _list(title: str, items: Iterable[str]) -> str:
    lines = "\n".join(f"- {escape(item)}" for item in items)
    return f"**{title}**\n\n{lines}" if lines else ""


def _said(title: str, text: str) -> str:
    return f"**{title}.** {escape(text)}" if text else ""


def _figure(claim: Claim) -> str:
    if claim.picture is None:
        return ""
    caption = escape(claim.picture.caption or claim.title)
    return f"![{caption}](figures/{page_name(claim.id)}.png)\n\n*{caption}*"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
