"""Read sharded checkpoints without letting their pickled index run anything.

``torch.distributed.checkpoint`` keeps what is where in a pickle (``.metadata``). Hashes tell whether a checkpoint is as
it was written, not who wrote it; so the pickle is read with a list of the names that an index of tensors needs, and an
index that speaks of anything but tensors, which torch would unpickle in full, is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta, TensorStorageMetadata

from paced.errors import RunFolderError

INDEX = ".metadata"
DTYPES = {name for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
NAMES = {
    "torch": {"Size", *DTYPES},
    "torch.serialization": {"_get_layout"},
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo", "_StoragePrefix"},
    "torch.distributed.checkpoint.metadata": {
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "pathlib": {"Path", "PosixPath", "PurePosixPath", "WindowsPath"},
    "pathlib._local": {"Path", "PosixPath", "PurePosixPath", "WindowsPath"},
    "collections": {"OrderedDict"},
}
"""Module -> the names that the index of a checkpoint of tensors holds."""


class TensorShards(FileSystemReader):
    """A reader of shards whose index can name tensors only."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The index of the checkpoint.

        Raises:
            RunFolderError: it is damaged, or holds what no index of tensors does.
        """
        file = Path(self.path) / INDEX
        try:
            with file.open("rb") as raw:
                index = _IndexReader(raw).load()
        except Exception as error:  # a damaged pickle raises anything
            raise RunFolderError(f"{file}: must be the index of a checkpoint ({_reason(error)}). Delete it.") from error
        kinds = getattr(index, "state_dict_metadata", None)
        if not isinstance(index, Metadata) or not isinstance(kinds, dict):
            raise RunFolderError(f"{file}: must be the index of a checkpoint, got {type(index).__name__}. Delete it.")
        if not all(isinstance(one, TensorStorageMetadata) for one in kinds.values()):
            raise RunFolderError(f"{file}: must hold tensors only, got other objects. Delete the checkpoint.")
        index.storage_meta = index.storage_meta or StorageMeta()
        index.storage_meta.load_id = self.load_id
        return index


class _IndexReader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in NAMES.get(module, ()):
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
