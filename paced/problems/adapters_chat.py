"""Adapters for training files that ask in a chat or a prompt: verl and DAPO, TRL, OpenThoughts.

The bare problem is what is kept: the wrapper that asks for a form of answer is taken off (``wrappers.py``), since a
recipe has its own. The chat as it came is kept beside it.
"""

from __future__ import annotations

import json
from typing import Any

from paced.problems.adapters_named import known
from paced.problems.columns import Cells, Columns, Roles, UnusableCell, messages_of, single, structured
from paced.problems.spellings import ANSWER, KNOWN_OF_IT
from paced.problems.worked import gold_and_solution, gsm8k_parts, has_mark, solution_text
from paced.problems.wrappers import STARTS, unwrap
from paced.run.tablefile.cells import is_missing


def verl_roles(columns: Columns) -> Roles | None:
    """verl's RLHFDataset: a chat, a reward model with the ground truth, and whatever else in extra_info."""
    roles = columns.roles(
        problem=("prompt",), answer=("reward_model",), extra=("extra_info",), source=("data_source",),
        subject=("ability",),
    )  # fmt: skip
    return roles if {"problem", "answer"} <= set(roles) and columns.mostly(roles["answer"], _has_truth) else None


def dapo_roles(columns: Columns) -> Roles | None:
    """DAPO-Math-17k as published: verl's columns, and DAPO's own wrapper around each problem."""
    roles = verl_roles(columns)
    if roles is None or not columns.mostly(roles["problem"], _is_wrapped_by_dapo):
        return None
    return {role: column for role, column in roles.items() if role in ("problem", "answer", "source")}


def dapo_aime_roles(columns: Columns) -> Roles | None:
    """AIME-2024 of the same authors: as DAPO, the problem also bare in extra_info."""
    roles = dapo_roles(columns)
    if roles is None or not columns.mostly("extra_info", lambda value: bool(_raw_problem(structured(value)))):
        return None
    return {**roles, "extra": "extra_info"}


def processed_roles(columns: Columns) -> Roles | None:
    """open-r1's DAPO-Math-17k-Processed: the prompt as text; the column 'solution' holds the final answer."""
    if not columns.has("prompt", "solution", "reward_model", "source_prompt"):
        return None
    return {"problem": "prompt", "answer": "solution", "truth": "reward_model"} | columns.roles(source=("data_source",))


def trl_prompt_roles(columns: Columns) -> Roles | None:
    """TRL, prompt only: a prompt or a chat, and the column that its reward function reads."""
    roles = columns.roles(problem=("prompt",), answer=ANSWER, worked=("solution",), **KNOWN_OF_IT)
    return roles if "problem" in roles and {"answer", "worked"} & set(roles) else None


def trl_completion_roles(columns: Columns) -> Roles | None:
    """TRL, prompt and completion: the answer is the one that the completion marks, or a column of its own."""
    roles = columns.roles(problem=("prompt",), worked=("completion",), answer=ANSWER, **KNOWN_OF_IT)
    return roles if {"problem", "worked"} <= set(roles) else None


def conversation_roles(columns: Columns) -> Roles | None:
    """TRL, conversational: one chat of a question and a worked answer."""
    roles = columns.roles(chat=("messages",), answer=ANSWER, **KNOWN_OF_IT)
    return roles if columns.mostly(roles.get("chat"), lambda value: messages_of(value) is not None) else None


def openthoughts_roles(columns: Columns) -> Roles | None:
    """OpenThoughts: a chat of a question and a solution with its thinking, or its metadata as columns."""
    if columns.has("problem", "ground_truth_solution"):
        return columns.roles(
            problem=("problem",), worked=("ground_truth_solution",), second=("deepseek_solution",), subject=("domain",),
            source=("source",),
        )  # fmt: skip
    return columns.roles(chat=("conversations",), **KNOWN_OF_IT) if columns.has("conversations") else None


def read_verl(cells: Cells) -> dict[str, Any]:
    """The bare problem of the chat, or of extra_info where it is there; the ground truth is the answer."""
    extra = structured(cells.get("extra"))
    row = known(cells) | ask(cells.get("problem")) | {"answer": _truth(cells.get("answer"))}
    if raw := _raw_problem(extra):
        row["problem"] = raw
    if isinstance(extra, dict) and has_mark(extra.get("answer")):  # verl's GSM8K keeps the whole rationale there
        row["solution"] = gsm8k_parts(extra["answer"])[1]
    return row


def read_processed(cells: Cells) -> dict[str, Any]:
    """As DAPO; refused where the two places of the answer disagree."""
    answer, truth = single("answer", cells.get("answer")), _truth(cells.get("truth"))
    if not is_missing(answer) and not is_missing(truth) and str(answer).strip() != str(truth).strip():
        raise UnusableCell("answer", answer, f"reward_model says {str(truth)[:60]!r}: write the same answer in both.")
    return known(cells) | ask(cells.get("problem")) | {"answer": truth if is_missing(answer) else answer}


