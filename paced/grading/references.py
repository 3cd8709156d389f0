"""What is wrong with a reference, the teacher's solution that a student is trained on, beyond its verdict.

The teacher reads the expert solution and must write as if it had not: "as the provided solution shows" teaches a
student to speak of a text that it never sees. So a reference is flagged when it leaks its instruction, was cut, has no
answer in the recipe's format, or has a wrong one. A verdict of which the grader is the cause flags nothing.
Left out: whether the reasoning is sound. That takes another judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, get_args

from paced.records import Grade, Problem, Rollout

Flag = Literal["leaks", "truncated", "too long", "no answer", "wrong"]
FLAGS: tuple[Flag, ...] = get_args(Flag)
"""What can be wrong: it speaks of its instruction; the limit cut it; a file's is longer than the recipe's limit; there
is no answer in the format asked for; the answer is not the gold one."""
ECHO_WORDS = 6
"""So many words of the teacher's instruction in a row are an echo of it."""

_GIVEN = r"(?:provided|given|reference|expert|supplied|official|attached)"
_TEXT = r"(?:solution|answer|proof|explanation|hint|reasoning|derivation)s?"
_LEAKS = re.compile(
    rf"\b(?:the|this|that|your|an?)\s+{_GIVEN}\s+(?:expert\s+)?{_TEXT}\b(?!\s+(?:choice|option|set)s?\b)"
    rf"|\b{_TEXT}\s+(?:that\s+(?:is|was)\s+|you\s+(?:have\s+)?)?(?:provided|given|supplied)\s+"
    r"(?:above|here|below|to\s+(?:me|us)|in\s+the\s+(?:prompt|question|instruction)s?)\b"
    rf"|\b{_TEXT}\s+(?:you\s+)?(?:provided|supplied)\b"
    rf"|\b(?:according\s+to|based\s+on|as\s+(?:shown|stated|explained|given|described)\s+in|following)\s+the\s+"
    r"(?:expert\s+)?(?:solution|hint|explanation)\b"
    r"|(?:所?提供的|所?给出的|给定的|参考)(?:解答|答案|解法|题解|解析)|(?:根据|按照)(?:上述|提供的|给出的)?(?:解答|题解|提示)",
    re.IGNORECASE,
)


def flags_of(
    problem: Problem, reference: Rollout, grade: Grade, *, instruction: Iterable[str] = (), max_tokens: int = 0
) -> tuple[tuple[Flag, ...], str]:
    """What is wrong with a reference, and the words that leak its instruction, empty where none do.

    Args:
        problem: what it answers.
        reference: the teacher's completion.
        grade: the verdict on it.
        instruction: what the teacher alone is told, see :func:`own_words`.
        max_tokens: longest reference that the recipe allows; 0 for any.

    Example:
        >>> asked = Problem(problem_id="a", problem="2+2?", answer="4")
        >>> text = "As the provided solution shows, 5"
        >>> cut = Rollout(problem_id="a", sample_index=0, token_ids=(), text=text, finish_reason="length", seed=0)
        >>> wrong = Grade(problem_id="a", sample_index=0, verdict="incorrect", extracted="5", reason="")
        >>> flags_of(asked, cut, wrong)
        (('leaks', 'truncated', 'wrong'), 'the provided solution')
    """
    words = leak_in(problem, reference.text, instruction)
    wrong: dict[Flag, bool] = {
        "leaks": bool(words),
        "truncated": reference.finish_reason == "length" or grade.verdict == "truncated",
        "too long": bool(max_tokens) and len(reference.token_ids) > max_tokens,
        "no answer": grade.verdict == "no_answer",
        "wrong": grade.verdict == "incorrect",
    }
    return tuple(flag for flag in FLAGS if wrong[flag]), words


def leak_in(problem: Problem, text: str, instruction: Iterable[str] = ()) -> str:
    """The first words by which a text shows that its writer had a solution before him; empty for none.

    Words that the problem itself uses are nobody's leak: "the given solution" may be one of salt.

    Example:
        >>> salt = Problem(problem_id="a", problem="The given solution holds 3 % salt.", answer="4")
        >>> leak_in(salt, "Let us boil the given solution."), leak_in(salt, "By the reference answer, 4.")
        ('', 'the reference answer')
    """
    asked = " ".join(_words(problem.problem))
    for match in _LEAKS.finditer(text):
        if " ".join(_words(match.group())) not in asked:
            return match.group()
    spoken = f" {' '.join(_words(text))} "
    return next((echo for echo in instruction if f" {echo} " in spoken and echo not in asked), "")


def own_words(teacher: str, others: Iterable[str]) -> tuple[str, ...]:
    """Runs of words that only the teacher's template has, to tell an echo of it.

    Args:
        teacher: the teacher's template.
        others: what the student is told as well; its words are no secret.

    Example:
        >>> own_words("Now solve it in your own words. {problem}", ["{problem}"])
        ('now solve it in your own', 'solve it in your own words')
    """
    known = f" {' | '.join(' '.join(_words(text)) for text in others)} "
    runs: dict[str, None] = {}
    for part in re.split(r"\{problem\}|\{solution\}", teacher):
        words = _words(part)
        for start in range(len(words) - ECHO_WORDS + 1):
            runs[" ".join(words[start : start + ECHO_WORDS])] = None
    return tuple(run for run in runs if run not in known)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
