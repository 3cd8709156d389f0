"""Where a completion says its answer: each rule finds a string or says that there is none.

Model output is only ever searched; nothing here evaluates it, and each rule takes time linear in the text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

from paced.grading.numerals import last_number, read_quantity

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*+(?:(?P<brace>\{)|(?P<bare>[-+]?[\w.,/%]+))?")
_ANSWER_LINE = re.compile(
    r"(?im)(?:<answer>|(?:answer(?:\*\*|__)?|答案)\s*+[:：]"
    r"|^[ \t]*(?:\#{1,6}[ \t]*|\*\*)?(?:final[ ])?answer(?:\*\*)?[ \t]*$)"
    r"[*_} \t]*+\s*+(?:(?:\\\[|\$\$)\s*+)?(?P<said>[^\n]+)"
)
_ANSWER_IS = re.compile(r"(?i)(?:\banswer is|答案[是为])[:：]?[*_ ]*+(?P<said>.+?)(?:[.。](?=\s|$)|$)")
_THINKING = re.compile(
    r"(?i)<(?P<close>/)?(?:seed:)?(?:think(?:ing)?|thoughts?|reasoning)>|\[(?P<close2>/)?think\]|◁(?P<close3>/)?think▷"
    r"|<\|(?:begin|(?P<close4>end))_of_thought\|>|<\|channel\|>(?:analysis|commentary|(?P<close5>final))(?:<\|message\|>)?"
)
"""Where thinking begins or, with a group, ends: the marks of the models that there are."""

_REMARK = re.compile(r"(?i),?\s(?:because|since|which|where|as required)\b.*|(?<=\$)\s*\([^()$]*\)\Z")
"""What explains an answer behind it, on the same line."""
_SENTENCE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{4,}.*\s|\s.*(?<![\\A-Za-z{])[A-Za-z]{4,}|\?\Z")
"""What makes a short line a sentence and not an answer."""
_ANSWERS = re.compile(r"[0-9\\]|\A\(?[A-Z][A-Za-z]*\)?\.?\Z")
"""What a bare answer has: a digit or a command of LaTeX, or it is one word with a capital."""
MAX_BARE = 60
"""Characters of a completion that is nothing but its answer."""
_MARK_TOKEN = re.compile(r"<\|(?:channel|message)\|>")
"""Tokens of which a mark is made together with plain text."""

MAX_BOXES = 64
"""Boxes of one completion that are compared with each other."""

Extraction = Callable[[str], str | None]
"""Text of a completion -> its answer, or None when it gives none."""


def after_thinking(text: str) -> str:
    """The part of a completion that may hold its answer, the same for every format: what follows the last ``</think>``.

    A ``<think>`` that never closes hides the rest. A template may open the thinking in the prompt, so that text before
    a ``</think>`` counts as thinking even where no ``<think>`` is seen. Other models' marks count alike.

    Example:
        >>> after_thinking("<think>5?</think>6"), after_thinking("5?</think>6"), after_thinking("<think>5")
        ('6', '6', '')
        >>> after_thinking("[THINK]5?[/THINK]6"), after_thinking("<|channel|>final<|message|>6")
        ('6', '6')
    """
    marks = list(_THINKING.finditer(text))
    start = max((mark.end() for mark in marks if any(mark.groups())), default=0)
    end = min((mark.start() for mark in marks if mark.start() >= start), default=len(text))
    return text[start:end]


def after_closed_thinking(text: str) -> str | None:
    """What follows the last ``</think>``; None when no thinking is closed.

    Example:
        >>> after_closed_thinking("<think>5?</think>6"), after_closed_thinking("6")
        ('6', None)
    """
    closed = any(any(mark.groups()) for mark in _THINKING.finditer(text))
    return after_thinking(text) if closed else None


def is_thinking_mark(token: str) -> bool:
    """Whether a token of a tokenizer marks thinking, so that its text must be seen by the grader.

    Example:
        >>> is_thinking_mark("</think>"), is_thinking_mark("<|im_end|>")
        (True, False)
    """
    return bool(_THINKING.fullmatch(token) or _MARK_TOKEN.fullmatch(token))


THINKING: dict[str, Callable[[str], str | None]] = {
    "strip": after_thinking,
    "require": after_closed_thinking,
    "keep": lambda text: text,
}
"""``grading.thinking`` in a recipe -> the part of a completion that may hold its answer."""


def whole(text: str) -> str | None:
    """The completion itself, white space at its ends removed; None when nothing is left."""
    return text.strip() or None


def boxed(text: str) -> str | None:
    r"""The content of the last ``\boxed{}`` or ``\fbox{}``; without any box, of the last line that names the answer.

    Such a line is ``Answer:``, a heading, ``<answer>``, ``####``, or ``the answer is`` in the last line of all: in a
    chain of thought before it that is often a step. A remark behind it is cut off. A completion that is nothing but a
    short answer is that answer.
    Edges: a last box that never closes is no answer: an earlier box or line was taken back by it. ``\boxed 5`` holds 5.

    Example:
        >>> boxed(r"so \boxed{\frac{1}{2}} it is"), boxed("Answer: 34."), boxed("the answer may be 34")
        ('\\frac{1}{2}', '34', None)
        >>> boxed("<answer>34</answer>"), boxed("So the answer is 34."), boxed("The answer is 3.\nNo, wait.")
        ('34', '34', None)
    """
    box = _last(_BOX, text)
    if box is not None:
        content = _braced(text, box.end()) if box["brace"] else (box["bare"] or "").rstrip(".,;:")
        return content.strip() or None if content is not None else None
    line = _last(_ANSWER_LINE, text) or _last(_ANSWER_IS, text.rstrip().rpartition("\n")[2])
    if line is None:
        return gsm8k(text) or _bare(text)
    said = re.split(r"(?i)</?answer>", line["said"], maxsplit=1)[0]
    said = _REMARK.sub("", next((again["said"] for again in _ANSWER_IS.finditer(said)), said))
    said = said.strip().strip("*").strip().removesuffix(".").removesuffix("\\]").strip()
    return said.removesuffix("$$").strip() or None


def _bare(text: str) -> str | None:
    """A completion that is nothing but a short answer: one line of at most :data:`MAX_BARE` characters, no sentence."""
    text = text.strip()
    if len(text) > MAX_BARE or "\n" in text or _SENTENCE.search(text) or not _ANSWERS.search(text):
        return None
    return text


def boxes(text: str) -> list[str]:
    r"""The contents of the last :data:`MAX_BOXES` boxes that close, in order.

    Example:
        >>> boxes(r"\boxed{3} no, \boxed{\frac12}")
        ['3', '\\frac12']
    """
    contents = []
    for box in deque(_BOX.finditer(text), maxlen=MAX_BOXES):
        content = _braced(text, box.end()) if box["brace"] else (box["bare"] or "").rstrip(".,;:")
        contents.append((content or "").strip())
    return [content for content in contents if content]


def gsm8k(text: str) -> str | None:
    """What follows the first ``####`` that has a number after it, as GSM8K's solutions end; a run-on does not count.

    Example:
        >>> gsm8k("6 * 7 = 42\\n#### 42\\nQuestion: 1 + 1\\n#### 2"), gsm8k("#### Step 1"), gsm8k("42")
        ('42', None, None)
    """
    lines = re.findall(r"(?m)^[ \t]*####(?!#)([^\n]+)", text)
    return next((line.strip() for line in lines if read_quantity(line) is not None), None)


def first_line(text: str) -> str | None:
    """The last number of the first line that is not empty: for few-shot prompts, after whose answer a model continues.

    Example:
        >>> first_line(" 12\\nQ: 3 + 4\\nA: 7")
        '12'
    """
    return last_number(text.strip().partition("\n")[0])


def digits(text: str) -> str | None:
    """All digits of the completion in order, whatever is between them (the lab's stochastic phrasing).

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
    "gsm8k": gsm8k,
    "digits": digits,
}
"""``grading.answer_format.name`` in a recipe -> where the answer is."""


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


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