def read_trl(cells: Cells) -> dict[str, Any]:
    """The answer's column, or else what the completion or solution marks; these are the expert solution."""
    worked, answer = _last_said(cells.get("worked")), single("answer", cells.get("answer"))
    row = known(cells) | ask(cells.get("problem"))
    if is_missing(answer):
        if not isinstance(worked, str) or is_missing(worked):
            return row | {"answer": worked}
        answer, worked = gold_and_solution("worked", worked)
    elif isinstance(answer, str) and has_mark(answer):
        answer, worked = gsm8k_parts(answer)
    return row | {"answer": answer, "solution": solution_text(worked) if isinstance(worked, str) else ""}


def read_conversation(cells: Cells) -> dict[str, Any]:
    """The first user's message is the problem, the assistant's the solution; the answer is what that marks."""
    chat = messages_of(cells.get("chat"))
    if chat is None:
        raise UnusableCell("chat", cells.get("chat"), "Write a list of messages, each with role and content as text.")
    said = [message["content"] for message in chat if message["role"] == "assistant"]
    asked = [message for message in chat if message["role"] != "assistant"]
    if not said and is_missing(cells.get("answer")):
        raise UnusableCell("chat", cells.get("chat"), "Nobody answers here: add the assistant's message, or an answer.")
    if len(said) > 1:
        raise UnusableCell("chat", cells.get("chat"), f"The assistant speaks {len(said)} times: keep one question.")
    return read_trl({**cells, "problem": asked, "worked": said[0] if said else None})


def read_openthoughts(cells: Cells) -> dict[str, Any]:
    """A chat as TRL's; of the metadata the ground truth's solution, or the model's where that marks no answer."""
    if "chat" in cells:
        return read_conversation(cells)
    row = known(cells) | ask(cells.get("problem"))
    texts = [cells.get("worked"), cells.get("second")]
    faults: list[UnusableCell] = []
    for text in texts:
        if isinstance(text, str) and not is_missing(text):
            try:
                gold, solution = gold_and_solution("worked", text)
            except UnusableCell as fault:
                faults.append(fault)
            else:
                return row | {"answer": gold, "solution": solution or (texts[1] if isinstance(texts[1], str) else "")}
    if faults:
        raise faults[0]
    return row | {"answer": None}


def ask(prompt: object) -> dict[str, Any]:
    """The bare problem of a prompt, and the chat that it came in where that says more.

    Raises:
        UnusableCell: a chat that asks not one question.

    Example:
        >>> ask([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}])["problem"]
        '2+2?'
    """
    chat = messages_of(prompt)
    if chat is None:
        if not isinstance(prompt, str):
            return {"problem": prompt}
        bare = unwrap(prompt)
        asked = [{"role": "user", "content": prompt}] if bare != prompt else []
    else:
        users = [message["content"] for message in chat if message["role"] == "user"]
        if len(users) != 1 or any(message["role"] not in ("user", "system") for message in chat):
            fix = "A problem is one message of a user, perhaps after one of the system. Write it so."
            raise UnusableCell("problem", prompt, fix)
        bare, asked = unwrap(users[0]), chat
    return {"problem": bare, "messages": json.dumps(asked, ensure_ascii=False) if asked else ""}


def _last_said(value: object) -> object:
    """The text of a completion: itself, or the assistant's one message."""
    chat = messages_of(value)
    if chat is None:
        return single("worked", value)
    said = [message["content"] for message in chat if message["role"] == "assistant"]
    if len(said) != 1:
        raise UnusableCell("worked", value, f"Write one message of the assistant, not {len(said)}.")
    return said[0]


def _truth(value: object) -> object:
    """``ground_truth`` of a reward model, out of lists of one, in Arrow or in JSON."""
    value = structured(value)
    truth = value.get("ground_truth") if isinstance(value, dict) else value
    entries = structured(truth)
    if isinstance(truth, str) and isinstance(entries, list) and len(entries) == 1 and isinstance(entries[0], str):
        return entries[0]
    return single("answer", truth)


def _has_truth(value: object) -> bool:
    value = structured(value)
    return isinstance(value, dict) and "ground_truth" in value


def _raw_problem(extra: object) -> str:
    """The problem without a wrapper, as AIME-2024 of DAPO and verl's GSM8K keep it in extra_info."""
    texts = [extra.get(name) for name in ("raw_problem", "question")] if isinstance(extra, dict) else []
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _is_wrapped_by_dapo(value: object) -> bool:
    chat = messages_of(value)
    return chat is not None and any(message["content"].lstrip().startswith(STARTS[:2]) for message in chat)
