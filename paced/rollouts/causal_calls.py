"""Forward calls of one batch on a causal language model, with a cache that is read once and repeated for K samples."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from paced.errors import ArgumentTypeError


class CausalCalls:
    """Forward calls of one batch on a causal LM, with the keywords that this model and this transformers know."""

    def __init__(self, model: Any) -> None:
        self.model = model
        known = inspect.signature(model.forward).parameters
        # transformers 5.24 renames past_key_values to cache; the field of the output keeps its name.
        self.cache_argument = "cache" if "cache" in known else "past_key_values"
        self.knows_position = "position_ids" in known
        self.knows_logits_to_keep = "logits_to_keep" in known
        self.cache: Any = None
        self.mask = torch.empty(0)
        self.position = torch.empty(0)
        self.filled = 0

    def prefill(self, tokens: Tensor, mask: Tensor, num_samples: int, max_new_tokens: int) -> Tensor:
        """Read the prompts once, then make every row ``num_samples`` rows.

        Args:
            tokens: [num_prompts, longest prompt], padded on the left.
            mask: [num_prompts, longest prompt], 1 where a token is and 0 where padding is.
            num_samples: K, completions of each prompt.
            max_new_tokens: tokens that each of them may have.

        Returns:
            [num_prompts * K, rows of the head], logits of the first token; the K rows of a prompt are adjacent.
        """
        tokens = tokens.to(self.model.device)  # [num_prompts, longest prompt]
        mask = mask.to(self.model.device)  # [num_prompts, longest prompt]
        self.position = (mask.cumsum(dim=-1) - 1).clamp(min=0)  # [num_prompts, longest prompt]
        self.mask, self.filled = mask, mask.shape[1]
        logits = self._forward(tokens, self.position)  # [num_prompts, rows of the head]
        if not hasattr(self.cache, "batch_repeat_interleave") or not all(
            hasattr(layer, "batch_repeat_interleave") for layer in getattr(self.cache, "layers", ())
        ):
            raise ArgumentTypeError(
                f"sample_completions: the model must keep a key-value cache that can be repeated, got "
                f"{type(self.cache).__name__} from {type(self.model).__name__}. Use another sampling engine."
            )
        from paced.rollouts.growing_cache import with_room  # here, since it loads transformers

        self.cache.batch_repeat_interleave(num_samples)
        with_room(self.cache)
        self.position = self.position[:, -1:].repeat_interleave(num_samples, dim=0)  # [num_prompts * K, 1]
        # Room for every token to come: each step takes a slice and copies nothing.
        ones = mask.new_ones(mask.shape[0], max_new_tokens)  # [num_prompts, max_new_tokens]
        whole = torch.cat([mask, ones], dim=1)  # [num_prompts, longest prompt + max_new_tokens]
        self.mask = whole.repeat_interleave(num_samples, dim=0)  # [num_prompts * K, the same]
        return logits.repeat_interleave(num_samples, dim=0)

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to every row, [num_rows]; logits [num_rows, rows of the head] of the next one."""
        self.position = self.position + 1  # [num_rows, 1]
        self.filled += 1
        return self._forward(tokens[:, None], self.position)

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all rows but ``rows``, [num_kept]."""
        self.cache.batch_select_indices(rows)
        self.mask = self.mask[rows]  # [num_kept, longest prompt + max_new_tokens]
        self.position = self.position[rows]  # [num_kept, 1]

    def _forward(self, tokens: Tensor, position: Tensor) -> Tensor:
        arguments: dict[str, Any] = {"attention_mask": self.mask[:, : self.filled], "use_cache": True}
        if self.knows_position:
            arguments["position_ids"] = position
        if self.knows_logits_to_keep:
            arguments["logits_to_keep"] = 1
        if self.cache is not None:
            arguments[self.cache_argument] = self.cache
        output = self.model(input_ids=tokens, **arguments)
        self.cache = getattr(output, "past_key_values", None)
        logits: Tensor = output.logits[:, -1, :]  # [num_rows, rows of the head]
        return logits
