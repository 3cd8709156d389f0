"""A sharded checkpoint gives its tensors back, and its pickled index runs nothing, whoever wrote it."""

from __future__ import annotations

import os
import pickle
import warnings

import pytest
import torch
import torch.distributed.checkpoint as dcp

from paced.errors import RunFolderError
from paced.train.native.shards import INDEX, TensorShards


@pytest.fixture
def shards(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(tensors, storage_writer=dcp.FileSystemWriter(tmp_path), no_dist=True)
    return tmp_path


def load(folder, targets):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.load(targets, storage_reader=TensorShards(folder), no_dist=True)
    return targets


def zeros():
    return {"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16)}


def test_shards_come_back_as_they_were(shards):
    loaded = load(shards, zeros())
    assert torch.equal(loaded["a"], torch.arange(6.0).reshape(2, 3))
    assert torch.equal(loaded["b"], torch.ones(4, dtype=torch.bfloat16))


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_an_index_that_would_run_something_is_refused_and_runs_nothing(shards, tmp_path):
    marker = tmp_path / "ran"
    (shards / INDEX).write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(dcp.api.CheckpointException, match=r"index of a checkpoint \(it names posix.mkdir"):
        load(shards, zeros())
    assert not marker.exists()


def test_an_index_of_other_objects_than_tensors_is_refused(shards):
    index = pickle.loads((shards / INDEX).read_bytes())
    index.state_dict_metadata["a"] = dcp.metadata.BytesStorageMetadata()
    (shards / INDEX).write_bytes(pickle.dumps(index))
    with pytest.raises(dcp.api.CheckpointException, match="BytesStorageMetadata"):
        load(shards, zeros())


@pytest.mark.parametrize("content", [b"", b"\x80", pickle.dumps({"a": 1}), pickle.dumps(None)], ids=repr)
def test_a_damaged_index_is_one_sentence(shards, content):
    (shards / INDEX).write_bytes(content)
    with pytest.raises(RunFolderError, match="must be the index of a checkpoint"):
        TensorShards(shards).read_metadata()
