"""A thinking tag that is a control token reaches the grader; every other control token does not."""

from __future__ import annotations

from tiny_models import byte_tokenizer

from paced.grading.extract import after_thinking
from paced.rollouts.collect import decoded


def test_a_thinking_tag_that_is_a_control_token_is_seen_before_control_tokens_are_taken_out():
    tokenizer = byte_tokenizer(chat=True)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>", "<|pad|>"]})
    row = tokenizer.encode("<think>5</think>6<|pad|><|end|>", add_special_tokens=False)
    assert tokenizer.decode(row, skip_special_tokens=True) == "56"
    (text,) = decoded(tokenizer, [row])
    assert text == "<think>5</think>6"
    assert after_thinking(text) == "6"


def test_without_such_a_tag_texts_are_as_the_tokenizer_decodes_them():
    tokenizer = byte_tokenizer(chat=True)
    row = tokenizer.encode("<think>5</think> 6 <|end|>", add_special_tokens=False)
    assert decoded(tokenizer, [row]) == tokenizer.batch_decode([row], skip_special_tokens=True)
