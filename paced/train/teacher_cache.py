"""The teacher's final hidden states on disk: 2 bytes a number for a bfloat16 teacher, and no forward the second time.

They hold as much as the logits for every divergence (the head is applied anew), at d' instead of V numbers a token.
An entry is keyed by problem, sample, teacher revision and dtype. It also holds the tokens that the teacher read, and a
hash of its numbers: an entry whose tokens differ from the example's is computed anew, so a cache can never put states
of one completion beside another; a damaged one likewise.
Worth its disk when completions are seen again: several epochs, losses, weightings or methods over the same references.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from paced.models.loading import locate
from paced.run.config import ModelConfig
from paced.run.storage import file_hash, text_hash, write_atomic
from paced.train.examples import Example


class TeacherCache:
    """A folder of states by one teacher."""

    def __init__(self, folder: Path, *, revision: str, dtype: torch.dtype) -> None:
        """Use ``folder``; ``revision`` names the weights, see :func:`teacher_revision`."""
        self.revision, self.dtype = revision, dtype
        self.folder = folder / f"{revision[:16]}-{str(dtype).removeprefix('torch.')}"
        self.num_hits = 0
        """Examples read back."""
        self.num_misses = 0
        """Examples that were not there, or of other tokens."""

    def read(self, example: Example) -> Tensor | None:
        """The states [tokens, d'] of an example bit for bit, or None when the teacher has to compute them."""
        states = self._load(example)
        if states is None:
            self.num_misses += 1
        else:
            self.num_hits += 1
        return states

    def write(self, example: Example, states: Tensor) -> None:
        """Keep the states of an example; an older entry of the same key is replaced in one step."""
        states = states.detach().cpu().contiguous()
        content = save({"states": states, "tokens": _tokens(example)}, metadata={"hash": _hash(states)})
        write_atomic(self._file(example), content)

    def _load(self, example: Example) -> Tensor | None:
        file = self._file(example)
        if not file.exists():
            return None
        try:
            with safe_open(file, framework="pt") as entry:
                tokens, states = entry.get_tensor("tokens"), entry.get_tensor("states")
                hashed = (entry.metadata() or {}).get("hash")
        except (SafetensorError, OSError):
            return None
        whole = hashed == _hash(states) and states.shape[0] == len(example.completion_ids)
        return states if whole and torch.equal(tokens, _tokens(example)) else None

    def _file(self, example: Example) -> Path:
        key = text_hash(example.problem_id, str(example.sample_index), self.revision, str(self.dtype))
        return self.folder / key[:2] / f"{key}.safetensors"


def teacher_revision(config: ModelConfig, model: Any) -> str:
    """What identifies a teacher's weights: a hub repository's commit, a hash of a folder's files, or of the weights."""
    if not config.path:
        return text_hash(*(f"{name} {_hash(value.detach().cpu())}" for name, value in model.named_parameters()))
    source = Path(locate(config))
    if not source.exists():
        return text_hash(config.path, config.revision or str(getattr(model.config, "_commit_hash", "")))
    files = sorted([*source.glob("*.safetensors"), source / "config.json"])
    return text_hash(*(f"{file.name} {file_hash(file)}" for file in files))


def _tokens(example: Example) -> Tensor:
    return torch.tensor([*example.teacher_prompt_ids, *example.completion_ids], dtype=torch.int32)


def _hash(states: Tensor) -> str:
    return hashlib.sha256(states.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
