"""The report's section of sample completions, from problems hardly solved to problems always solved."""

from __future__ import annotations

import numpy as np

from paced.analysis.page import Sample, Section
from paced.analysis.results.comparison import runs_by_method
from paced.records import Grade, PassRate, Problem, Rollout
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet, read_records

NUM_SAMPLES = 6
"""Sample completions shown, one for each of so many pass rates from lowest to highest."""

MAX_CHARACTERS = 3000
"""Most characters of one text in the page: a completion of 10 MB would make a page that no browser opens."""


def shorten(text: str) -> str:
    """The beginning of a text, with its length where the rest is left out.

    Example:
        >>> shorten("a" * 4000)[2999:]
        'a … (the first 3,000 of 4,000 characters)'
    """
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[:MAX_CHARACTERS]} … (the first {MAX_CHARACTERS:,} of {len(text):,} characters)"


def samples_section(run: RunFolder) -> Section:
    """One completion of the first student at each of a few pass rates, with its verdict and the reference."""
    stages = [folder.stage(1) for folder in (run, *runs_by_method(run).values())]
    stage = next((stage for stage in stages if stage.rollouts.exists()), stages[0])
    if not (stage.rollouts.exists() and stage.pass_rates.exists() and run.problems.exists()):
        return Section(title="Sample completions", missing=("No rollouts yet.",))
    problems = {problem.problem_id: problem for problem in read_parquet(run.problems, Problem)}
    rates = sorted(
        read_parquet(stage.pass_rates, PassRate), key=lambda rate: (rate.pass_rate_estimate, rate.problem_id)
    )
    by_value = list({rate.pass_rate_estimate: rate for rate in reversed(rates)}.values())[::-1]  # one of each value
    shown = np.linspace(0, len(by_value) - 1, min(NUM_SAMPLES, len(by_value))).astype(int)
    picked = [by_value[index] for index in shown]
    wanted = {rate.problem_id for rate in picked}
    rollouts = {r.problem_id: r for r in reversed(read_records(stage.rollouts, Rollout)) if r.problem_id in wanted}
    grades = {(grade.problem_id, grade.sample_index): grade for grade in read_records(stage.grades, Grade)}
    references = {r.problem_id: r for r in read_records(stage.references, Rollout) if r.problem_id in wanted}
    samples = []
    for rate in picked:
        rollout = rollouts[rate.problem_id]
        grade = grades.get((rollout.problem_id, rollout.sample_index))
        lines = [
            ("problem", problems[rate.problem_id].problem),
            ("gold answer", problems[rate.problem_id].answer),
            ("student", rollout.text),
            ("verdict", f"{grade.verdict}: {grade.reason}" if grade else "not graded"),
        ]
        if rate.problem_id in references:
            lines.append(("reference", references[rate.problem_id].text))
        heading = f"p̂ = {rate.num_passed}/{rate.num_rollouts} · {problems[rate.problem_id].source}"
        samples.append(Sample(heading=heading, lines=tuple((label, shorten(text)) for label, text in lines)))
    return Section(title="Sample completions", samples=tuple(samples))
