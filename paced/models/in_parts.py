"""Load a model in parts: each rank reads from safetensors the rows that are its own, and nobody holds a whole copy.

The model is built without weights (parameters on the meta device, buffers real, since a checkpoint does not hold those
that are computed, such as rotary frequencies), spread over ranks, given memory, and then filled by
:meth:`WeightFiles.fill`. What is read is what transformers would load: names are translated by its own rules for old
checkpoints, numbers are converted in the same way.
Left out, said by :class:`NotInPartsError`: checkpoints whose tensors transformers computes from several others (experts
stored one by one), types that it keeps apart from the model's, and anything that it would refuse or warn about.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from paced.models.loading import CHANGES_THE_MODEL, DTYPES, load_config, load_generation_config, locate, reading
from paced.run.config import ModelConfig

ROWS_AT_ONCE = 4096
"""Rows of two tensors that are compared at a time."""


class NotInPartsError(ValueError):
    """Why a checkpoint has to be loaded whole, as a clause."""


@dataclass(frozen=True)
class Place:
    """Where a tensor is written."""

    file: Path
    """A safetensors file."""
    key: str
    """Its name there."""


@dataclass(frozen=True, kw_only=True)
class WeightFiles:
    """A checkpoint, tensor by tensor."""

    places: Mapping[str, Place]
    """Name of a parameter or buffer of the model -> where it is."""

    @torch.no_grad()
    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Read every tensor, whole, or of a sharded one this rank's rows, in the type that it has.

        Args:
            tensors: names of :attr:`places` -> where the numbers go.
        """
        names = defaultdict(list)
        for name in tensors:
            names[self.places[name].file].append(name)
        for file, inside in names.items():
            with _opened(file) as opened:
                for name in inside:
                    _read(opened, self.places[name].key, tensors[name])


def open_in_parts(model: ModelConfig, *, dtype: str = "") -> tuple[Any, WeightFiles]:
    """A model without weights, in eval mode, and the files that have them.

    Args:
        model: folder or hub name, revision and attention kernel.
        dtype: type of the weights; empty for the configured one.

    Raises:
        NotInPartsError: it has to be loaded whole.
        ConfigError: no such model.
    """
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM

    config = load_config(model)
    if getattr(config, "quantization_config", None) is not None:
        raise NotInPartsError("its weights are quantised")
    files = _weight_files(model)
    kind = DTYPES[dtype or model.dtype]
    with reading(model, "build this model"), init_empty_weights(include_buffers=False):
        built = AutoModelForCausalLM.from_config(config, dtype=kind, attn_implementation=model.attention)
    built.tie_weights()  # parameters on the meta device were made one by one
    if any(parameter.dtype != kind for parameter in built.parameters()) or _kept_apart(built):
        raise NotInPartsError(f"transformers keeps some of its weights in another type than {dtype or model.dtype}")
    built.generation_config = load_generation_config(model)
    return built.eval(), WeightFiles(places=_places(built, files))


