"""The report's section on the curriculum: the training problems by region, before, during and after training."""

from __future__ import annotations

from paced.analysis.page import Section, draw_picture
from paced.analysis.results.comparison import report_method, runs_by_method
from paced.analysis.results.curriculum import curriculum_checkpoints, curriculum_table, flow_table
from paced.run.folder import RunFolder
from paced.zone import TABLE_9


def curriculum_section(run: RunFolder) -> Section:
    """Shares of low, zpd and high training problems along each method's run, and where they went."""
    from paced.analysis.report import figures_run

    runs = runs_by_method(run)
    followed = {method: curriculum_checkpoints(other) for method, other in runs.items()}
    drawn = report_method(run, [method for method in runs if len(followed[method]) > 1] or list(runs))
    pictures, missing = [], []
    summary: dict[str, list[str]] = {
        key: [] for key in ("method", "checkpoint", "low", "zpd", "high", "mean p̂", "zpd left", "effective share")
    }
    for method, checkpoints in followed.items():
        if len(checkpoints) < 2:
            missing.append(f"{method}: pass rates of the training problems after training are not here.")
            continue
        table = curriculum_table(checkpoints)
        for row, checkpoint in enumerate(table["checkpoint"]):
            summary["method"].append(method)
            summary["checkpoint"].append(checkpoint)
            for name, column in (("low", "low"), ("zpd", "zpd"), ("high", "high"), ("mean p̂", "mean_pass_rate")):
                low, high = table[f"{column}_low"][row], table[f"{column}_high"][row]
                summary[name].append(f"{100 * table[column][row]:.1f} [{100 * low:.1f}, {100 * high:.1f}]")
            for name, column in (("zpd left", "zpd_left"), ("effective share", "effective_share")):
                summary[name].append(f"{100 * table[column][row]:.1f}")
        if method == drawn:
            pictures.append(
                draw_picture(
                    run, "curriculum", figures_run.curriculum_stack, table, f"Training problems by region ({method})"
                )
            )
            first, *_, last = checkpoints.values()
            flow = flow_table(first, last)
            pictures.append(
                draw_picture(run, "curriculum-flow", figures_run.curriculum_flow, flow, f"Where they went ({method})")
            )
    caption = (
        f"Shares of the training problems in per cent, by pass rate: low < {TABLE_9.low:g} ≤ zpd ≤ {TABLE_9.high:g} < "
        "high; what is left of the zone; the share of the problems that the default weights effectively use"
    )
    tables = ((caption, summary),) if summary["method"] else ()
    return Section(title="Curriculum", tables=tables, pictures=tuple(pictures), missing=tuple(missing))
