"""The final answer inside a worked solution: after ``####``, in the last box, or in the line that names it.

Where a solution marks no answer there is none to take: its last number is a guess, and a gold that is a guess makes a
pass rate of 0 that looks like a hard problem.
"""

from __future__ import annotations

import re

from paced.grading.extract import after_thinking, boxed
from paced.problems.columns import UnusableCell

LONGEST_ANSWER = 200
"""Characters of a text that may be a final answer by itself."""
_MARKED = re.compile(r"(?m)^[ \t]*####(?!#)[ \t]*(?P<gold>[^\n]+?)[ \t]*$")
_ANNOTATION = re.compile(r"<<[^<>\n]*>>")
_SOLUTION = re.compile(r"<\|begin_of_solution\|>(?P<text>.*?)(?:<\|end_of_solution\|>|\Z)", re.DOTALL)
_PROSE = re.compile(r"(?:[^\W\d_]{2,}[^\w\\]+){3,}[^\W\d_]{2,}")
"""Four words one after another: a sentence, not an answer."""
_BOXED = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")


def has_mark(text: object) -> bool:
    """Whether a text has a line that begins with ``####`` and says something."""
    return isinstance(text, str) and _MARKED.search(text) is not None


def has_box(text: object) -> bool:
    """Whether a text has a box."""
    return isinstance(text, str) and _BOXED.search(text) is not None


def is_prose(text: object) -> bool:
    """Whether a text reads like a sentence, not like a final answer."""
    return isinstance(text, str) and _PROSE.search(text) is not None


def is_worked(text: object) -> bool:
    """Whether a text is longer than a final answer, or boxes one."""
    return isinstance(text, str) and (len(text) > LONGEST_ANSWER or has_box(text))


def gsm8k_parts(text: str) -> tuple[str, str]:
    """(gold, rationale) of a solution of GSM8K, without its calculator's annotations and thousands separators.

    Raises:
        UnusableCell: no line with ``####``.

    Example:
        >>> gsm8k_parts("She sold 500*2=<<500*2=1000>>1,000 clips.\\n#### 1,000")
        ('1000', 'She sold 500*2=1,000 clips.')
    """
    marks = list(_MARKED.finditer(text))
    if not marks:
        raise UnusableCell("answer", text, "No line begins with '#### ' and the answer. Write that line.")
    gold = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", marks[-1]["gold"]).strip()
    return gold, _ANNOTATION.sub("", text[: marks[-1].start()]).strip()


def final_answer(text: str) -> str | None:
    r"""The answer that a worked solution marks; None when it marks none.

    Example:
        >>> final_answer(r"So $x = \boxed{\frac{1}{2}}$."), final_answer("3 + 4 = 7\n#### 7")
        ('\\frac{1}{2}', '7')
        >>> final_answer("There are 3 apples, so she pays 12 dollars.") is None
        True
    """
    text = after_thinking(text)
    if has_mark(text) and not has_box(text):
        return gsm8k_parts(text)[0]
    return boxed(text) if has_box(text) or "\n" in text.strip() or len(text) > LONGEST_ANSWER else _last_line(text)


def _last_line(text: str) -> str | None:
    answer = boxed(text)
    return answer if answer is not None and answer != text.strip() else None


def solution_text(text: str) -> str:
    """A completion without its thinking: what OpenThoughts marks as the solution, or what follows ``</think>``."""
    marked = _SOLUTION.search(text)
    return (marked["text"] if marked else after_thinking(text)).strip()


def gold_and_solution(role: str, value: str) -> tuple[str, str]:
    """(gold, solution) of a text that is a worked solution or a final answer alone; then there is no solution.

    Raises:
        UnusableCell: a long text that marks no answer.

    Example:
        >>> gold_and_solution("solution", "$\\\\frac12$"), gold_and_solution("solution", "It is \\\\boxed{4}.")
        (('$\\\\frac12$', ''), ('4', 'It is \\\\boxed{4}.'))
    """
    text = solution_text(value)
    gold = final_answer(text)
    if gold is not None:
        bare = {gold, f"\\boxed{{{gold}}}", f"$\\boxed{{{gold}}}$", f"#### {gold}"}
        return gold, "" if text in bare else text
    if "\n" in text or len(text) > LONGEST_ANSWER or is_prose(text):
        raise UnusableCell(
            role, value, "This is a worked solution that marks no answer: box it, or add a column 'answer'."
        )
    return text, ""
