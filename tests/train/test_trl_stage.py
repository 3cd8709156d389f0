"""A stage by TRL is the native one also where TRL and this package have other conventions."""

from __future__ import annotations

import json

import pytest
from backend_setup import backend_config, even_examples, first_gradients, gradient_difference, run_stage
from tiny_models import byte_tokenizer, small_model, write_model
from tolerances import F32

from paced.models.loading import load_tokenizer
from paced.models.tokens import absent_ids
from paced.run.schema import Choice
from paced.train.backends import make_backend

ONE_STEP = {"stages": [{"num_steps": 1}]}
CHANGES = {
    "TRL has no T² in a loss at temperature T": ONE_STEP | {"training.loss_temperature": 2.0},
    "TRL's β is that of this package": {
        "stages": [{"divergence": {"name": "jsd", "parameters": {"beta": 0.3}}, "num_steps": 1}]
    },
    "TRL recomputes activations in training mode only": ONE_STEP | {"parallel.gradient_checkpointing": True},
    "TRL's own reduction": ONE_STEP | {"training.reduction": "token_mean", "training.normaliser": "self"},
}


def write_models(folder, *, family="qwen2"):
    """A student and a teacher of another architecture; their heads have rows beyond the tokenizer's."""
    for who, name in (("student", family), ("teacher", "llama")):
        write_model(folder / who, name, chat=False)
    return folder


def both_gradients(root, models, **changes):
    config = backend_config(models, **{"training.micro_batch_tokens": 60} | changes)
    return [
        first_gradients(make_backend(Choice(name)), root / name, config, even_examples()) for name in ("trl", "native")
    ]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_the_first_gradient_is_the_native_one_whatever_trls_convention(tmp_path, models, change):
    assert gradient_difference(*both_gradients(tmp_path, models, **CHANGES[change])) < F32


def test_learned_positions_are_counted_from_the_first_token(tmp_path):
    """Examples of different length in one micro-batch, which TRL pads on the left."""
    folder = write_models(tmp_path / "models", family="gpt2")
    assert gradient_difference(*both_gradients(tmp_path, folder, **ONE_STEP)) < F32


def test_ids_that_no_token_has_get_no_probability(tmp_path):
    folder = write_models(tmp_path / "models", family="gpt2")
    for who in ("student", "teacher"):
        file = json.loads((folder / who / "tokenizer.json").read_text())
        vocabulary = file["model"]["vocab"]
        vocabulary[next(token for token, number in vocabulary.items() if number == 255)] = 262
        (folder / who / "tokenizer.json").write_text(json.dumps(file))
    config = backend_config(folder)
    assert 255 in absent_ids(load_tokenizer(config.student))
    assert gradient_difference(*both_gradients(tmp_path, folder, **ONE_STEP)) < F32


def test_the_exported_folder_is_the_native_one_but_for_rounding(tmp_path, models):
    """TRL gives tokenizer and configuration a padding token, which later steps must not see."""
    exported = {}
    for name in ("trl", "native"):
        stage = run_stage(
            make_backend(Choice(name)), tmp_path / name, backend_config(models, **ONE_STEP), even_examples()
        )
        files = sorted(stage.folder.student.rglob("*"))
        exported[name] = {
            str(file.relative_to(stage.folder.student)): file.read_bytes()
            for file in files
            if file.is_file() and file.suffix != ".safetensors" and file.name != "README.md"
        }
    assert exported["trl"] == exported["native"]
    assert "config.json" in exported["trl"]


def test_small_models_have_rows_that_no_token_has():
    """Otherwise the tests above would not see how many rows are compared."""
    assert small_model("qwen2").config.vocab_size > len(byte_tokenizer(chat=False))
