"""What a model is by content: a hash of every file that decides what it computes and how it reads text."""

from __future__ import annotations

from pathlib import Path

from paced.models.loading import GENERATION_CONFIG, TOKENIZER_FILES, locate
from paced.run.config import ModelConfig
from paced.run.storage import file_hash, text_hash

VOCABULARY_FILES = ("vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model")
"""Vocabularies of tokenizers that keep them apart from ``tokenizer.json``."""


def model_hash(model: ModelConfig) -> str:
    """SHA-256 over the weights, the configuration and the tokenizer of a model; other files, as a card, do not count.

    Of a hub name it is the commit, which the hub derives from the content.

    Raises:
        ConfigError: there is no such model.
    """
    source = locate(model)
    if not Path(source).exists():
        return text_hash(model.path, _commit(model))
    return text_hash(*(f"{file.name} {file_hash(file)}" for file in model_files(Path(source))))


def model_files(folder: Path) -> list[Path]:
    """The files of a model folder that :func:`model_hash` reads, in the order of their names."""
    names = {"config.json", GENERATION_CONFIG, *TOKENIZER_FILES, *VOCABULARY_FILES}
    named = [file for name in names if (file := folder / name).is_file()]
    return sorted({*folder.glob("*.safetensors"), *folder.glob("*.safetensors.index.json"), *named})


def _commit(model: ModelConfig) -> str:
    """The commit of a hub repository's files in the local cache; the asked revision when nothing is cached."""
    from transformers.utils import cached_file

    file = cached_file(
        model.path,
        "config.json",
        revision=model.revision or None,
        local_files_only=True,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return Path(file).parent.name if file else model.revision
