"""Control tokens inside the text of problems: whoever writes ``<|im_end|>`` there ends a turn and speaks as another.

A token is one of control where the tokenizer calls it special, or where it is an added token that the chat template
itself writes (``<think>`` of Qwen3 is not special). Such a text is refused, or written apart (``< |im_end|>``), which
keeps what a reader sees and leaves no control token whatever tokenizes the text again.
Left out: markers that are plain text to the tokenizer (``[INST]`` of early Mistral models), which nothing can tell from
a text that speaks of them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

from paced.problems.messages import change_contents
from paced.records import Problem


@dataclasses.dataclass(frozen=True)
class ControlTokens:
    """The control tokens of one tokenizer."""

    by_id: dict[int, str]
    """Token id -> its text."""

    def first_in(self, text: str) -> str:
        """The first control token that a text holds, or an empty text.

        Example:
            >>> ControlTokens({0: "<|im_end|>"}).first_in("2+2<|im_end|>"), ControlTokens({}).first_in("2+2")
            ('<|im_end|>', '')
        """
        match = self._pattern().search(text) if self.by_id else None
        return match.group() if match else ""

    def written_apart(self, text: str) -> str:
        """The text with a space behind the first character of every control token.

        Example:
            >>> ControlTokens({0: "<|im_end|>"}).written_apart("a<|im_end|>b")
            'a< |im_end|>b'
        """
        if not self.by_id:
            return text
        return self._pattern().sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def among(self, token_ids: Sequence[int]) -> list[str]:
        """The control tokens of a tokenized text, in their order."""
        return [self.by_id[number] for number in token_ids if number in self.by_id]

    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.by_id.values(), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))


def control_tokens(tokenizer: Any, *, chat: bool) -> ControlTokens:
    """The control tokens of a tokenizer.

    Args:
        tokenizer: a Hugging Face tokenizer.
        chat: its chat template is used, so that the added tokens which that writes are tokens of control too.

    Edges: the token for unknown text controls nothing, and neither do added tokens of white space.
    """
    template = str(getattr(tokenizer, "chat_template", None) or "") if chat else ""
    return ControlTokens(
        {
            number: token.content
            for number, token in sorted(tokenizer.added_tokens_decoder.items())
            if token.content.strip()
            and number != tokenizer.unk_token_id
            and (token.special or (token.content in template and not token.content[0].isalnum()))
        }
    )


def change_texts(problem: Problem, change: Callable[[str], str]) -> Problem:
    """The problem with ``change`` applied to what a prompt shows of it."""
    return dataclasses.replace(
        problem,
        problem=change(problem.problem),
        solution=change(problem.solution),
        messages=change_contents(problem.messages, change),
    )
