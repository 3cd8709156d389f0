"""Every rung that the grader took on the completions of one problem, for a person who doubts a pass rate."""

from __future__ import annotations

from paced.errors import ConfigError
from paced.grading.grade import explain
from paced.pipeline.steps import stage_problems
from paced.records import Rollout
from paced.run.folder import RunFolder
from paced.run.storage import read_records


def explain_grades(run: RunFolder, stage_number: int, problem_id: str) -> list[str]:
    """Every rung that each completion of one problem took, as lines of text; nothing is written.

    Raises:
        ConfigError: the stage has no such problem, or no rollouts of it.
    """
    problems = [problem for problem in stage_problems(run, stage_number) if problem.problem_id == problem_id]
    if not problems:
        raise ConfigError(
            f"{run.root}: stage {stage_number} must have the problem that --explain names, got {problem_id!r}."
        )
    file = run.stage(stage_number).rollouts
    rollouts = [one for one in read_records(file, Rollout) if one.problem_id == problem_id] if file.exists() else []
    if not rollouts:
        raise ConfigError(f"{run.root}: has no rollouts of {problem_id!r} yet. Run: paced rollout {run.root}")
    lines = []
    for rollout in rollouts:
        lines.append(f"{problem_id} sample {rollout.sample_index}")
        lines += [f"  {rung:<10} {what}" for rung, what in explain(problems[0], rollout, run.config().grading)]
    return lines
