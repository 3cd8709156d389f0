"""What a run needs of its problems: each gold answer is right by the recipe's own grader, and what is held out is.

Left out: problems that resemble each other. Only the same text counts as the same problem.
"""

from __future__ import annotations

from collections.abc import Sequence

from paced.errors import BadRow
from paced.grading.grade import grade_all
from paced.records import Problem, Rollout
from paced.run.config import EvaluationSet, GradingConfig

AS_WRITTEN = {"boxed": "\\boxed{{{}}}", "gsm8k": "#### {}"}
"""Answer format -> how a completion writes a bare answer in it; the other formats read the bare answer."""


def gold_faults(
    problems: Sequence[Problem], config: GradingConfig, *, rows: Sequence[int] | None = None
) -> list[BadRow]:
    """The problems whose own gold answer, written as the format asks, is not graded as correct.

    No completion could ever be right there, and the student would be blamed for the grader.

    Args:
        problems: the tasks of one file, in its order.
        config: the recipe's section ``grading``.
        rows: where each problem is in its file; None for 1, 2, 3 ...

    Example:
        >>> from paced.run.schema import Choice
        >>> gsm8k = Problem(problem_id="a", problem="1 + 2", answer="One and two make 3. #### 3")
        >>> print(gold_faults([gsm8k], GradingConfig(answer_format=Choice("last_number")))[0].fix)
        A completion that says it is graded 'incorrect' under grading.answer_format=last_number: '3' is not the text \
'One and two make 3. #### 3'. Give the final answer alone, or another answer_format.
    """
    answer_format = config.answer_format.name
    written = AS_WRITTEN.get(answer_format, "{}")
    said = [
        Rollout(
            problem_id=problem.problem_id,
            sample_index=0,
            token_ids=(),
            text=written.format(problem.answer),
            finish_reason="stop",
            seed=0,
        )
        for problem in problems
    ]
    faults = []
    places = rows or range(1, len(problems) + 1)
    for number, problem, grade in zip(places, problems, grade_all(problems, said, config), strict=True):
        if grade.verdict != "correct":
            fix = (
                f"A completion that says it is graded '{grade.verdict}' under grading.answer_format={answer_format}: "
                f"{grade.reason} Give the final answer alone, or another answer_format."
            )
            shown = problem.answer if len(problem.answer) <= 60 else problem.answer[:57] + "..."
            faults.append(BadRow(row=number, column="answer", found=repr(shown), fix=fix))
    return faults


def overlap(item: EvaluationSet, held_out: Sequence[Problem], training: Sequence[Problem]) -> tuple[str, bool]:
    """A sentence on held-out problems that are trained on, empty for none, and whether it forbids the run.

    Nothing is held out of a plasticity set of training problems alone. Some of them may be there on purpose, and a
    prior skill may be rehearsed, so the rest is only said.
    """
    known = {" ".join(problem.problem.split()) for problem in training}
    both = [problem.problem_id for problem in held_out if " ".join(problem.problem.split()) in known]
    if not both:
        return "", False
    names = ", ".join(both[:3]) + (", ..." if len(both) > 3 else "")
    sentence = (
        f"evaluation.sets: {len(both):,} of {len(held_out):,} problems of '{item.name}' are training problems ({names})"
    )
    if len(both) == len(held_out) and item.role == "plasticity":
        return f"{sentence}, so nothing is held out. Give problems that are not trained on.", True
    return f"{sentence}; its accuracy is partly that of the training set.", False
