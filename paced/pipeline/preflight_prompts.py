"""What a run needs of its prompts: they hold what they should, begin once, do not end, and an answer's end is known.

Each fault is a sentence; a fault of a template shows in every prompt, so the first prompt stands for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from paced.errors import ConfigError
from paced.models.loading import load_generation_config, teacher_model
from paced.models.tokens import ends_of
from paced.problems.control import control_tokens
from paced.problems.prompts import PROMPT_DAY, Prompt, Reader, chat_text, messages_of
from paced.records import Problem
from paced.run.config import ModelConfig, PromptsConfig, RunConfig

OTHER_DAY = date(2031, 12, 3)
"""Differs from PROMPT_DAY in year, month, day and day of the week."""
ANSWER = "ANSWER"
"""What an assistant says in a rendered turn, to see what follows it."""


def prompt_faults(
    problems: Sequence[Problem], prompts: Sequence[Prompt], *, reader: Reader, config: PromptsConfig, tokenizer: Any
) -> list[str]:
    """A sentence for each kind of fault in the prompts of one reader.

    Args:
        problems: the tasks.
        prompts: made from them, in the same order.
        reader: who reads them.
        config: the recipe's section ``prompts``.
        tokenizer: the reader's.
    """
    control = control_tokens(tokenizer, chat=config.use_chat_template)
    lost, unsaid, empty, doubled, ended = [], [], [], [], []
    for problem, prompt in zip(problems, prompts, strict=True):
        ids = prompt.token_ids
        if not ids:
            empty.append(problem)
            continue
        *before, last = messages_of(problem, reader=reader, config=config, control=control)
        if last["content"].strip() not in prompt.text:
            lost.append(problem)
        if any(message["content"].strip() not in prompt.text for message in before):
            unsaid.append(problem)
        if tokenizer.bos_token_id is not None and ids[:2] == (tokenizer.bos_token_id,) * 2:
            doubled.append(problem)
        if not config.use_chat_template and tokenizer.eos_token_id is not None and ids[-1] == tokenizer.eos_token_id:
            ended.append(problem)
    bare = "or set prompts.use_chat_template=false"
    found = (
        (empty, "has no token", f"Write a prompts.{reader} that says something, {bare}."),
        (lost, "lacks the message with the problem", f"The chat template drops or changes it: correct it, {bare}."),
        (
            unsaid,
            "lacks the system message" if config.system else "lacks a message before the last",
            f"The chat template drops it: move {'prompts.system' if config.system else 'it'} into the others, {bare}.",
        ),
        (doubled, f"begins twice with {tokenizer.bos_token!r}", f"Take it out of prompts.{reader} or of the template."),
        (
            ended,
            f"ends with {tokenizer.eos_token!r}, so the {reader} is asked to continue after the end",
            "Set add_eos_token to false in the tokenizer's configuration, or take it out of the prompt.",
        ),
    )
    return [
        f"prompts: the {reader}'s prompt of {len(faulty):,} of {len(problems):,} problems {what} (first: problem "
        f"{faulty[0].problem_id}). {fix}"
        for faulty, what, fix in found
        if faulty
    ]


def template_notes(
    problem: Problem, prompt: Prompt, *, reader: Reader, config: PromptsConfig, tokenizer: Any
) -> list[str]:
    """What a person should know of a chat template: a date, which the run tells one day; an end before the answer.

    Raises:
        ConfigError: the template writes something else each time.
    """
    if not config.use_chat_template:
        return []
    messages = [{"role": "user", "content": problem.problem}]
    first, again, other = (
        chat_text(tokenizer, messages, day=day, add_generation_prompt=True, **_thinking(config))
        for day in (PROMPT_DAY, PROMPT_DAY, OTHER_DAY)
    )
    if first != again:
        raise ConfigError(
            f"prompts: the {reader}'s chat template writes something else each time, so that no prompt could be made "
            "again. Take what is random or a clock out of it, or set prompts.use_chat_template=false."
        )
    notes = []
    if prompt.token_ids and prompt.token_ids[-1] == tokenizer.eos_token_id:
        notes.append(
            f"the {reader}'s chat template ends a prompt with {tokenizer.eos_token!r} and opens no turn to answer in"
        )
    if first == other:
        return notes
    return [
        *notes,
        f"the {reader}'s chat template writes a date: every prompt says {PROMPT_DAY.isoformat()}, whenever it is "
        "rendered, so that rollouts, training and evaluation read the same.",
    ]


def agreement_notes(config: RunConfig, student: Sequence[Prompt], teacher: Sequence[Prompt]) -> list[str]:
    """A note where the teacher is the student that is trained and reads what it reads: their divergence is zero.

    Args:
        config: the recipe.
        student: what the student reads, in the order of the problems.
        teacher: what the teacher reads, in the same order.
    """
    models = {(one.path, one.revision) for one in (config.student, teacher_model(config))}
    if len(models) > 1 or any(one.token_ids != other.token_ids for one, other in zip(student, teacher, strict=True)):
        return []
    return [
        "the teacher is the initial student and reads the same prompts, so that nothing sets them apart and there is "
        "nothing to learn. Let prompts.teacher show it more, {solution} for example, or name a teacher.path"
    ]


def end_faults(model: ModelConfig, *, reader: Reader, config: PromptsConfig, tokenizer: Any) -> list[str]:
    """A sentence when the chat template ends an answer with a token that does not end a completion.

    A model that was trained on this template writes that token, and every completion would run into the token limit.
    """
    if not config.use_chat_template:
        return []
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    text = chat_text(tokenizer, messages, add_generation_prompt=False, **_thinking(config))
    _, answered, rest = text.rpartition(ANSWER)
    if not answered:
        return []
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    after = [number for number in tokenizer(rest, add_special_tokens=False)["input_ids"] if number in special]
    ends = ends_of(load_generation_config(model), tokenizer, config.end_of_answer)
    if not after or after[0] in ends:
        return []
    name = tokenizer.convert_ids_to_tokens(after[0])
    known = ", ".join(f"{tokenizer.convert_ids_to_tokens(number)!r}" for number in ends)
    return [
        f"prompts: the {reader}'s chat template ends an answer with {name!r} (id {after[0]}), and a completion ends "
        f"only with {known}. Set prompts.end_of_answer={name!r}."
    ]


def _thinking(config: PromptsConfig) -> dict[str, Any]:
    return {} if config.enable_thinking is None else {"enable_thinking": config.enable_thinking}
