"""docs/trl.md: its script runs as it is written on what ``paced export`` writes; its recipe makes the backend."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from backend_setup import backend_config
from safetensors.torch import load_file
from tiny_models import write_model

from paced.run.schema import Choice
from paced.train.backends import make_backend
from paced.train.trl_backend import DIVERGENCES_OF_TRL

PAGE = (Path(__file__).parents[2] / "docs" / "trl.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both models and a file of weighted prompts, as the page's script reads them."""
    root = tmp_path_factory.mktemp("page")
    for who, family in (("student", "qwen2"), ("teacher", "llama")):
        write_model(root / who, family, chat=False)
    rows = [{"prompt": f"{i} + {i}", "weight": float(i % 3)} for i in range(8)]
    pq.write_table(pa.Table.from_pylist(rows), root / "train.parquet")
    return root


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")  # Trainer's default, on a machine without an accelerator
@pytest.mark.filterwarnings(
    "ignore:None of the inputs have requires_grad"
)  # TRL recomputes activations when it samples
def test_the_script_on_the_page_trains_a_student(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(script, "trl.md", "exec"), {})  # the page of this repository
    before, after = (load_file(f"{where}/model.safetensors") for where in ("student", "trained"))
    assert any(not before[name].equal(after[name]) for name in before)


def test_the_recipe_on_the_page_makes_its_backend():
    (recipe,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    make_backend(Choice(yaml.safe_load(recipe)["training"]["backend"]))


REFUSED = {
    "another divergence": (
        {"stages": [{"share": 0.5}, {"share": 0.5, "divergence": "akl"}]},
        "stages.2.divergence must be one of forward_kl,",
    ),
    "norms": ({"training.track_snr": True}, "training.track_snr is not for the backend 'trl'"),
    "cached states": ({"parallel.cache_teacher": True}, "parallel.cache_teacher is not for the backend 'trl'"),
    "shared sequences": ({"parallel.sequence_parallel": 2}, "parallel.sequence_parallel is not for the backend 'trl'"),
    "offload": ({"parallel.offload": True}, "parallel.offload is not for the backend 'trl'"),
}


@pytest.mark.parametrize("asked", REFUSED)
def test_check_says_what_trls_loss_does_not_have(folder, asked):
    changes, sentence = REFUSED[asked]
    (fault,) = make_backend(Choice("trl")).check(backend_config(folder, **changes))
    assert fault.startswith(sentence)
    assert "native" in fault


@pytest.mark.parametrize("divergence", DIVERGENCES_OF_TRL)
def test_check_has_nothing_against_what_trls_loss_has(folder, divergence):
    config = backend_config(folder, stages=[{"divergence": divergence}])
    assert make_backend(Choice("trl")).check(config) == []


def test_check_names_heads_that_trl_cannot_compare(folder, tmp_path):
    wide = write_model(tmp_path / "wide", "llama", chat=False, vocab_size=272)
    (fault,) = make_backend(Choice("trl")).check(backend_config(folder, **{"teacher.path": str(wide)}))
    assert "as many rows in the teacher's head as in the student's, got 272 and 264" in fault


def test_check_names_another_version_of_trl_and_nothing_else(folder, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.17.0")
    (fault,) = make_backend(Choice("trl")).check(backend_config(folder, **{"training.track_snr": True}))
    assert "the version of trl must be >=1.16,<1.17" in fault
