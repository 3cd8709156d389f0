"""A lab model is pre-trained once for each recipe and kept: a folder in the user's cache, named by the recipe's hash.

The folder is ``$PACED_LAB_CACHE``, or ``lab`` below ``$PACED_CACHE``, ``$XDG_CACHE_HOME/paced`` or ``~/.cache/paced``.
A cached model is used only when its weights still have the hash that was written beside them; the key holds the
versions of torch and transformers, as the bits depend on them. A cache that cannot be written costs the minute again,
nothing else.
Left out: eviction. A student takes 0.6 MB.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path

from paced.errors import RunFolderError
from paced.lab.pretrain import pretrain
from paced.lab.recipe import PretrainRecipe, describe, recipe_key
from paced.lab.tokenizer import build_tokenizer
from paced.run.progress import Progress
from paced.run.storage import file_hash, read_json, write_json

WEIGHTS_FILE, NOTE_FILE = "model.safetensors", "recipe.json"


def cache_folder() -> Path:
    """The folder of cached lab models; it need not exist."""
    if os.environ.get("PACED_LAB_CACHE"):
        return Path(os.environ["PACED_LAB_CACHE"])
    if os.environ.get("PACED_CACHE"):
        return Path(os.environ["PACED_CACHE"]) / "lab"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paced" / "lab"


def lab_model(recipe: PretrainRecipe, target: Path, progress: Progress) -> None:
    """Put the model and tokenizer of ``recipe`` into ``target``: from the cache, or pre-trained now and cached.

    Raises:
        PretrainingFailedError: the model did not reach its targets.
    """
    cached = cache_folder() / recipe_key(recipe)
    if is_whole(cached):
        progress.note(f"the model of seed {recipe.seed} was pre-trained before; taken from the cache")
        _put(cached, target)
        return
    model, log = pretrain(recipe, progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".model-") as temporary:
        folder = Path(temporary) / "model"
        model.save_pretrained(folder)
        build_tokenizer().save_pretrained(folder)
        probes = [(step, dataclasses.asdict(skills)) for step, skills in log.probes]
        note = {"sha256": file_hash(folder / WEIGHTS_FILE), "num_steps": log.num_steps, "probes": probes}
        write_json(folder / NOTE_FILE, describe(recipe) | note)
        _put(folder, target)
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        _put(target, cached)
    except OSError as error:
        progress.note(
            f"the cache {cached.parent} cannot be written ({error.strerror}); the model stays in this run only"
        )


def is_whole(folder: Path) -> bool:
    """Whether ``folder`` holds a model whose weights have the hash in its note."""
    try:
        return bool(read_json(folder / NOTE_FILE)["sha256"] == file_hash(folder / WEIGHTS_FILE))
    except (OSError, RunFolderError, KeyError, TypeError):
        return False


def _put(source: Path, target: Path) -> None:
    """Copy a folder so that ``target`` is absent or whole, whatever happens."""
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        shutil.copytree(source, temporary, dirs_exist_ok=True)
        temporary.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    except FileExistsError:
        pass  # another process has just put the same model there
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
