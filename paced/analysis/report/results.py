"""The report's section on held-out results, and the tables of it that the terminal shows as well."""

from __future__ import annotations

from collections.abc import Sequence

from paced.analysis.page import Section, draw_picture
from paced.analysis.report.evaluation import cut_table, metric_table, part_tables
from paced.analysis.results.comparison import (
    MethodResult,
    compare,
    difference_table,
    gain_table,
    report_method,
    unpaired,
)
from paced.analysis.results.intervals import Estimate
from paced.records import Table
from paced.run.folder import RunFolder

HOLM = "p by Holm over the other methods, higher and lower where it is below 0.05"
"""What the verdicts of the differences go by, for captions."""


def results_section(run: RunFolder) -> Section:
    """Accuracy, gain and forgetting of every method, and paired differences; a figure when methods are compared."""
    from paced.analysis.report import figures_run

    if not run.config().evaluation.sets:
        return Section(title="Results", missing=("No held-out set is configured (evaluation.sets).",))
    results, missing = compare(run)
    if not results:
        return Section(title="Results", missing=tuple(missing))
    tables = [("mean@k in per cent, with 95 % intervals over problems", results_table(results))]
    prose = [
        "Gain is the change on the taught skill, forgetting the loss on the prior skill, both paired by problem "
        "against the base student, in points with 95 % intervals over problems. They do not cover the "
        "spread between students: another seed is another student."
    ]
    pictures = []
    names = [result.method for result in results]
    reference = report_method(run, names)
    if len(results) > 1:
        caption = f"{reference} minus the others, paired by problem, in points; {HOLM}"
        tables.append((caption, differences(results, reference)))
        if all(result.gain and result.forgetting for result in results):
            table = gain_table(results)
            pictures.append(
                draw_picture(
                    run, "gain-forgetting", figures_run.gain_against_forgetting, table, "Gain against forgetting"
                )
            )
    tables.append(("Completions that the token limit cut, which count as failed, in per cent", cut_table(results)))
    tables.append(("mean@k, pass@k and maj@k in per cent, with 95 % intervals over problems", metric_table(run, names)))
    tables += part_tables(run, reference)
    prose += remarks(results, reference)
    return Section(
        title="Results", prose=tuple(prose), tables=tuple(tables), pictures=tuple(pictures), missing=tuple(missing)
    )


def results_table(results: Sequence[MethodResult]) -> Table:
    """Formatted table of methods: accuracy on each set, gain and forgetting in points with intervals."""
    sets = list(results[0].final)
    rows: dict[str, list[str]] = {column: [] for column in ("method", "gain", "forgetting", *sets)}
    rows["method"].append("base")
    rows["gain"].append("")
    rows["forgetting"].append("")
    for name in sets:
        rows[name].append(results[0].base[name].points())
    for result in results:
        rows["method"].append(result.method)
        rows["gain"].append(_points(result.gain))
        rows["forgetting"].append(_points(result.forgetting))
        for name in sets:
            rows[name].append(result.final[name].points())
    return rows


def differences(results: Sequence[MethodResult], reference: str) -> Table:
    """Formatted table of paired differences with the p-value of the family and a verdict in words."""
    table = difference_table(list(results), reference)
    estimates = [
        Estimate(value=value, low=low, high=high, num_problems=0)
        for value, low, high in zip(table["difference"], table["difference_low"], table["difference_high"], strict=True)
    ]
    return {
        "against": table["method"],
        "skill": ["taught" if role == "plasticity" else "prior" for role in table["role"]],
        "difference": [estimate.points(signed=True) for estimate in estimates],
        "p (Holm)": [p_text(p_value) for p_value in table["p_holm"]],
        "verdict": table["verdict"],
    }


def remarks(results: Sequence[MethodResult], reference: str) -> list[str]:
    """What a reader of the accuracies must know: completions cut, problems in no mean or in no pair; each once."""
    said = [sentence for result in results for sentence in result.remarks]
    return list(dict.fromkeys([*said, *(unpaired(results, reference) if len(results) > 1 else [])]))


def p_text(p_value: float) -> str:
    """A p-value for a table, three decimals.

    Example:
        >>> p_text(0.0312), p_text(1e-9)
        ('0.031', '< 0.001')
    """
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"


def _points(estimate: Estimate | None) -> str:
    return estimate.points(signed=True) if estimate else "not measured"
