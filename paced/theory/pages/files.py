"""The theory as files: the folder of Markdown pages with figures, and the one-file HTML of a run."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from paced.run.storage import write_atomic
from paced.theory.ledger.claim import Claim
from paced.theory.ledger.ledger import ledger
from paced.theory.ledger.runner import Ran, Report
from paced.theory.pages.explain import OWN, VERDICTS, index, number_text, page, page_name, reading_aids, users_of
from paced.theory.pages.formulas import mathml
from paced.theory.pages.graph import svg
from paced.theory.pages.manifest import replace_listed


def pages() -> dict[str, str]:
    """Text of every page by its file name: the index and one page for each claim."""
    claims = ledger()
    return {
        "index.md": index(claims),
        **{f"{page_name(name)}.md": page(claim, claims) for name, claim in claims.items()},
    }


def picture(claim: Claim) -> bytes:
    """The claim's figure as PNG; the same bytes for the same table and matplotlib."""
    from paced.figures import png_bytes
    from paced.theory.pages.figures import DRAWINGS

    assert claim.picture is not None
    return png_bytes(DRAWINGS[claim.picture.name](claim.picture.table()))


def write_docs(folder: Path) -> list[Path]:
    """Write all pages and figures; pages of claims that are gone are removed, files of others never.

    Args:
        folder: for instance ``docs/theory``.

    Returns: the files written, which ``manifest.txt`` there lists.

    Raises:
        ConfigError: a page would replace a file that an earlier call did not write; nothing is written then.
    """
    figures = {
        f"figures/{page_name(claim.id)}.png": picture(claim) for claim in ledger().values() if claim.picture is not None
    }
    return replace_listed(folder, {**pages(), **figures})


def write_html(report: Report, path: Path) -> None:
    """One file that opens offline: summary, dependency graph, and each claim with its outcomes and figure."""
    claims = {name: claim for name, claim in ledger().items() if report.of(name)}
    closed = {name: _closed(claim, claims) for name, claim in claims.items()}
    bad = len(report.failures)
    body = [
        "<h1>The paper's claims, checked by machine</h1>",
        f"<p>{len(claims)} claims, {len(report.ran) - bad} of {len(report.ran)} outcomes as recorded, "
        f"{report.seconds:.1f} s.</p>",
        _how_to_read(),
        _contents(claims),
        "<p>Colours: green true, yellow true under conditions, orange loose or false as worded, grey assumed.</p>",
        f'<div class="wide">{svg(closed)}</div>',
        *(_section(claim, report.of(name), claims) for name, claim in claims.items()),
    ]
    style = (
        "body{font:15px/1.5 sans-serif;max-width:60rem;margin:auto;padding:1rem;color:#111;background:#fff}"
        "table{border-collapse:collapse;font-size:13px}td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:left}"
        "math{font-size:1.1rem}nav details{margin:.2rem 0}"
        ".wide{overflow-x:auto}.bad{color:#a00;font-weight:bold}img{max-width:100%}section{border-top:1px solid #ccc}"
    )
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>paced verify</title><style>{style}</style>'
    )
    write_atomic(path, head + "</head><body>" + "\n".join(body) + "</body></html>\n")


def _closed(claim: Claim, claims: dict[str, Claim]) -> Claim:
    """The claim without arrows to claims that are not shown."""
    from dataclasses import replace

    return replace(claim, depends_on=tuple(name for name in claim.depends_on if name in claims))


def _how_to_read() -> str:
    """Verdicts, outcomes, engines and letters, folded away."""
    tables = []
    for title, words in reading_aids().items():
        rows = "".join(f"<tr><td>{escape(word)}</td><td>{escape(text)}</td></tr>" for word, text in words.items())
        tables.append(f"<table><tr><th>{escape(title)}</th><th></th></tr>{rows}</table>")
    return (
        "<details><summary>How to read this page</summary><p>A control is a check with a hypothesis dropped or a "
        f"constant changed, which must be refuted.</p>{''.join(tables)}</details>"
    )


