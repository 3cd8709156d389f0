"""From a target on the command line to a run folder: a recipe begins one, a folder that has begun is opened."""

from __future__ import annotations

from pathlib import Path

from paced.errors import ConfigError, RunFolderError
from paced.lab.files import with_lab_paths
from paced.run.config import RunConfig, check_name
from paced.run.configfile import load_config, with_method
from paced.run.folder import RunFolder


def open_run(
    target: Path,
    overrides: tuple[str, ...] = (),
    *,
    seed: int | None = None,
    root: Path = Path("runs"),
    method: str = "",
) -> RunFolder:
    """The run folder of a recipe (begun if it is not there), or of a run that has begun.

    Args:
        target: a YAML recipe, or the folder of a run.
        overrides: ``section.field=value``, for a recipe only: a folder belongs to one configuration for good.
        seed: the run's seed; another than the recipe's puts ``-seed-N`` behind the run's name.
        root: folder of the run folders.
        method: the run folder of this compared method.

    Raises:
        ConfigError: a recipe that cannot be read, settings given for a run that has begun, an unknown method.
        RunFolderError: the folder holds another configuration.
    """
    if target.is_dir():
        if overrides or seed is not None:
            raise ConfigError(
                f"{target}: is a run that has begun, its settings are fixed. Give the recipe to run it with others."
            )
        run = RunFolder(target)
    else:
        config = read_recipe(target, overrides, seed=seed)
        run = RunFolder(root / config.name)
        run.claim(config)
    if not method:
        run.written_config()
        return run
    return method_folder(run, method)


def read_recipe(recipe: Path, overrides: tuple[str, ...] = (), *, seed: int | None = None) -> RunConfig:
    """A recipe with its overrides, its seed and the lab's paths; nothing is written."""
    config = load_config(recipe, overrides)
    if seed is not None and seed != config.seed:
        named = any(override.partition("=")[0].strip() == "name" for override in overrides)
        name = config.name if named else check_name(f"{recipe}: name", f"{config.name}-seed-{seed}")
        config = load_config(recipe, (*overrides, f"seed={seed}", f"name={name}"))
    return with_lab_paths(config)


def method_folder(run: RunFolder, method: str) -> RunFolder:
    """The run folder of one compared method, begun if it is not there."""
    config = with_method(run.written_config(), method)
    folder = run.method(method)
    folder.claim(config)
    return folder


def refuse_empty(run: RunFolder) -> None:
    """Refuse to report on a folder in which nothing has been computed.

    Raises:
        RunFolderError: it holds a configuration and nothing else.
    """
    if not run.problems.exists():
        raise RunFolderError(f"{run.root}: has no results yet. Run: paced run {run.root}")
