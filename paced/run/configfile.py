"""Read a recipe: YAML plus dotted overrides into one checked, frozen :class:`~paced.run.config.RunConfig`.

All faults are named at once: unknown keys with the nearest known one, values that are not of their key's type and
range, sections that contradict each other, and what a compared method would change wrongly.
Left out: string import paths, interpolation and inheritance between files. A recipe is data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paced.errors import ConfigError, did_you_mean
from paced.run.config import RunConfig
from paced.run.rules import check_config
from paced.run.schema import hints_of, item_of, key_of, read_section, section_of, spelled_out
from paced.run.yamltext import parse_yaml

ALONE: dict[str, Any] = {"methods": {}, "report": {}}
"""The keys about several methods, as one method has them."""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a recipe and apply overrides of the form ``section.field=value``.

    Args:
        path: YAML file of at most 1 MiB.
        overrides: dotted assignments, see :func:`apply_overrides`; the value is read as YAML.

    Raises:
        ConfigError: no such file, not YAML, duplicate or unknown keys, wrong types, or contradictions;
            the message names the file and the key.

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "tiny.yaml"
        >>> _ = file.write_text("name: tiny\\ntraining: {learning_rate: 1e-4}\\nproblems: {path: p.jsonl}\\n")
        >>> load_config(file, ["rollouts.num_samples=4", "weights=uniform"]).rollouts.num_samples
        4
    """
    data = parse_yaml(_read(Path(path)), str(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a recipe must be a mapping of sections, got {type(data).__name__}.")
    return build_config(apply_overrides(data, overrides, str(path)), str(path))


def apply_overrides(
    data: Mapping[str, Any], overrides: Sequence[str] | Mapping[str, Any], place: str
) -> dict[str, Any]:
    """Return ``data`` with dotted keys set; nothing else changes.

    A mapping given for a section changes the keys that it names. A choice that is named anew (``weights=uniform``)
    begins without parameters. Items of a list count from 1 (``stages.1.share``); a list is replaced whole.

    Raises:
        ConfigError: not of the form key=value, or a key inside something that is not a section.

    Example:
        >>> apply_overrides({"training": {"batch_size": 1, "clip_norm": 2}}, ["training.batch_size=4"], "recipe")
        {'training': {'batch_size': 4, 'clip_norm': 2}}
        >>> apply_overrides({"weights": "beta"}, ["weights.parameters.alpha=5e-1"], "recipe")
        {'weights': {'name': 'beta', 'parameters': {'alpha': 0.5}}}
    """
    if not isinstance(overrides, Mapping):
        overrides = dict(_parse_override(override, place) for override in overrides)
    result = _deep_copy(data)
    for key, value in overrides.items():
        result = _with_key(RunConfig, result, str(key).split("."), value, f"{place}: override {str(key)!r}")
    return result


def build_config(data: Mapping[str, Any], place: str = "config") -> RunConfig:
    """Turn a nested mapping into a checked :class:`RunConfig`; what it leaves out has the default of its place.

    Raises:
        ConfigError: everything that is wrong with it and with its compared methods, a sentence each.
    """
    config, faults = _read_config(data)
    sentences = list(faults.values())
    if config is not None and "methods" not in faults:
        for method, changes in config.methods.items():
            changed = apply_overrides({**_deep_copy(data), **ALONE}, changes, f"methods.{method}")
            _, others = _read_config(changed)
            sentences += [f"methods.{method}: {fault}" for fault in others.values() if fault not in sentences]
    if config is None or sentences:
        raise ConfigError(f"{place}: {' '.join(sentences)}")
    return config


def with_method(config: RunConfig, method: str) -> RunConfig:
    """The configuration of one compared method: the base with its overrides, and nothing of the other methods.

    Raises:
        ConfigError: the recipe compares no method of this name.
    """
    if method not in config.methods:
        known = ", ".join(config.methods) or "none"
        nearest = did_you_mean(method, config.methods)
        raise ConfigError(
            f"{config.name}: method must be one of its compared methods ({known}), got {method!r}.{nearest}"
        )
    place = f"methods.{method}"
    return build_config(apply_overrides(to_dict(config) | ALONE, config.methods[method], place), place)


def to_dict(config: Any) -> dict[str, Any]:
    """The resolved configuration as plain data, every key with its value, ready for YAML or JSON."""
    # Not msgspec.to_builtins, which leaves out fields with their class's default.
    fields = dataclasses.asdict(config, dict_factory=lambda pairs: {key_of(name): value for name, value in pairs})
    data: dict[str, Any] = _deep_copy(fields)
    return data


def _read_config(data: Any) -> tuple[RunConfig | None, dict[str, str]]:
    """The configuration (None when ``data`` is not a mapping) and what is wrong with it, key -> sentence."""
    faults: dict[str, str] = {}
    config = read_section(RunConfig, _deep_copy(data), default=None, place="", faults=faults)
    if config is not None:
        for key, sentence in check_config(config).items():
            faults.setdefault(key, f"{key} {sentence}")
    return config, faults


def _parse_override(override: str, place: str) -> tuple[str, Any]:
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"{place}: an override must read key=value, got {override!r}.")
    return key.strip(), parse_yaml(value, f"override {key}")


def _with_key(hint: Any, current: Any, path: Sequence[str], value: Any, place: str) -> Any:
    """``current``, the data of a field of type ``hint``, with ``value`` at ``path`` below it."""
    if not path:
        return _merged(hint, current, value)
    key, rest = path[0], path[1:]
    if (item := item_of(hint)) is not None:
        items = list(current) if isinstance(current, list) else [{}]
        if not (key.isdecimal() and 1 <= int(key) <= len(items)):
            raise ConfigError(f"{place} must count the items of the list from 1 to {len(items)}, got {key!r}.")
        items[int(key) - 1] = _with_key(item, items[int(key) - 1], rest, value, place)
        return items
    kind = section_of(hint)
    current = spelled_out(kind, current)
    if not isinstance(current, Mapping | None):
        raise ConfigError(f"{place} goes into {current!r}, which is not a section.")
    current = current or {}
    inner = hints_of(kind).get(key) if kind else None
    return {**current, key: _with_key(inner, current.get(key), rest, value, place)}


def _merged(hint: Any, current: Any, value: Any) -> Any:
    """``value`` in place of ``current``; for a section only the keys that it names."""
    kind = section_of(hint)
    if kind is None or not isinstance(value, Mapping) or (kind.short and kind.short in value):
        return _deep_copy(value)
    current = spelled_out(kind, current)
    hints = hints_of(kind)
    current = current if isinstance(current, Mapping) else {}
    return {**current, **{key: _merged(hints.get(key), current.get(key), one) for key, one in value.items()}}


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Give a YAML recipe, or the folder of a run."
        ) from error
    if len(raw) > 1 << 20:
        raise ConfigError(f"{path}: a recipe must be smaller than 1 MiB, got {len(raw)} bytes.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: a recipe must be UTF-8 text, got a byte that is not at {error.start}.") from error


def _deep_copy(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _deep_copy(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_deep_copy(value) for value in data]
    return data
