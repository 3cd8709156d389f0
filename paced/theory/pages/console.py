"""What ``paced verify`` shows in a terminal: the list, one claim explained, a progress bar, the table of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from paced.theory.ledger.claim import Claim, Verdict
from paced.theory.ledger.ledger import ledger
from paced.theory.ledger.runner import ALIASES, Ran, Report, run, select, tasks_of
from paced.theory.pages.explain import VERDICTS, page, plain_data
from paced.theory.pages.formulas import unicode_text

SHORT = {
    Verdict.TRUE: "true",
    Verdict.CONDITIONAL: "conditional",
    Verdict.LOOSE: "false as worded",
    Verdict.ASSUMED: "assumed",
}
"""Verdicts as the table of a run writes them."""


def console() -> Console:
    """Standard output; 150 columns wide when it is a file or a pipe, so that nothing is cut at 80.

    Without markup: E[u^2] and [-delta, delta] are mathematics.
    """
    import sys

    return Console(width=None if sys.stdout.isatty() else 150, markup=False)


def show_list(names: Sequence[str], console: Console) -> None:
    """Every claim with its place, title and verdict; nothing is run."""
    table = Table("claim", "where", "statement", "verdict", box=None, pad_edge=False)
    for claim in select(names):
        table.add_row(claim.id, claim.where, claim.title, VERDICTS[claim.verdict])
    console.print(table)


def show_claim(name: str, console: Console) -> None:
    """Statement, proof, counterexample, repair and checks of a claim, or of all whose ids begin with ``name``.

    Its z3 checks are run, so that a reader sees a point where their hypotheses hold: an empty domain proves anything.
    """
    for claim in _explained(name):
        text = page(claim, ledger()).replace(f"$$\n{claim.latex}\n$$", f"```\n{unicode_text(claim.latex)}\n```")
        console.print(Markdown(text))
        for check in claim.checks:
            if check.engine == "z3":
                console.print(f"z3: {check.says}: {check.decide()}.", markup=False)


def claims_data(name: str) -> list[dict[str, Any]]:
    """What :func:`show_claim` shows, as plain data: one dict for each claim."""
    return [plain_data(claim, ledger()) for claim in _explained(name)]


def _explained(name: str) -> list[Claim]:
    """The claim of this id alone if there is one, else all whose ids begin with it."""
    chosen, whole = select([name]), name.casefold()
    return [claim for claim in chosen if claim.id == ALIASES.get(whole, whole)] or chosen


def run_with_bar(names: Sequence[str], *, workers: int | None, console: Console) -> Report:
    """Run the claims while a bar shows the progress."""
    columns = (
        TextColumn("verify"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("verify", total=len(tasks_of(select(names))), last="")
        return run(names, workers=workers, on_done=lambda one: progress.update(bar, advance=1, last=one.task.claim))


def show_report(report: Report, console: Console) -> None:
    """The table of a run: one row for each claim, or for each check when few were asked for, then what differs."""
    names = list(dict.fromkeys(one.task.claim for one in report.ran))
    console.print(_by_check(report) if len(names) <= 4 else _by_claim(report, names))
    for one in report.failures:
        outcome = one.error.strip() if one.outcome is None else str(one.outcome)
        decided = "" if one.engine == one.declared else f" (decided by {one.engine})"
        console.print(f"{one.task.claim} {one.task.kind} ({one.declared}) {one.says}", style="bold red", markup=False)
        console.print(f"  expected {one.expected}, got {outcome}{decided}", style="red", markup=False)
    good = len(report.ran) - len(report.failures)
    controls = [one for one in report.ran if one.task.kind == "control"]
    refuted = sum(one.as_expected for one in controls)
    console.print(
        f"{len(names)} claim{'s' * (len(names) != 1)}: {good} of {len(report.ran)} outcomes as recorded, "
        f"{refuted} of {len(controls)} controls refuted, in {report.seconds:.1f} s",
        style="green" if not report.failures else "red",
        markup=False,
    )


def _by_claim(report: Report, names: Sequence[str]) -> Table:
    # What identifies a row keeps its width; the texts share what is left and are cut.
    table = Table(box=None, pad_edge=False, expand=True)
    for heading, ratio in (
        ("claim", None), ("statement", 4), ("verdict", None), ("engines", 3), ("domain", 2), ("controls", None),
    ):  # fmt: skip
        table.add_column(heading, ratio=ratio, no_wrap=True, overflow="ellipsis")
    table.columns[0].min_width, table.columns[2].min_width = max(map(len, names)), max(map(len, SHORT.values()))
    table.add_column("seconds", no_wrap=True, justify="right", min_width=7)
    for name in names:
        ran, claim = report.of(name), ledger()[name]
        checks = [one for one in ran if one.task.kind == "check"]
        controls = [one for one in ran if one.task.kind == "control"]
        bad = any(not one.as_expected for one in ran)
        table.add_row(
            name,
            claim.title,
            SHORT[claim.verdict],
            _engines(checks),
            "; ".join(dict.fromkeys(one.domain for one in checks)),
            f"{sum(one.as_expected for one in controls)}/{len(controls)}",
            f"{sum(one.seconds for one in ran):.2f}",
            style="bold red" if bad else None,
        )
    return table


def _by_check(report: Report) -> Table:
    table = Table("claim", "kind", "engine", "sentence or change", "domain", "outcome", "seconds", box=None)
    table.columns[-1].justify = "right"
    for one in report.ran:
        outcome = f"{_mark(one)} {one.outcome or 'crashed'}"
        table.add_row(one.task.claim, one.task.kind, one.engine, one.says, one.domain, outcome, f"{one.seconds:.2f}")
    return table


def _engines(checks: Sequence[Ran]) -> str:
    """The engines of some checks with their number and ✓, or ✗ where one differs."""
    groups: dict[str, list[Ran]] = {}
    for one in checks:
        groups.setdefault(one.engine, []).append(one)
    return " ".join(
        f"{'✓' if all(one.as_expected for one in group) else '✗'}{engine}"
        + (f"x{len(group)}" if len(group) > 1 else "")
        for engine, group in groups.items()
    )


def _mark(one: Ran) -> str:
    return "✓" if one.as_expected else "✗"
