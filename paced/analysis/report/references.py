"""The report's section of references: how many are flagged, for what, what became of them, and some of each kind."""

from __future__ import annotations

from paced.analysis.page import Sample, Section
from paced.analysis.report.samples import shorten
from paced.analysis.results.comparison import runs_by_method
from paced.grading.references import FLAGS
from paced.pipeline.references import ReferenceCheck
from paced.records import Problem, Rollout
from paced.run.folder import RunFolder, StageFolder
from paced.run.storage import read_parquet, read_records

SHOWN_OF_A_KIND = 2
"""Flagged references shown for each kind of fault."""


def references_section(run: RunFolder) -> Section:
    """Counts of flagged references of every stage along references, and examples."""
    title = "References"
    table: dict[str, list[str]] = {column: [] for column in ("run", "stage", "references", "flagged", *FLAGS, "then")}
    samples: dict[str, Sample] = {}
    for name, folder in {"": run, **runs_by_method(run)}.items():
        for number, settings in enumerate(folder.config().stages, start=1):
            stage = folder.stage(number)
            if settings.along != "reference" or not stage.reference_checks.exists():
                continue
            checks = read_records(stage.reference_checks, ReferenceCheck)
            cells = [name or "whole", str(number), f"{len(checks):,}", f"{sum(bool(one.flags) for one in checks):,}"]
            cells += [f"{sum(flag in one.flags for one in checks):,}" for flag in FLAGS]
            then = "dropped" if folder.config().references.flagged == "drop" else "kept"
            for column, cell in zip(table, [*cells, then], strict=True):
                table[column].append(cell)
            if not samples:
                samples = _examples(folder, stage, checks)
    if not table["run"]:
        return Section(title=title, missing=("No stage along references has any yet.",))
    prose = (
        "A reference is flagged when it speaks of its instruction (leaks), was cut by the token limit (truncated), is "
        "longer than the limit allows (too long), has no answer in the format asked for, or a wrong one. Problems "
        "whose references were dropped take no part in the stage; the weights of the others have unit mean.",
    )
    return Section(
        title=title,
        prose=prose,
        tables=(("Flagged references", table),),
        samples=tuple(samples.values()),
    )


def _examples(run: RunFolder, stage: StageFolder, checks: list[ReferenceCheck]) -> dict[str, Sample]:
    """A few flagged references of each kind, by problem."""
    picked: dict[str, ReferenceCheck] = {}
    for flag in FLAGS:
        of_kind = [one for one in checks if flag in one.flags and one.problem_id not in picked]
        picked |= {one.problem_id: one for one in of_kind[:SHOWN_OF_A_KIND]}
    texts = {one.problem_id: one.text for one in read_records(stage.references, Rollout) if one.problem_id in picked}
    problems = {one.problem_id: one for one in read_parquet(run.problems, Problem) if one.problem_id in picked}
    samples = {}
    for problem_id, check in picked.items():
        lines = [
            ("problem", problems[problem_id].problem),
            ("gold answer", problems[problem_id].answer),
            ("reference", texts.get(problem_id, "")),
        ]
        lines += [("leaks by", check.leak)] if check.leak else []
        heading = f"{', '.join(check.flags)} · verdict {check.verdict} · {problem_id}"
        samples[problem_id] = Sample(heading=heading, lines=tuple((label, shorten(text)) for label, text in lines))
    return samples
