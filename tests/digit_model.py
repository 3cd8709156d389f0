"""A model that writes short numbers at known odds: pass rates are neither all 0 nor all 1 and can be computed."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tiny_models import byte_tokenizer, small_model

LOGITS = {"1": 14.0, "7": 13.0, "<|end|>": 14.5}
"""Token -> logit whatever was read; every other token of the 264 has 0."""
BOXED_LOGITS = {"\\boxed{1}": 14.0, "\\boxed{7}": 13.0, "<|end|>": 14.5}
"""The same odds for a model whose tokenizer has a boxed answer as one token."""


def write_digit_model(folder: Path, *, chat: bool = False, boxed: bool = False, num_positions: int = 96) -> Path:
    """A GPT-2 folder whose next token never depends on what it read: 1, 7 or the end."""
    model, tokenizer = small_model("gpt2", num_positions=num_positions), byte_tokenizer(chat=chat)
    logits = BOXED_LOGITS if boxed else LOGITS
    tokenizer.add_tokens([token for token in logits if token not in tokenizer.get_vocab()])
    with torch.no_grad():
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.zero_()
        model.transformer.ln_f.bias[0] = 1.0
        model.transformer.wte.weight[:, 0] = 0.0
        for token, logit in logits.items():
            model.transformer.wte.weight[tokenizer.convert_tokens_to_ids(token), 0] = logit
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_digit_problems(path: Path, count: int = 24, *, longest: int = 0) -> Path:
    """Problems whose answers it writes often, seldom or never; ``longest`` characters in the last one, if any."""
    answers = ["1", "7", "11", "5"]
    rows = [
        {"problem_id": f"q{number}", "problem": f"say {'it ' * (number % 5)}{number}", "answer": answers[number % 4]}
        for number in range(count)
    ]
    if longest:
        rows[-1]["problem"] = "x" * longest
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
