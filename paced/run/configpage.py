"""Every key of a recipe: what it must be, unit, default at its place, the paper's value, meaning: docs/recipe.md.

    python -m paced.run.configpage docs/recipe.md

The page is read off the sections themselves: types, ranges and defaults from the fields, meanings from the docstrings
below them. A test holds the page in docs/ to it.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paced.run.config import RunConfig
from paced.run.paper import PAPER, UNITS
from paced.run.schema import Choice, Section, default_of, hints_of, item_of, join, key_of, rule, section_of

INTRODUCTION = """\
# Every key of a recipe

Written by `python -m paced.run.configpage docs/recipe.md`. A recipe is YAML; `name` must be given and everything else
has a default. A section given in part keeps the other defaults of its place. On the command line and below `methods`
the same keys are written with dots, and items of a list count from 1; what is not named stays as the recipe has it:

```yaml
name: mine
problems: {path: problems.jsonl}
student: {path: Qwen/Qwen3-8B}
weights: {name: beta, parameters: {alpha: 1, beta: 2}}
stages:
  - {divergence: forward_kl, share: 0.5}
  - {divergence: {name: jsd, parameters: {beta: 0.1}}, along: rollout, share: 0.5}
methods:
  uniform: {weights: uniform}
  sharper: {weights.parameters.alpha: 2, stages.2.divergence: reverse_kl}
```

```bash
paced run mine.yaml --dry-run training.learning_rate=1e-5 evaluation.sampling.num_samples=4 stages.1.share=0.3
```

A choice (`weights`, a stage's `divergence`, `grading.answer_format`, an `engine`) is a name with parameters. The name
alone is short for it: `weights: uniform` is `weights: {name: uniform}`. A choice that is named anew begins without the
parameters of the old one; `weights.name=…` and `weights.parameters.alpha=…` change one thing and leave the rest.
In the same way `rollouts.from: dump.jsonl` is `rollouts.from: {path: dump.jsonl}`, a file that takes a step's place.
Numbers are finite; a whole number is not written as `8.0`. The column *paper* has the value of the paper's Table 10 (or
of its §3.4); where it is empty the paper has none. A number without a unit is a pure one.
"""


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of a recipe."""

    name: str
    """Dotted, as an override has it; ``N`` is the number of a list's item."""
    hint: Any
    """Type and range."""
    default: Any
    """Its value at this place when a recipe does not give it; MISSING when it must."""
    meaning: str
    """One sentence or more, in Markdown."""


def recipe_keys(
    kind: type[Section] = RunConfig,
    *,
    default: Section | None = None,
    place: str = "",
    meaning: str = "",
    is_optional: bool = False,
) -> Iterator[Key]:
    """Every key of a section and of the sections inside it.

    Args:
        kind: the section's type.
        default: the section of this place; None for one that has the defaults of its type.
        place: dotted key of the section.
        meaning: what the section is for at this place; a section with a short form says it with that key.
        is_optional: whether the place may be without the section, so that it has none of its keys.

    Example:
        >>> {key.name: key.default for key in recipe_keys()}["evaluation.sampling.top_p"]
        0.95
    """
    meanings = meanings_of(kind)
    for entry in dataclasses.fields(kind):  # type: ignore[arg-type]
        name, hint = join(place, key_of(entry.name)), hints_of(kind)[key_of(entry.name)]
        value, about = default_of(entry, default), meanings[key_of(entry.name)]
        inner, item = section_of(hint), item_of(hint)
        if inner is not None:
            yield from recipe_keys(
                inner,
                default=value if isinstance(value, inner) else None,
                place=name,
                meaning=about,
                is_optional=value is None,
            )
        elif item is not None:
            yield from recipe_keys(item, place=join(name, "N"))
        else:
            about = meaning if kind.short == entry.name else about
            value = None if is_optional and value is dataclasses.MISSING else value
            yield Key(name=name, hint=hint, default=value, meaning=about)


def meanings_of(kind: type[Section]) -> dict[str, str]:
    """Key of a section -> the docstring below its field, on one line, in Markdown."""
    sections = reversed([one for one in kind.__mro__ if issubclass(one, Section)])
    return {key_of(name): text for section in sections for name, text in field_docstrings(section).items()}


def field_docstrings(kind: type) -> dict[str, str]:
    """Field of a class -> the docstring below it, on one line, in Markdown; of the class's own fields only."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        ast.unparse(node.target): " ".join(str(below.value.value).split()).replace("``", "`")
        for node, below in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(node, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }


def recipe_page() -> str:
    """The page, in Markdown: the keys of the whole run first, then a table for each section."""
    tables: dict[str, list[Key]] = {}
    for key in recipe_keys():
        section = key.name.partition(".")[0] if "." in key.name else ""
        tables.setdefault(section, []).append(key)
    parts = [INTRODUCTION, _table("The run", "Everything that decides a run's results.", tables.pop(""))]
    for name, keys in tables.items():
        is_choice = section_of(hints_of(RunConfig)[name]) is Choice
        parts.append(_table(f"`{name}`", "" if is_choice else meanings_of(RunConfig)[name], keys))
    return "\n".join(parts)


def _table(title: str, about: str, keys: list[Key]) -> str:
    rows = ["| key | must be | unit | default | paper | meaning |", "|---|---|---|---|---|---|"]
    for key in keys:
        unit = UNITS.get(key.name.rpartition(".")[2], "")
        cells = (f"`{key.name}`", rule(key.hint), unit, _default_text(key.default), _paper_text(key.name), key.meaning)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([f"## {title}", "", *([about, ""] if about else []), *rows, ""])


def _default_text(value: Any) -> str:
    return "must be given" if value is dataclasses.MISSING else f"`{json.dumps(value, ensure_ascii=False)}`"


def _paper_text(name: str) -> str:
    """The paper's value of a key: as a recipe has it, or in words; empty where the paper has none."""
    value = PAPER.get(name, "")
    is_words = isinstance(value, str) and (" " in value or not value)
    return value if is_words else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(recipe_page(), encoding="utf-8")