def _weight_files(model: ModelConfig) -> list[Path]:
    """The safetensors files that transformers would read."""
    source = Path(locate(model))
    if not source.exists():
        from huggingface_hub import snapshot_download

        patterns = ["*.safetensors", "*.safetensors.index.json"]
        try:
            source = Path(snapshot_download(str(source), revision=model.revision or None, allow_patterns=patterns))
        except (OSError, ValueError) as error:
            raise NotInPartsError("its files are not in the local cache") from error
    single, index = source / "model.safetensors", source / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    try:
        names = set(json.loads(index.read_text())["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotInPartsError("it has neither model.safetensors nor an index of several files") from error
    return [source / name for name in sorted(names)]


def _kept_apart(model: Any) -> bool:
    """Whether transformers loads some modules in float32 whatever type is asked for."""
    return bool(getattr(model, "_keep_in_fp32_modules_strict", None))


def _places(model: Any, files: list[Path]) -> dict[str, Place]:
    """Where every parameter and stored buffer of ``model`` is.

    Raises:
        NotInPartsError: one is absent, has another shape, or is computed from others; a tensor that changes the model
            is left over.
    """
    expected = model.state_dict()
    translate = _translation(model, expected)
    places: dict[str, Place] = {}
    for file in files:
        with _opened(file) as opened:
            for key in opened.keys():  # noqa: SIM118 - not a mapping
                name = translate(key)
                if name in expected:
                    if tuple(opened.get_slice(key).get_shape()) != tuple(expected[name].shape):
                        raise NotInPartsError(f"{name} has another shape than in the model")
                    places[name] = Place(file, key)
                elif CHANGES_THE_MODEL.search(name):
                    raise NotInPartsError(f"{name} has no place in the model")
    return _tied_once(model, places)


def _translation(model: Any, expected: Mapping[str, Tensor]) -> Callable[[str], str]:
    """Name of a tensor in the files -> its name in the model, by transformers' own rules.

    Raises:
        NotInPartsError: by the translation, of a tensor that is one of several from which another is computed.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    rules = get_model_conversion_mapping(model)
    renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
    converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
    prefix = model.base_model_prefix

    def translate(key: str) -> str:
        name, converter = rename_source_key(key, renamings, converters, prefix, expected)
        if name not in expected and key in expected:  # a name of today that a rule for an old one fits
            name, converter = rename_source_key(key, [], [], prefix, expected)
        if converter is not None:
            raise NotInPartsError(f"transformers computes {name} from other tensors")
        return str(name)

    return translate


def _tied_once(model: Any, places: Mapping[str, Place]) -> dict[str, Place]:
    """The places of every parameter and stored buffer, tied ones under their first name.

    Raises:
        NotInPartsError: one has no place, or two that are tied have different numbers.
    """
    groups: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        groups.setdefault(id(tensor), []).append(name)
    for first, *others in groups.values():
        stored = [places[name] for name in (first, *others) if name in places]
        if not stored:
            raise NotInPartsError(f"{first} is not there")
        if any(not _equal(stored[0], other) for other in stored[1:]):
            raise NotInPartsError(f"{first} and {others[0]} are tied and have different numbers")
    return {names[0]: next(places[name] for name in names if name in places) for names in groups.values()}


def _equal(one: Place, other: Place) -> bool:
    """Whether two tensors of one shape have the same numbers, read a few rows at a time."""
    with _opened(one.file) as ours, _opened(other.file) as theirs:
        mine, its = ours.get_slice(one.key), theirs.get_slice(other.key)
        num_rows = mine.get_shape()[0]
        ends = ((at, min(at + ROWS_AT_ONCE, num_rows)) for at in range(0, num_rows, ROWS_AT_ONCE))
        return all(torch.equal(mine[at:end], its[at:end]) for at, end in ends)


def _read(opened: Any, key: str, target: Any) -> None:
    """Copy a tensor of an open file into ``target``, of a sharded one the rows that this rank has."""
    if not hasattr(target, "device_mesh"):
        target.copy_(opened.get_tensor(key))
        return
    local = target.to_local()
    start = _first_row(target)
    local.copy_(opened.get_slice(key)[start : start + local.shape[0]])


def _first_row(tensor: Any) -> int:
    """The first row of a tensor sharded by rows that this rank has; every rank but the last ones has equally many."""
    for dimension, placement in enumerate(tensor.placements):
        if placement.is_shard():
            assert placement.dim == 0, "FSDP shards rows"
            each = math.ceil(tensor.shape[0] / tensor.device_mesh.size(dimension))
            return min(each * tensor.device_mesh.get_local_rank(dimension), tensor.shape[0])
    return 0


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """A safetensors file; one that cannot be read is left to the ordinary load, which says what is wrong with it."""
    try:
        # not memory-mapped: the system maps the neighbours of what is read as well, half a file for a quarter of it
        with safe_open(file, framework="pt", backend="pread") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        raise NotInPartsError(f"{file.name} cannot be read") from error
