"""The ledger of claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from paced.cli.app import app
from paced.cli.arguments import Count, JsonFile, Quiet
from paced.cli.endings import FAILED
from paced.cli.extras import need_extra
from paced.cli.running import write_json_text


@app.command(group="Theory")
def verify(
    *,
    claim: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    explain: str | None = None,
    strict: Annotated[bool, Parameter(negative="")] = False,
    json: JsonFile = None,
    html: Path | None = None,
    docs: Path | None = None,
    workers: Count | None = None,
    quiet: Quiet = False,
) -> int:
    """Check every claim of the paper and every extension by machine, in under a minute and without torch.

    Parameters
    ----------
    claim
        Only this claim and those below it (thm6 takes thm6.iii too); may be given more than once. Parts (i) and (ii) of
        Theorem 6 are thm6 itself, and are found as thm6.i and thm6.ii. Case does not matter.
    list_
        Show the claims and their verdicts, run nothing.
    explain
        Show one claim: statement, proof sketch, counterexample, repair, checks and controls.
    strict
        Exit with 1 when any outcome differs from the recorded one; a check that crashes does so always.
    json
        Write every outcome, or with `--explain` the claim, as JSON to this file; `-` prints it instead of the text.
    html
        Write one page with the dependency graph, the counterexample figures and every outcome.
    docs
        Write the Markdown pages of the theory to this folder, run nothing; a file there that paced did not write is
        never replaced.
    workers
        Processes; by default one for each core.
    """
    need_extra("verify", "verify")
    from rich.console import Console

    from paced.theory.pages import console as terminal

    out = terminal.console()
    if explain is not None:
        import json as writer

        shown = terminal.claims_data(explain) if json is not None else []
        if not write_json_text(json, writer.dumps(shown, indent=2, ensure_ascii=False, allow_nan=False)):
            terminal.show_claim(explain, out)
        return 0
    if list_:
        terminal.show_list(claim, out)
        return 0
    if docs is not None:
        from paced.theory.pages.files import write_docs

        print(f"{len(write_docs(docs))} files in {docs}")
        return 0
    report = terminal.run_with_bar(claim, workers=workers, console=Console(stderr=True, quiet=quiet))
    from paced.theory.ledger.runner import to_json

    if not write_json_text(json, to_json(report)):
        terminal.show_report(report, out)
    if html is not None:
        from paced.theory.pages.files import write_html

        write_html(report, html)
    crashed = any(one.outcome is None for one in report.ran)
    return FAILED if crashed or (strict and report.failures) else 0
