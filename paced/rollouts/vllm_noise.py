"""A logits processor for vLLM that takes each token by our noise, for both of its model runners.

Named to an engine or server as ``paced.rollouts.vllm_noise:PacedNoise``. A request asks for temperature 0 and carries
``extra_args`` (over HTTP ``vllm_xargs``) ``{"paced": [key, temperature, top_p, vocab_size, absent ids ...]}``; one that
carries none is left alone. A malformed one is refused, which shows a client that the processor is there: a server
without it takes any argument in silence, and would answer greedily.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import LogitsProcessor as FirstInterface
from vllm.v1.sample.logits_processor import process_dict_updates
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as SecondInterface

from paced.rollouts.noise import ARGUMENT, Draw, leave_chosen


class PacedNoise(FirstInterface, SecondInterface):
    """Chooses the token of every request that carries a :class:`paced.rollouts.noise.Draw`."""

    def __init__(self, vllm_config: Any, *of_interface: Any) -> None:
        self.slots: dict[int, tuple[Draw, list[int]]] = {}
        """Row of the batch (first interface) or slot (second) -> its draw, and the tokens sampled so far (first)."""
        self.requests: Any = of_interface[0] if len(of_interface) == 1 else None
        """The second interface's tables of all requests."""

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Refuse a draw that cannot be read, or one whose engine would choose again after us."""
        if _draw_of(sampling_params) is not None and sampling_params.temperature != 0:
            raise ValueError(
                f"{ARGUMENT}: the request's own temperature must be 0 with our noise, got "
                f"{sampling_params.temperature}."
            )

    def is_argmax_invariant(self) -> bool:
        """It leaves one token, which need not be the most probable one."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """First interface: requests came, left or moved between rows."""

        def entry(params: SamplingParams, _: Any, sampled: list[int]) -> tuple[Draw, list[int]] | None:
            draw = _draw_of(params)
            return None if draw is None else (draw, sampled)

        process_dict_updates(self.slots, batch_update, entry)

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        """Second interface: a request takes a slot."""
        draw = _draw_of(sampling_params)
        self.slots.pop(req_idx, None)
        if draw is not None:
            self.slots[req_idx] = (draw, [])
        return draw is not None

    def apply(self, logits: Tensor, ctx: Any = None) -> Tensor:
        """[num_rows, rows of the head] -> the same, with one token left in each row of ours."""
        if ctx is None:
            rows = sorted(self.slots)
            positions = [len(self.slots[row][1]) for row in rows]
            leave_chosen(logits, rows, [self.slots[row][0] for row in rows], positions)
            return logits
        slots = ctx.expanded_idx_mapping.tolist()
        rows = [row for row, slot in enumerate(slots) if slot in self.slots]
        last = ctx.pos.tolist()  # place in the sequence of the token that was fed
        prompt_tokens = self.requests.prompt_len.np
        positions = [last[row] + 1 - int(prompt_tokens[slots[row]]) for row in rows]
        leave_chosen(logits, rows, [self.slots[slots[row]][0] for row in rows], positions)
        return logits


def _draw_of(params: SamplingParams) -> Draw | None:
    values = (params.extra_args or {}).get(ARGUMENT)
    return None if values is None else Draw.parse(values)
