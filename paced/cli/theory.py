"""The ledger of claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from paced.cli.app import FAILED, app


@app.command(group="Theory")
def verify(
    *,
    claim: tuple[str, ...] = (),
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    explain: str | None = None,
    strict: Annotated[bool, Parameter(negative="")] = False,
    json: Path | None = None,
    html: Path | None = None,
    docs: Path | None = None,
    workers: int | None = None,
) -> int:
    """Check every claim of the paper and every extension by machine, in under a minute and without torch.

    Parameters
    ----------
    claim
        only this claim and those below it (thm6 takes thm6.i to thm6.iii); may be given more than once.
    list_
        show the claims and their verdicts, run nothing.
    explain
        show one claim: statement, proof sketch, counterexample, repair, checks and controls.
    strict
        exit with 1 when any outcome differs from the recorded one, or a check crashes.
    json
        write every outcome to this file.
    html
        write one page with the dependency graph, the counterexample figures and every outcome.
    docs
        write the Markdown pages of the theory to this folder, run nothing.
    workers
        processes; by default one for each core.
    """
    from rich.console import Console

    from paced.theory.pages import console as terminal

    out = terminal.console()
    if list_ or explain is not None:
        terminal.show_claim(explain, out) if explain is not None else terminal.show_list(claim, out)
        return 0
    if docs is not None:
        from paced.theory.pages.files import write_docs

        print(f"{len(write_docs(docs))} files in {docs}")
        return 0
    report = terminal.run_with_bar(claim, workers=workers, console=Console(stderr=True))
    terminal.show_report(report, out)
    if json is not None:
        from paced.theory.ledger.runner import write_json

        write_json(report, json)
    if html is not None:
        from paced.theory.pages.files import write_html

        write_html(report, html)
    return FAILED if strict and report.failures else 0
