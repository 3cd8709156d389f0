"""Read a recipe: YAML plus dotted overrides into one checked, frozen :class:`~paced.config.RunConfig`.

Unknown keys are refused with the nearest known name, values are converted by the field's type (``1e-6`` is a number
here, which YAML 1.1 reads as text), duplicate keys and aliases are errors.
Left out: string import paths, interpolation and inheritance between files. A recipe is data.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

from paced.config import RunConfig, check_config
from paced.errors import ConfigError

EXPONENT = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+")
"""A number that YAML 1.1 reads as text, for want of a point or a sign."""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a recipe and apply overrides of the form ``section.field=value``.

    Args:
        path: YAML file of at most 1 MiB.
        overrides: dotted assignments; the value is read as YAML.

    Raises:
        ConfigError: no such file, not YAML, duplicate or unknown keys, wrong types, or contradictions;
            the message names the file and the key.

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "tiny.yaml"
        >>> _ = file.write_text("name: tiny\\ntraining: {learning_rate: 1e-4}\\nproblems: {path: p.jsonl}\\n")
        >>> load_config(file, ["rollouts.num_samples=4"]).rollouts.num_samples
        4
    """
    text = _read(Path(path))
    data = _parse_yaml(text, str(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a recipe must be a mapping of sections, got {type(data).__name__}.")
    return build_config(apply_overrides(data, overrides, str(path)), str(path))


def apply_overrides(
    data: Mapping[str, Any], overrides: Sequence[str] | Mapping[str, Any], place: str
) -> dict[str, Any]:
    """Return ``data`` with dotted keys set; lists are replaced whole.

    Example:
        >>> apply_overrides({"a": {"b": 1}}, ["a.b=2"], "recipe")
        {'a': {'b': 2}}
    """
    result = _deep_copy(data)
    if isinstance(overrides, Mapping):
        pairs = list(overrides.items())
    else:
        pairs = []
        for override in overrides:
            key, equals, value = override.partition("=")
            if not equals:
                raise ConfigError(f"{place}: an override must read key=value, got {override!r}.")
            pairs.append((key.strip(), _parse_yaml(value, f"override {key}")))
    for key, value in pairs:
        *parents, last = key.split(".")
        section: Any = result
        for parent in parents:
            section = section.setdefault(parent, {}) if isinstance(section, dict) else None
            if section is None:
                section = {}
                result[parents[0]] = section
        if not isinstance(section, dict):
            raise ConfigError(f"{place}: override {key!r} goes through '{parents[-1]}', which is not a section.")
        section[last] = value
    return result


def build_config(data: Mapping[str, Any], place: str = "config") -> RunConfig:
    """Turn a nested mapping into a checked :class:`RunConfig`; all unknown keys are named at once."""
    import msgspec

    problems = list(_unknown_keys(data, RunConfig, ""))
    if problems:
        raise ConfigError(f"{place}: " + " ".join(problems))
    try:
        config = msgspec.convert(_numbers_in_parameters(_deep_copy(data)), RunConfig, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: {error}.") from error
    if config.lab is not None and config.lab.seed == 0:
        config = dataclasses.replace(config, lab=dataclasses.replace(config.lab, seed=config.seed))
    check_config(config, place)
    return config


def to_dict(config: Any) -> dict[str, Any]:
    """The resolved configuration as plain data, every key with its value, ready for YAML or JSON."""
    # Not msgspec.to_builtins, which leaves out fields that hold their class's default.
    data: dict[str, Any] = _deep_copy(dataclasses.asdict(config))
    return data


def with_method(config: RunConfig, method: str) -> RunConfig:
    """The configuration of one compared method: the base with its overrides, under the name ``<run>/<method>``."""
    data = to_dict(config)
    changes = data.pop("methods")[method]
    return build_config(apply_overrides(data, changes, f"methods.{method}"), f"methods.{method}")


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


def _parse_yaml(text: str, place: str) -> Any:
    import yaml

    class Strict(yaml.SafeLoader):
        """SafeLoader that refuses duplicate keys and aliases instead of letting the last one win."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            repeated = {str(key) for key in keys if keys.count(key) > 1}
            if repeated:
                line = node.start_mark.line + 1
                raise ConfigError(f"{place}: key {', '.join(sorted(repeated))} stands twice (mapping at line {line}).")
            return super().construct_mapping(node, deep)

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise ConfigError(f"{place}: YAML aliases are not used in recipes; write the value out.")
            return super().compose_node(parent, index)

    try:
        return yaml.load(text, Loader=Strict)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{place}: not valid YAML ({' '.join(str(error).split())}). "
            "Mend that place, or give a recipe or the folder of a run."
        ) from error


def _unknown_keys(data: Any, kind: Any, path: str) -> Sequence[str]:
    """One sentence for each key that no field has, with the nearest field name."""
    if not isinstance(data, Mapping):
        return []
    hints = get_type_hints(kind)
    found: list[str] = []
    for key, value in data.items():
        where = f"{path}{key}"
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(sorted(hints))}."
            found.append(f"unknown key '{where}'.{hint}")
            continue
        for inner in [hints[key], *get_args(hints[key])]:
            if dataclasses.is_dataclass(inner):
                items = value if isinstance(value, list) else [value]
                for index, item in enumerate(items):
                    prefix = f"{where}[{index + 1}]." if isinstance(value, list) else f"{where}."
                    found += _unknown_keys(item, inner, prefix)
    return found


def _numbers_in_parameters(data: Any, *, inside: bool = False) -> Any:
    """``data`` with 5e-1 as a number wherever it is a parameter: these have no type by which it would be converted."""
    if isinstance(data, dict):
        return {key: _numbers_in_parameters(value, inside=inside or key == "parameters") for key, value in data.items()}
    if isinstance(data, list):
        return [_numbers_in_parameters(value, inside=inside) for value in data]
    return float(data) if inside and isinstance(data, str) and EXPONENT.fullmatch(data) else data


def _deep_copy(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _deep_copy(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_deep_copy(value) for value in data]
    return data
