"""From a target on the command line to a run folder: a recipe begins one, a folder that has begun is opened."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from paced.errors import ConfigError, RunFolderError
from paced.lab.files import with_lab_paths
from paced.pipeline.change import adopt
from paced.run.config import CompletionsConfig, PassRatesConfig, ReferencesConfig, RunConfig, check_name
from paced.run.configfile import apply_overrides, build_config, load_config, to_dict, with_method
from paced.run.folder import INSIDE, RunFolder
from paced.run.progress import Lines, Progress
from paced.run.schema import FileSource

Taking = TypeVar("Taking", CompletionsConfig, ReferencesConfig, PassRatesConfig)


def open_run(
    target: Path,
    overrides: tuple[str, ...] = (),
    *,
    seed: int | None = None,
    root: Path = Path("runs"),
    method: str = "",
    redo: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> RunFolder:
    """The run folder of a recipe (begun if it is not there), or of a run that has begun.

    A run that has begun takes on other settings where nothing that it has computed depends on them (``change.py``).

    Args:
        target: a YAML recipe, or the folder of a run.
        overrides: ``section.field=value``.
        seed: the run's seed, for a recipe only; another than the recipe's puts ``-seed-N`` behind the run's name.
        root: folder of the run folders.
        method: the run folder of this compared method.
        redo: steps to give up and do again, e.g. ``stage-1-distill``.
        progress: where changes are said; plain lines by default.

    Raises:
        ConfigError: a recipe that cannot be read, an unknown method or step, a seed for a run that has begun.
        RunFolderError: something that was computed depends on a setting that differs.
    """
    progress = progress or Lines()
    if target.is_dir():
        run = RunFolder(target)
        config = run.written_config()
        if seed is not None:
            raise ConfigError(
                f"{target}: is a run that has begun with seed {config.seed}. Give --seed with its recipe."
            )
        if overrides:
            if run.whole != run:
                raise ConfigError(
                    f"{target}: takes its settings from {run.whole.root}. Change methods.{target.name} there."
                )
            config = build_config(apply_overrides(to_dict(config), overrides, str(target)), str(target))
    else:
        config = read_recipe(target, overrides, seed=seed)
        run = RunFolder(root / config.name)
        config = with_paths(config, lambda path: _from_run(run, path))
    adopt(run, config, redo=redo, say=progress.note)
    return method_folder(run, method, progress) if method else run


def open_begun(folder: Path, method: str = "") -> RunFolder:
    """The folder of a run that has begun, or of one of its compared methods; a recipe is refused, not begun.

    Raises:
        RunFolderError: ``folder`` is not one.
    """
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: must be the folder of a run that has begun. Start one with: paced run RECIPE.")
    return open_run(folder, method=method)


def read_recipe(recipe: Path, overrides: tuple[str, ...] = (), *, seed: int | None = None) -> RunConfig:
    """A recipe with its overrides, its seed and the lab's paths; nothing is written.

    A relative path is looked for from the working folder, then from the recipe's.
    """
    config = load_config(recipe, overrides)
    if seed is not None and seed != config.seed:
        named = any(override.partition("=")[0].strip() == "name" for override in overrides)
        name = config.name if named else check_name(f"{recipe}: name", f"{config.name}-seed-{seed}")
        config = load_config(recipe, (*overrides, f"seed={seed}", f"name={name}"))
    return with_lab_paths(with_paths(config, lambda path: _beside(recipe.parent, path)))


def with_paths(config: RunConfig, change: Callable[[str], str]) -> RunConfig:
    """The configuration with ``change`` applied to every path of a model or problem file that it names."""
    sets = tuple(dataclasses.replace(item, path=change(item.path)) for item in config.evaluation.sets)

    def taken(section: Taking) -> Taking:
        source: FileSource | None = section.from_
        return dataclasses.replace(section, from_=source and dataclasses.replace(source, path=change(source.path)))

    return dataclasses.replace(
        config,
        student=dataclasses.replace(config.student, path=change(config.student.path)),
        teacher=dataclasses.replace(config.teacher, path=change(config.teacher.path)),
        problems=dataclasses.replace(config.problems, path=change(config.problems.path)),
        evaluation=dataclasses.replace(config.evaluation, sets=sets),
        rollouts=taken(config.rollouts),
        pass_rates=taken(config.pass_rates),
        references=taken(config.references),
    )


def _beside(folder: Path, path: str) -> str:
    """A relative path that is not found from the working folder, from ``folder`` if it is found there."""
    if path and not path.startswith(INSIDE) and not _names_a_file(path) and _names_a_file(str(folder / path)):
        return os.path.relpath(folder / path)
    return path


def _from_run(run: RunFolder, path: str) -> str:
    """A relative path as one from the run folder; a hub name and what is absolute stay as they are."""
    if path and not path.startswith(INSIDE) and not Path(path).is_absolute() and _names_a_file(path):
        return INSIDE + os.path.relpath(Path(path).resolve(), run.root.resolve())
    return path


def _names_a_file(path: str) -> bool:
    """Whether there is something at a path, or at a pattern of several."""
    return Path(path).exists() or bool(glob.glob(path, recursive=True))


def method_folder(run: RunFolder, method: str, progress: Progress) -> RunFolder:
    """The run folder of one compared method, begun if it is not there."""
    config = with_method(run.written_config(), method)
    folder = run.method(method)
    adopt(folder, config, say=progress.note)
    return folder


def refuse_empty(run: RunFolder) -> None:
    """Refuse to report on a folder in which nothing has been computed.

    Raises:
        RunFolderError: it holds a configuration and nothing else.
    """
    if not run.problems.exists():
        raise RunFolderError(f"{run.root}: has no results yet. Run: paced run {run.root}")