def _contents(claims: dict[str, Claim]) -> str:
    """Every claim under its verdict, with the number of each."""
    parts = []
    for verdict, name in VERDICTS.items():
        chosen = [claim for claim in claims.values() if claim.verdict is verdict]
        if chosen:
            items = "".join(f"<li>{_link(claim)}</li>" for claim in chosen)
            parts.append(f"<details><summary>{len(chosen)} {name}</summary><ul>{items}</ul></details>")
    return f'<nav aria-label="Contents">{"".join(parts)}</nav>'


def _link(claim: Claim) -> str:
    return f'<a href="#{escape(claim.id)}"><code>{escape(claim.id)}</code></a> {escape(claim.title)}'


def _links(title: str, names: Iterable[str], claims: dict[str, Claim]) -> str:
    """Other claims with their titles; those that are not on the page without a link."""
    every = ledger()
    items = [
        _link(claims[name]) if name in claims else f"<code>{escape(name)}</code> {escape(every[name].title)}"
        for name in names
    ]
    return f"<p><b>{title}.</b></p><ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""


def _numbers(title: str, numbers: Mapping[str, float]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(number_text(x))}</td></tr>" for name, x in numbers.items())
    return f"<p><b>{title}.</b></p><table><tr><th>quantity</th><th>value</th></tr>{rows}</table>"


def _section(claim: Claim, ran: tuple[Ran, ...], claims: dict[str, Claim]) -> str:
    parts = [
        f'<section id="{escape(claim.id)}"><h2>{escape(claim.title)}</h2>',
        f"<p><code>{escape(claim.id)}</code> · {escape(claim.where)} · <b>{VERDICTS[claim.verdict]}</b></p>",
        *(
            f"<p><b>{title}.</b> {escape(text)}</p>"
            for title, text in (
                ("The paper", claim.paper or OWN),
                ("What is verified", claim.statement),
                ("Proof sketch", claim.proof),
                ("Repair", claim.repair),
            )
            if text
        ),
        f'<div class="wide">{mathml(claim.latex)}</div>',
    ]
    if claim.hypotheses:
        items = "".join(f"<li>{escape(one)}</li>" for one in claim.hypotheses)
        parts.append(f"<p><b>Hypotheses.</b></p><ul>{items}</ul>")
    if claim.counterexample is not None:
        parts.append(f"<p><b>Counterexample.</b> {escape(claim.counterexample.text)}</p>")
        parts.append(_numbers("Its numbers", claim.counterexample.evaluate()))
    if claim.numbers is not None:
        parts.append(_numbers("Reference numbers", claim.numbers()))
    if claim.picture is not None:
        data = base64.b64encode(picture(claim)).decode("ascii")
        parts.append(f'<img alt="{escape(claim.picture.caption or claim.title)}" src="data:image/png;base64,{data}">')
    parts.append(_links("Rests on", claim.depends_on, claims))
    parts.append(_links("Used by", users_of(claim, ledger()), claims))
    if claim.functions:
        functions = ", ".join(f"<code>{escape(name)}</code>" for name in claim.function_names)
        parts.append(f"<p><b>Computed by.</b> {functions}</p>")
    rows = "".join(_row(one) for one in ran)
    head = "<tr><th>kind</th><th>engine</th><th>sentence or change</th><th>domain</th><th>outcome</th><th>s</th></tr>"
    return "\n".join([*parts, f'<div class="wide"><table>{head}{rows}</table></div></section>'])


def _row(one: Ran) -> str:
    outcome = str(one.outcome) if one.outcome is not None else one.error
    cells = (one.task.kind, one.engine, one.says, one.domain, outcome, f"{one.seconds:.2f}")
    kind = "" if one.as_expected else ' class="bad"'
    return f"<tr{kind}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
