"""A trained student is an ordinary Hugging Face folder: it loads with from_pretrained and gives the same logits."""

from __future__ import annotations

import pytest
import torch
from tiny_models import byte_tokenizer
from training_setup import build_student, make_config, train
from transformers import AutoModelForCausalLM, AutoTokenizer

from paced.run.folder import RunFolder
from paced.train.native.export import export_student, model_card


@pytest.mark.parametrize("tied", [True, False])
def test_the_trained_student_loads_and_gives_the_same_logits(tmp_path, tied):
    student = build_student(tied=tied)
    before = student.lm_head.weight.detach().clone()
    train(tmp_path, make_config(), student=student)
    assert not torch.equal(student.lm_head.weight, before)
    folder = RunFolder(tmp_path).stage(1).student
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    text = torch.tensor([[7, 8, 9, 200]])
    with torch.no_grad():
        assert torch.equal(loaded(text).logits, student.eval()(text).logits)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.decode(tokenizer("12 + 5 = 17").input_ids) == "12 + 5 = 17"
    assert loaded.config.tie_word_embeddings is tied
    assert (folder / "generation_config.json").exists()
    assert not [file.name for file in folder.iterdir() if file.suffix in (".bin", ".pt", ".pkl")]


def test_an_older_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "old.safetensors").write_bytes(b"x")
    (tmp_path / ".student").mkdir()
    (tmp_path / ".student" / "half").write_bytes(b"x")
    export_student(folder, build_student(), byte_tokenizer(chat=False), config=make_config(), facts={})
    assert not (folder / "old.safetensors").exists()
    assert not (folder / "half").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_the_card_states_the_runs_facts_and_no_path_of_the_machine(tmp_path):
    config = make_config(**{"student.path": str(tmp_path / "models" / "mine"), "weights.parameters": {"alpha": 1}})
    card = model_card(config, {"steps": 4})
    assert "| steps | 4 |" in card
    assert "| seed | 3 |" in card
    assert "| weights | `beta(alpha=1)` |" in card
    assert str(tmp_path) not in card
    hub = model_card(make_config(**{"student.path": "someone/small-model"}), {})
    assert "base_model: someone/small-model" in hub
