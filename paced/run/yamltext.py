"""Plain data as YAML text and back, strictly: no aliases, no objects, no key twice, and text that stays text.

Words without quotes are read as YAML 1.2 reads them: ``1e-6`` is a number, ``no``, ``010`` and ``1:30`` are text
(YAML 1.1, which PyYAML follows, has text, false, eight and ninety). Left out: dates, and numbers that are not decimal.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from typing import Any

from paced.errors import ConfigError
from paced.run.tablefile.cells import fault_of_text

SIGNS_AND_DIGITS = list("-+0123456789")
PLAIN_WORDS: dict[str, tuple[str, list[str]]] = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9][0-9]*)", SIGNS_AND_DIGITS),
    "float": (
        r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        [*SIGNS_AND_DIGITS, "."],
    ),
}
"""Type in YAML -> the words without quotes that are of this type, and what they can begin with; the rest is text."""

LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")
"""Characters at which YAML breaks lines, beside the usual one."""


def parse_yaml(text: str, place: str) -> Any:
    """Plain data from YAML text; duplicate keys, aliases and objects are refused.

    Raises:
        ConfigError: not such text; the message begins with ``place``.

    Example:
        >>> parse_yaml("{alpha: 5e-1, name: beta}", "recipe")
        {'alpha': 0.5, 'name': 'beta'}
    """
    import yaml

    loader = functools.partial(_reader_and_writer()[0], place=place)
    try:
        return yaml.load(text, Loader=loader)  # type: ignore[arg-type]
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{place}: not valid YAML ({reason}). Fix that place, or give a recipe or the folder of a run."
        ) from error


def yaml_text(data: Any) -> str:
    """``data`` as YAML that :func:`parse_yaml` reads back as it was.

    Example:
        >>> parse_yaml(yaml_text({"text": "1e-6", "number": 1e-6}), "config.yaml")
        {'text': '1e-6', 'number': 1e-06}
    """
    import yaml

    text: str = yaml.dump(data, Dumper=_reader_and_writer()[1], sort_keys=False, allow_unicode=True)
    return text


@functools.cache
def _reader_and_writer() -> tuple[Any, Any]:
    """The reader and the writer of recipes: PyYAML's safe ones with the plain words of YAML 1.2."""
    import yaml

    class Reader(yaml.SafeLoader):
        """Refuses duplicate keys and aliases instead of letting the last one win."""

        def __init__(self, text: str, place: str) -> None:
            super().__init__(text)
            self.place = place

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except (AttributeError, KeyError) as error:  # what PyYAML makes of `!!bool x` and `!!timestamp x`
                place, word = f"{self.place}: line {node.start_mark.line + 1}", str(node.value)[:60]
                raise ConfigError(f"{place}: {word!r} does not fit its tag {node.tag!r}. Leave the tag out.") from error

        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            try:
                repeated = {str(key) for key, count in Counter(keys).items() if count > 1}
            except TypeError as error:
                place, line = self.place, node.start_mark.line + 1
                raise ConfigError(f"{place}: a key must be a word or a number (mapping at line {line}).") from error
            if repeated:
                names, line = ", ".join(sorted(repeated)), node.start_mark.line + 1
                raise ConfigError(f"{self.place}: key {names} is written twice (mapping at line {line}).")
            return super().construct_mapping(node, deep)

        def construct_scalar(self, node: Any) -> Any:
            value = super().construct_scalar(node)
            if isinstance(value, str) and (fix := fault_of_text(value)):
                raise ConfigError(f"{self.place}: line {node.start_mark.line + 1}: {fix}")
            return value

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise ConfigError(f"{self.place}: YAML aliases are not used in recipes; write the value out.")
            return super().compose_node(parent, index)

    class Writer(yaml.SafeDumper):
        """Puts quotes around text that readers of either version of YAML would take for something else."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def quoted(writer: Any, text: str) -> Any:
        """Line ends that only YAML knows (NEL and others) come back as spaces from any but double quotes."""
        style = '"' if LINE_ENDS.search(text) else None
        return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Writer.add_representer(str, quoted)
    Reader.yaml_implicit_resolvers = {}
    for kind, (pattern, first) in PLAIN_WORDS.items():
        tag, words = f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{pattern})\Z")
        Reader.add_implicit_resolver(tag, words, first)
        Writer.add_implicit_resolver(tag, words, first)
    return Reader, Writer
