"""The dependency graph of the ledger as an SVG: what each claim rests on, assumptions at the left.

A claim's column is its distance from the assumptions (longest path), so that every arrow points to the right; rows
keep the ledger's order. No layout package is needed for a graph of this size.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from paced.theory.ledger.claim import Claim, Verdict

FILL = {Verdict.TRUE: "#CBE8DC", Verdict.CONDITIONAL: "#FBE9C4", Verdict.LOOSE: "#F6CFB8", Verdict.ASSUMED: "#E3E3E3"}
WIDTH, HEIGHT, GAP_X, GAP_Y = 190, 36, 50, 8
TITLE_LENGTH = 34
"""Characters of a title that fit a box; the whole is its tooltip."""


def columns(claims: Mapping[str, Claim]) -> dict[str, int]:
    """Column of each claim: 0 when it rests on nothing, else one more than the furthest claim that it rests on.

    Raises:
        ValueError: claims that rest on each other.

    Example:
        >>> from paced.theory.ledger.ledger import ledger
        >>> place = columns(ledger())
        >>> place["a3b"], place["prop3"], place["prop3.shape"]
        (0, 1, 2)
    """
    place: dict[str, int] = {}

    def visit(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            raise ValueError(f"ledger: claims rest on each other: {' -> '.join([*above, name])}.")
        if name not in place:
            place[name] = max((visit(other, (*above, name)) + 1 for other in claims[name].depends_on), default=0)
        return place[name]

    for name in claims:
        visit(name, ())
    return place


def svg(claims: Mapping[str, Claim]) -> str:
    """The graph as one ``<svg>`` element; each box links to ``#id`` and has the claim's title as tooltip."""
    place = columns(claims)
    position: dict[str, tuple[float, float]] = {}
    filled: dict[int, int] = {}
    for name in claims:
        row = filled.get(place[name], 0)
        filled[place[name]] = row + 1
        position[name] = (10 + place[name] * (WIDTH + GAP_X), 10 + row * (HEIGHT + GAP_Y))
    width = 20 + (max(filled) + 1) * (WIDTH + GAP_X)
    height = 20 + max(filled.values()) * (HEIGHT + GAP_Y)
    arrows = [_arrow(position[other], position[name]) for name in claims for other in claims[name].depends_on]
    boxes = [_box(claim, *position[name]) for name, claim in claims.items()]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    label = 'role="img" aria-label="What each claim rests on" font-family="sans-serif" font-size="11">'
    return "\n".join([f"{head} {label}", *arrows, *boxes, "</svg>"])


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x0, y0, x1, y1 = start[0] + WIDTH, start[1] + HEIGHT / 2, end[0], end[1] + HEIGHT / 2
    bend = (x1 - x0) / 2
    return (
        f'<path d="M{x0:g},{y0:g} C{x0 + bend:g},{y0:g} {x1 - bend:g},{y1:g} {x1:g},{y1:g}" '
        'fill="none" stroke="#999" stroke-width="0.8" opacity="0.55"/>'
    )


def _box(claim: Claim, x: float, y: float) -> str:
    title = claim.title if len(claim.title) <= TITLE_LENGTH else claim.title[: TITLE_LENGTH - 1].rstrip() + "…"
    middle = f'x="{x + WIDTH / 2:g}" text-anchor="middle" fill="#111"'
    return (
        f'<a href="#{escape(claim.id)}"><title>{escape(claim.title)}</title>'
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="4" stroke="#666" '
        f'fill="{FILL[claim.verdict]}"/>'
        f'<text {middle} y="{y + 14:g}" font-weight="bold">{escape(claim.id)}</text>'
        f'<text {middle} y="{y + 28:g}" font-size="10">{escape(title)}</text></a>'
    )
