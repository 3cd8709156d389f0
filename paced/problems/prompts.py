"""From a problem to the token ids that a model reads: our template by plain replacement, then the chat template.

The student sees the problem only, the teacher the expert solution as well (Figure 2 of the paper). Texts of problems
are data: placeholders inside them are not replaced again, and a problem that contains a control token of the tokenizer
(``<|im_end|>`` …) is refused, since it could speak in another role.
Left out: few-shot banks and prompt languages. Write them into the template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from paced.errors import BadRow, BadRows, ConfigError
from paced.records import Problem
from paced.run.config import PromptsConfig

Reader = Literal["student", "teacher"]
PROMPT_DAY = date(2024, 7, 26)
"""The day that a chat template with a date is told, so that a problem has one prompt in every step of a run; it is the
one that Llama 3's template names when nobody tells it another."""


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
        BadRows: problems that contain a control token, or lack the solution that the template asks for.
    """
    check_template(config, tokenizer)
    template = config.teacher if reader == "teacher" else config.student
    _check_texts(problems, template, tokenizer, file, rows or range(1, len(problems) + 1))
    texts = [render(problem, template=template, config=config, tokenizer=tokenizer) for problem in problems]
    if not texts:
        return []
    # A chat template writes its own control tokens; a bare prompt gets those that the tokenizer puts before any text.
    tokens = tokenizer(texts, add_special_tokens=not config.use_chat_template)["input_ids"]
    return [
        Prompt(problem_id=problem.problem_id, text=text, token_ids=tuple(ids))
        for problem, text, ids in zip(problems, texts, tokens, strict=True)
    ]


def render(problem: Problem, *, template: str, config: PromptsConfig, tokenizer: Any) -> str:
    """The text of one prompt, chat template included."""
    message = fill(template, problem)
    if not config.use_chat_template:
        return f"{config.system}\n\n{message}" if config.system else message
    messages = [{"role": "system", "content": config.system}] if config.system else []
    messages.append({"role": "user", "content": message})
    settings: dict[str, Any] = {} if config.enable_thinking is None else {"enable_thinking": config.enable_thinking}
    return chat_text(tokenizer, messages, add_generation_prompt=True, **settings)


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
        text: str = tokenizer.apply_chat_template(messages, tokenize=False, strftime_now=day.strftime, **settings)
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


def _check_texts(problems: Sequence[Problem], template: str, tokenizer: Any, file: str, rows: Sequence[int]) -> None:
    control = sorted(
        token.content for token in tokenizer.added_tokens_decoder.values() if token.special and token.content.strip()
    )
    pattern = re.compile("|".join(re.escape(token) for token in control)) if control else None
    faults = []
    for number, problem in zip(rows, problems, strict=True):
        texts = {"problem": problem.problem}
        if "{solution}" in template:
            texts["solution"] = problem.solution
            if not problem.solution.strip():
                fix = (
                    "The teacher's prompt shows it: add the expert solution, or take {solution} out of prompts.teacher."
                )
                faults.append(BadRow(row=number, column="solution", found="nothing", fix=fix))
        for column, text in texts.items():
            match = pattern.search(text) if pattern else None
            if match:
                fix = f"Take this control token out of the text of problem {problem.problem_id}."
                faults.append(BadRow(row=number, column=column, found=repr(match.group()), fix=fix))
    if faults:
        raise BadRows(file, faults)
