"""From a problem to the token ids that a model reads: our template by plain replacement, then the chat template.

The student sees the problem only, the teacher the expert solution as well (Figure 2 of the paper). Texts of problems
are data: placeholders inside them are not replaced again, and control tokens of the tokenizer (``<|im_end|>`` …) are
refused or written apart (``control.py``), since they could speak in another role.
Left out: few-shot banks and prompt languages. Write them into the template.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from paced.errors import BadRow, BadRows, ConfigError
from paced.problems.control import ControlTokens, change_texts, control_tokens
from paced.problems.dates import on_one_day
from paced.problems.messages import messages_in
from paced.records import Problem
from paced.run.config import PromptsConfig

Reader = Literal["student", "teacher"]
PROMPT_DAY = date(2024, 7, 26)
"""The day that a chat template with a date is told, so that a problem has one prompt in every step of a run; it is the
one that Llama 3's template names when nobody tells it another."""


PLAIN = "1"
"""A text that every tokenizer has and no template looks at, to see which control tokens a template writes itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """What one model reads before it writes."""

    problem_id: str
    """The problem."""
    text: str
    """The rendered text, chat template included."""
    token_ids: tuple[int, ...]
    """The same as tokens."""


def make_prompts(
    problems: Sequence[Problem],
    *,
    reader: Reader,
    config: PromptsConfig,
    tokenizer: Any,
    file: str = "problems",
    rows: Sequence[int] | None = None,
) -> list[Prompt]:
    """Render and tokenize one prompt per problem, in the order given.

    Args:
        problems: the tasks.
        reader: ``student`` sees the problem only, ``teacher`` the problem and its expert solution.
        config: the templates.
        tokenizer: the reader's own Hugging Face tokenizer.
        file: what error messages call the problems.
        rows: where each problem is in that file; None for 1, 2, 3 ...

    Raises:
        ConfigError: the tokenizer has no chat template, or one with a thinking switch that the recipe leaves open.
        BadRows: problems that contain a control token, or lack the solution or the messages that are asked for.
    """
    check_template(config, tokenizer)
    control = control_tokens(tokenizer, chat=config.use_chat_template)
    rows = rows or range(1, len(problems) + 1)
    faults = _text_faults(problems, reader, config, control, rows)
    if faults:
        raise BadRows(file, faults)
    texts = [
        render(problem, reader=reader, config=config, tokenizer=tokenizer, control=control) for problem in problems
    ]
    if not texts:
        return []
    prompts = [
        Prompt(problem_id=problem.problem_id, text=text, token_ids=ids)
        for problem, text, ids in zip(problems, texts, _tokenize(texts, config, tokenizer), strict=True)
    ]
    faults = _token_faults(problems, prompts, reader, config, tokenizer, control, rows)
    if faults:
        raise BadRows(file, faults)
    return prompts


def render(problem: Problem, *, reader: Reader, config: PromptsConfig, tokenizer: Any, control: ControlTokens) -> str:
    """The text of one prompt, chat template included."""
    messages = messages_of(problem, reader=reader, config=config, control=control)
    if not config.use_chat_template:
        return "\n\n".join(message["content"] for message in messages)
    settings: dict[str, Any] = {} if config.enable_thinking is None else {"enable_thinking": config.enable_thinking}
    return chat_text(tokenizer, messages, add_generation_prompt=True, **settings)


def messages_of(
    problem: Problem, *, reader: Reader, config: PromptsConfig, control: ControlTokens
) -> list[dict[str, str]]:
    """What is said to a reader, before the chat template: the recipe's messages, or the problem set's own.

    Example:
        >>> problem = Problem(problem_id="a", problem="2+2", answer="4", solution="two twos")
        >>> config = PromptsConfig(system="Be brief.", teacher="{problem} ({solution})")
        >>> messages_of(problem, reader="teacher", config=config, control=ControlTokens({}))[-1]["content"]
        '2+2 (two twos)'
    """
    if config.control_tokens == "escape":
        problem = change_texts(problem, control.written_apart)
    template = config.teacher if reader == "teacher" else config.student
    if not config.own_messages:
        system = [{"role": "system", "content": config.system}] if config.system else []
        return [*system, {"role": "user", "content": fill(template, problem)}]
    messages = messages_in(problem.messages)
    if reader == "student":
        return messages
    asked = dataclasses.replace(problem, problem=messages[-1]["content"])
    return [*messages[:-1], {"role": "user", "content": fill(template, asked)}]


def chat_text(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, day: date = PROMPT_DAY, **settings: Any) -> str:
    """Render messages with the tokenizer's chat template, on one day for the whole run whatever the clock says.

    Args:
        tokenizer: with a chat template.
        messages: ``role`` and ``content`` each.
        day: what a template that asks for the date is told.
        settings: passed to the template.

    Raises:
        ConfigError: the template refuses the messages, e.g. a system message, or is not valid.
    """
    import jinja2

    try:
        told = on_one_day(tokenizer.get_chat_template(), day)
        text: str = tokenizer.apply_chat_template(messages, tokenize=False, **told, **settings)
    except (jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        roles = ", ".join(message["role"] for message in messages)
        fix = "Leave prompts.system empty if it refuses that role" if roles.startswith("system") else "Correct it"
        raise ConfigError(
            f"prompts: the chat template cannot render messages of the roles {roles} ({type(error).__name__}: "
            f"{reason}). {fix}, or set prompts.use_chat_template=false."
        ) from error
    return text


def fill(template: str, problem: Problem) -> str:
    """Replace ``{problem}`` and ``{solution}`` in one pass, so that a replaced text is never searched.

    Example:
        >>> fill("{solution}#{problem}", Problem(problem_id="a", problem="{solution}?", answer="1", solution="x{y}"))
        'x{y}#{solution}?'
    """
    values = {"{problem}": problem.problem, "{solution}": problem.solution}
    return re.sub(r"\{problem\}|\{solution\}", lambda match: values[match.group()], template)


def check_template(config: PromptsConfig, tokenizer: Any) -> None:
    """Refuse a recipe that leaves open how the model is addressed."""
    if not config.use_chat_template:
        return
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        raise ConfigError(
            "prompts.use_chat_template: must be false for a tokenizer without a chat template, got true. "
            "Set prompts.use_chat_template=false to send the bare text."
        )
    if config.enable_thinking is None and "enable_thinking" in str(template):
        raise ConfigError(
            "prompts.enable_thinking: must be true or false for this model, whose chat template knows it. "
            "The paper's base scores fit Qwen3 with thinking off: set prompts.enable_thinking=false."
        )


def over_limit(prompts: Sequence[Prompt], *, reader: Reader, config: PromptsConfig) -> list[Prompt]:
    """The prompts that are longer than the recipe allows its training problems.

    Example:
        >>> prompt = Prompt(problem_id="a", text="2+2", token_ids=(1, 2, 3))
        >>> config = PromptsConfig(max_student_tokens=2)
        >>> [one.problem_id for one in over_limit([prompt], reader="student", config=config)]
        ['a']
    """
    limit = config.max_teacher_tokens if reader == "teacher" else config.max_student_tokens
    return [prompt for prompt in prompts if limit and len(prompt.token_ids) > limit]


def _tokenize(texts: Sequence[str], config: PromptsConfig, tokenizer: Any) -> list[tuple[int, ...]]:
    # A chat template writes its own control tokens; a bare prompt gets those that the tokenizer puts before any text.
    tokens = tokenizer(list(texts), add_special_tokens=not config.use_chat_template)["input_ids"]
    return [tuple(ids) for ids in tokens]


def _text_faults(
    problems: Sequence[Problem], reader: Reader, config: PromptsConfig, control: ControlTokens, rows: Sequence[int]
) -> list[BadRow]:
    """What a prompt needs and a problem lacks, and control tokens where they are not to be written apart."""
    shows_solution = reader == "teacher" and "{solution}" in config.teacher
    faults = []
    for number, problem in zip(rows, problems, strict=True):
        texts = {"messages": problem.messages} if config.own_messages else {"problem": problem.problem}
        if config.own_messages and not problem.messages:
            fix = "prompts.own_messages sends them: add the problem set's messages, or set it to false."
            faults.append(BadRow(row=number, column="messages", found="nothing", fix=fix))
        if shows_solution:
            texts["solution"] = problem.solution
            if not problem.solution.strip():
                fix = (
                    "The teacher's prompt shows it: add the expert solution, or take {solution} out of prompts.teacher."
                )
                faults.append(BadRow(row=number, column="solution", found="nothing", fix=fix))
        for column, text in texts.items():
            token = control.first_in(text) if config.control_tokens == "refuse" else ""
            if token:
                faults.append(_control_fault(number, column, token, problem))
    return faults


def _token_faults(
    problems: Sequence[Problem],
    prompts: Sequence[Prompt],
    reader: Reader,
    config: PromptsConfig,
    tokenizer: Any,
    control: ControlTokens,
    rows: Sequence[int],
) -> list[BadRow]:
    """Prompts in which the tokenizer sees other control tokens than the template writes around any plain text.

    This catches what no search of the text can: a token that begins in the template and ends in the problem, and one
    that a normaliser makes of other letters.
    """
    written: dict[tuple[str, ...], list[str]] = {}
    faults = []
    for number, problem, prompt in zip(rows, problems, prompts, strict=True):
        roles = tuple(message["role"] for message in messages_in(problem.messages)) if config.own_messages else ()
        if roles not in written:
            said = json.dumps([{"role": role, "content": PLAIN} for role in roles]) if roles else ""
            plain = Problem(problem_id="", problem=PLAIN, answer=PLAIN, solution=PLAIN, messages=said)
            text = render(plain, reader=reader, config=config, tokenizer=tokenizer, control=control)
            written[roles] = control.among(_tokenize([text], config, tokenizer)[0])
        tokens = control.among(prompt.token_ids)
        if tokens != written[roles]:
            extra = Counter(tokens) - Counter(written[roles]) or Counter(written[roles]) - Counter(tokens)
            fix = (
                f"The tokenizer sees this control token in the prompt of problem {problem.problem_id} alone, by what "
                "is in its text and around it. Change the text or the template."
            )
            column = "messages" if config.own_messages else "problem"
            faults.append(BadRow(row=number, column=column, found=repr(next(iter(extra), "")), fix=fix))
    return faults


def _control_fault(row: int, column: str, token: str, problem: Problem) -> BadRow:
    fix = (
        f"Take this control token out of the text of problem {problem.problem_id}, or set "
        "prompts.control_tokens=escape to write it apart."
    )
    return BadRow(row=row, column=column, found=repr(token), fix=fix)
