"""The recipes that come with the package: what each is for, and copies of them where a person works.

In a clone they are the folder ``recipes/``; in an installed package they lie beside the code. A copy has the names that
it has in a clone, so that every command of the documentation works from the folder that it was copied to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from paced.errors import ConfigError, did_you_mean
from paced.run.storage import write_atomic

FOLDER = "recipes"
"""Where recipes are, in a clone and in a copy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One recipe that comes with the package."""

    name: str
    """The file's name without ``.yaml``."""
    about: str
    """What it is for: the comment that it begins with."""
    files: tuple[str, ...]
    """The recipe and the problem files that come with it, by their paths in a clone."""


def folder_of_recipes() -> Path:
    """The folder ``recipes`` of the installed package, or of the clone that runs.

    Raises:
        ConfigError: there is none; the installation is damaged.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / FOLDER, package.parent / FOLDER):
        if (folder / "quickstart.yaml").is_file():
            return folder
    raise ConfigError(f"recipes: {package / FOLDER} must hold the package's recipes, got none. Install paced again.")


def recipes() -> list[Recipe]:
    """Every recipe that comes with the package, by name.

    Example:
        >>> next(one.files for one in recipes() if one.name == "quickstart")
        ('recipes/quickstart.yaml',)
    """
    folder = folder_of_recipes()
    return [_recipe(folder, path) for path in sorted(folder.glob("*.yaml"))]


def copy_recipe(name: str, target: Path) -> list[Path]:
    """Copy a recipe and its problem files to ``target/recipes/``.

    Args:
        name: of the recipe; with ``.yaml`` or a folder before it, as a person may type it.
        target: an existing folder or a new one.

    Returns:
        The files, those that were there already with the same content included.

    Raises:
        ConfigError: no recipe of this name, or a file of that name with other content is there; nothing is written.
    """
    wanted = Path(name).name.removesuffix(".yaml")
    known = {recipe.name: recipe for recipe in recipes()}
    if wanted not in known:
        raise ConfigError(
            f"recipes copy: NAME must be one of {', '.join(known)}, got {name!r}.{did_you_mean(wanted, list(known))}"
        )
    origin = folder_of_recipes().parent
    contents = {target / file: (origin / file).read_bytes() for file in known[wanted].files}
    changed = [path for path, content in contents.items() if path.exists() and path.read_bytes() != content]
    if changed:
        raise ConfigError(
            f"recipes copy: {', '.join(map(str, changed))} must not be there with other content. Move it, or copy "
            "into another folder with --to."
        )
    for path, content in contents.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
    return list(contents)


def _recipe(folder: Path, path: Path) -> Recipe:
    text = path.read_text(encoding="utf-8")
    comment: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    data = [named for named in _paths(yaml.safe_load(text)) if (folder.parent / named).is_file()]
    return Recipe(name=path.stem, about=" ".join(comment), files=(f"{FOLDER}/{path.name}", *data))


def _paths(settings: Any) -> list[str]:
    """Every ``path`` of a recipe below the folder of recipes, in its order and once."""
    found: list[str] = []
    if isinstance(settings, Mapping):
        path = settings.get("path")
        found += [path] if isinstance(path, str) and path.startswith(f"{FOLDER}/") else []
        found += [one for value in settings.values() for one in _paths(value)]
    elif isinstance(settings, list):
        found += [one for value in settings for one in _paths(value)]
    return list(dict.fromkeys(found))
