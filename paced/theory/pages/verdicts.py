"""The tables of verdicts in ``docs/explanation``: what is proved, what is refuted and repaired, what is assumed.

The pages keep their text; what is between ``<!-- verdict: loose_or_false -->`` and ``<!-- end -->`` is written from the
ledger: ``python -m paced.theory.pages.verdicts docs/explanation``. ``<!-- verdict: page -->`` is replaced by the claims
that the page itself links to, each with its verdict. A test compares pages and ledger.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from paced.run.storage import write_atomic
from paced.theory.ledger.claim import Claim, Verdict
from paced.theory.ledger.ledger import ledger
from paced.theory.pages.explain import VERDICTS, escape, page_name
from paced.theory.pages.graph import svg

Claims = Mapping[str, Claim]

LINK = re.compile(r"\]\(\.\./theory/([\w-]+)\.md\)")
MARKED = re.compile(r"<!-- verdict: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def fill_verdicts(text: str) -> str:
    """A page with its tables of verdicts written anew.

    Args:
        text: Markdown with any number of marked places; each names a :class:`Verdict`, or ``page``.

    Returns: the same text, with the tables of today's ledger at the marked places.

    Raises:
        ValueError: a mark with another name, or a link to the page of a claim that is not in the ledger.

    Example:
        >>> fill_verdicts("<!-- verdict: assumed -->\\n<!-- end -->").splitlines()[3]
        '| claim | what is assumed | what is said about it | claims that rest on it |'
    """
    linked = claims_linked(MARKED.sub("", text), ledger())
    return MARKED.sub(lambda mark: _filled(mark.group(1), linked), text)


def claims_linked(text: str, claims: Claims) -> list[Claim]:
    """The claims whose pages a text links to, in its order, each once.

    Args:
        text: Markdown of a page in ``docs/explanation``.
        claims: the whole ledger.

    Example:
        >>> [claim.id for claim in claims_linked("[1](../theory/lem5.md), [2](../theory/eq3.md)", ledger())]
        ['lem5', 'eq3']
    """
    pages = {page_name(name): claim for name, claim in claims.items()}
    names = [name for name in dict.fromkeys(LINK.findall(text)) if name != "index"]
    unknown = [name for name in names if name not in pages]
    if unknown:
        raise ValueError(f"claims_linked: a link must lead to the page of a claim, got {', '.join(unknown)}.")
    return [pages[name] for name in names]


def rests_on(name: str, claims: Claims) -> set[str]:
    """Every claim that ``name`` depends on, directly or through others.

    Args:
        name: id of a claim.
        claims: the whole ledger.

    Example:
        >>> sorted(rests_on("thm6", ledger()))[:4]
        ['a1', 'a3b', "a3b'", 'def2']
    """
    reached: set[str] = set()
    waiting = list(claims[name].depends_on)
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting.extend(claims[one].depends_on)
    return reached


def _filled(name: str, linked: list[Claim]) -> str:
    """One marked place with its table."""
    claims = ledger()
    if name == "page":
        table = _table(("claim", "sentence", "verdict"), ((one.title, VERDICTS[one.verdict]) for one in linked), linked)
    elif name in set(Verdict):
        chosen = [claim for claim in claims.values() if claim.verdict == name]
        table = _TABLES[Verdict(name)](chosen, claims)
    else:
        raise ValueError(f"fill_verdicts: a mark must name page or one of {', '.join(Verdict)}, got {name!r}.")
    look = "verdicts" if name == "page" else "sentences"  # classes of docs/_static/page.css
    return f"<!-- verdict: {name} -->\n```{{container}} {look}\n\n{table}\n```\n<!-- end -->"


def _proved(chosen: list[Claim], claims: Claims) -> str:
    return _table(("claim", "where", "what is verified"), ((claim.where, claim.statement) for claim in chosen), chosen)


def _conditional(chosen: list[Claim], claims: Claims) -> str:
    rows = (("; ".join(claim.hypotheses), claim.statement, _counterexample(claim)) for claim in chosen)
    return _table(("claim", "under these conditions", "it is true that", "a counterexample without them"), rows, chosen)


def _loose(chosen: list[Claim], claims: Claims) -> str:
    rows = ((claim.paper, _counterexample(claim), claim.repair) for claim in chosen)
    return _table(("claim", "the paper", "a counterexample", "what is true instead"), rows, chosen)


def _assumed(chosen: list[Claim], claims: Claims) -> str:
    resting = [[name for name in claims if claim.id in rests_on(name, claims)] for claim in chosen]
    rows = (
        (claim.paper, claim.statement, f"{len(names)}: {', '.join(names)}" if names else "none")
        for claim, names in zip(chosen, resting, strict=True)
    )
    return _table(("claim", "what is assumed", "what is said about it", "claims that rest on it"), rows, chosen)


_TABLES: dict[Verdict, Callable[[list[Claim], Claims], str]] = {
    Verdict.TRUE: _proved,
    Verdict.CONDITIONAL: _conditional,
    Verdict.LOOSE: _loose,
    Verdict.ASSUMED: _assumed,
}


def _counterexample(claim: Claim) -> str:
    return claim.counterexample.text if claim.counterexample else ""


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]], chosen: Iterable[Claim]) -> str:
    """A Markdown table whose first column links the claims."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for claim, cells in zip(chosen, rows, strict=True):
        link = f"[`{claim.id}`](../theory/{page_name(claim.id)}.md)"
        lines.append("| " + " | ".join([link, *(escape(cell) for cell in cells)]) + " |")
    return "\n".join(lines)


def write_verdicts(folder: Path) -> None:
    """Fill every page of a folder, and draw there what rests on what as ``claims.svg``; equal files are left alone.

    Args:
        folder: for instance ``docs/explanation``.
    """
    written = {page: fill_verdicts(page.read_text(encoding="utf-8")) for page in sorted(folder.glob("*.md"))}
    written[folder / "claims.svg"] = svg(ledger())
    for path, text in written.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_atomic(path, text)


if __name__ == "__main__":
    write_verdicts(Path(sys.argv[1]))
