"""From a completion to a verdict with a reason: cut, extract, compare.

Each rung is small and total: extraction finds a string or says why there is none, comparison gives a verdict. An
exception in either is the verdict ``grader_error`` and never ``incorrect``, and a truncated completion is
``truncated`` whatever it says, because its last number is not its answer.
Left out: symbolic equality. It will be one more entry of :data:`COMPARISONS`, in a worker process that can be killed.
Model output is only ever searched and compared; nothing here evaluates it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from paced.errors import ConfigError
from paced.records import UNGRADABLE, Grade, PassRate, Problem, Rollout, Verdict
from paced.train.rollout.numerals import last_number, parse_integer

MAX_SEARCHED = 100_000
"""Characters at the end of a completion that are searched for an answer."""
MAX_OPEN_BOXES = 16
"""How many boxes, from the last, are tried for one that closes; keeps the time linear in the length."""
MAX_SHOWN = 200
"""Characters of an extracted answer that are stored with the grade."""

Extraction = Callable[[str], str | None]
"""Text of a completion -> its answer, or None when it gives none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The outcome of holding an extracted answer against the gold answer."""

    verdict: Verdict
    """correct, incorrect, or one of the verdicts that blame the grader."""
    reason: str
    """One sentence that a person can check."""


class Compare(Protocol):
    """One way to compare answers; it may be as strict or as clever as it likes, but must say why."""

    def __call__(self, *, extracted: str, answer: str) -> Comparison:
        """Compare the extracted answer with the gold ``answer``."""
        ...


def whole(text: str) -> str | None:
    """The completion itself, white space at its ends removed; None when nothing is left."""
    return text.strip() or None


def boxed(text: str) -> str | None:
    r"""The content of the last complete ``\boxed{}`` or ``\fbox{}``, or else of the last ``Answer:`` line.

    Text up to the last ``</think>`` is thinking and does not count.

    Example:
        >>> boxed(r"so \boxed{\frac{1}{2}} it is"), boxed("Answer: 34."), boxed("the answer may be 34")
        ('\\frac{1}{2}', '34', None)
    """
    text = text.rpartition("</think>")[2]
    boxes = list(re.finditer(r"\\(?:boxed|fbox)\s*\{", text))
    for match in reversed(boxes[-MAX_OPEN_BOXES:]):
        content = _braced(text, match.end())
        if content is not None:
            return content.strip() or None
    lines = re.findall(r"(?i)answer\s*:\s*([^\n]+)", text)
    return lines[-1].strip().strip("*").strip().removesuffix(".").strip() or None if lines else None


def first_line(text: str) -> str | None:
    """The last number of the first line that is not empty: for few-shot prompts, after whose answer a model goes on.

    Example:
        >>> first_line(" 12\\nQ: 3 + 4\\nA: 7")
        '12'
    """
    return last_number(text.strip().partition("\n")[0])


def digits(text: str) -> str | None:
    """All digits of the completion in order, whatever stands between them (the lab's stochastic phrasing).

    Example:
        >>> digits("w6z1x7")
        '617'
    """
    return "".join(character for character in text if character in "0123456789") or None


EXTRACTIONS: dict[str, Extraction] = {
    "whole": whole,
    "last_number": last_number,
    "first_line": first_line,
    "boxed": boxed,
    "digits": digits,
}
"""``grading.answer_format.name`` in a recipe -> where the answer is written."""


def compare_exact(*, extracted: str, answer: str) -> Comparison:
    """Equal as text, when runs of white space count as one space and a pair of dollar signs around all as nothing."""
    if _bare(extracted) == _bare(answer):
        return Comparison(verdict="correct", reason="Equal to the gold answer as text.")
    return Comparison(verdict="incorrect", reason=f"{_shown(extracted)!r} is not the text {_shown(answer)!r}.")


def compare_integer(*, extracted: str, answer: str) -> Comparison:
    """Equal as integers: 073, 73.0 and 73 are the same."""
    gold, found = parse_integer(answer), parse_integer(extracted)
    if gold is None:
        return Comparison(verdict="gold_unparseable", reason=f"The gold answer {_shown(answer)!r} is not an integer.")
    if found is None:
        return Comparison(verdict="incorrect", reason=f"{_shown(extracted)!r} is not an integer.")
    if found == gold:
        return Comparison(verdict="correct", reason="Equal to the gold answer as an integer.")
    return Comparison(verdict="incorrect", reason=f"{_shown(extracted)} is not {_shown(answer)}.")


COMPARISONS: dict[str, Compare] = {"exact": compare_exact, "integer": compare_integer}
"""``answer_type`` of a problem -> how its answer is compared."""


def grade_rollout(problem: Problem, rollout: Rollout, *, answer_format: str) -> Grade:
    """The verdict on one rollout.

    Args:
        problem: the task with its gold answer.
        rollout: a completion of that task.
        answer_format: name in :data:`EXTRACTIONS`.

    Raises:
        ConfigError: an answer format that there is not.

    Edges: a completion cut by the token limit is ``truncated`` even when it holds the gold answer.

    Example:
        >>> task = Problem(problem_id="a", problem="2+2", answer="4", answer_type="integer")
        >>> said = Rollout(problem_id="a", sample_index=0, token_ids=(7,), text="It is 5", finish_reason="stop", seed=1)
        >>> grade_rollout(task, said, answer_format="last_number").reason
        '5 is not 4.'
    """
    if answer_format not in EXTRACTIONS:
        raise ConfigError(f"grading.answer_format must be one of {', '.join(EXTRACTIONS)}, got {answer_format!r}.")
    extracted = ""
    if rollout.finish_reason == "length":
        outcome = Comparison(verdict="truncated", reason=f"Cut by the limit at {len(rollout.token_ids)} tokens.")
    else:
        try:
            found = EXTRACTIONS[answer_format](rollout.text[-MAX_SEARCHED:])
            if found is None:
                outcome = Comparison(verdict="no_answer", reason=f"No answer in the form '{answer_format}'.")
            else:
                extracted = found
                outcome = COMPARISONS[problem.answer_type](extracted=extracted, answer=problem.answer)
        except Exception as error:  # a fault of the grader must never count against the student
            outcome = Comparison(verdict="grader_error", reason=f"{type(error).__name__}: {_shown(str(error))}")
    return Grade(
        problem_id=problem.problem_id,
        sample_index=rollout.sample_index,
        verdict=outcome.verdict,
        extracted=_shown(extracted),
        reason=outcome.reason,
    )


def count_passes(problems: Sequence[Problem], grades: Sequence[Grade]) -> list[PassRate]:
    """Counts of each problem, Eq. (1): p̂ = correct / (all − ungradable), in the order of ``problems``.

    Truncated completions count as failures and are counted apart as well; ungradable ones leave the denominator.
    """
    verdicts: dict[str, list[Verdict]] = {problem.problem_id: [] for problem in problems}
    for grade in grades:
        verdicts[grade.problem_id].append(grade.verdict)
    rates = []
    for problem_id, of_problem in verdicts.items():
        ungradable = sum(verdict in UNGRADABLE for verdict in of_problem)
        rates.append(
            PassRate(
                problem_id=problem_id,
                num_passed=of_problem.count("correct"),
                num_rollouts=len(of_problem) - ungradable,
                num_truncated=of_problem.count("truncated"),
                num_ungradable=ungradable,
            )
        )
    return rates


def _braced(text: str, start: int) -> str | None:
    """The text from ``start`` to the brace that closes it; None when it never closes. ``\\{`` and ``\\}`` are text."""
    depth, position = 1, start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return text[start:position]
        position += 1
    return None


def _bare(text: str) -> str:
    text = " ".join(text.split())
    return text[1:-1].strip() if len(text) >= 2 and text[0] == text[-1] == "$" else text


def _shown(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
