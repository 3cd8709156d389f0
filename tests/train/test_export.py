"""A trained student is an ordinary Hugging Face folder: it loads with from_pretrained and gives the same logits."""

from __future__ import annotations

import json

import pytest
import torch
from tiny_models import byte_tokenizer, write_model
from training_setup import build_student, build_teacher, make_config, train
from transformers import AutoModelForCausalLM, AutoTokenizer

from paced.models.loading import load_model, load_tokenizer
from paced.run.config import ModelConfig
from paced.run.folder import RunFolder
from paced.train.export import export_student, model_card


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


GENERATION_CONFIGS = {
    "flags that do not apply": {"do_sample": False, "temperature": 0.6, "top_p": 0.9, "eos_token_id": 0},
    "sampling defaults": {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "eos_token_id": 0},
    "beam flags and a negative id": {"early_stopping": True, "num_beams": 1, "eos_token_id": [0, -1]},
}


@pytest.mark.parametrize("name", GENERATION_CONFIGS)
def test_the_export_brings_the_students_own_tokenizer_and_generation_config_byte_for_byte(tmp_path, name):
    """Two of the three are read by transformers and refused when written: the training would be lost at its end."""
    source = write_model(tmp_path / "mine", "qwen2", chat=True)
    (source / "generation_config.json").write_text(json.dumps(GENERATION_CONFIGS[name]))
    config = make_config(**{"student.path": str(source)})
    student, teacher = load_model(config.student), build_teacher()
    train(tmp_path, config, student=student, teacher=teacher)
    exported = RunFolder(tmp_path).stage(1).student
    own = sorted(file.name for file in source.iterdir() if file.suffix != ".safetensors" and file.name != "config.json")
    assert {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"} <= set(own)
    for file in own:
        assert (exported / file).read_bytes() == (source / file).read_bytes()
    assert load_model(ModelConfig(path=str(exported))).generation_config.eos_token_id is not None


def test_a_student_without_a_generation_config_gets_none(tmp_path):
    source = write_model(tmp_path / "mine", "qwen2", chat=False)
    (source / "generation_config.json").unlink()
    config = make_config(**{"student.path": str(source)})
    tokenizer = load_tokenizer(config.student)
    export_student(tmp_path / "out", load_model(config.student), tokenizer, config=config, facts={})
    assert not (tmp_path / "out" / "generation_config.json").exists()
    assert tokenizer.pad_token is not None  # lent while loading
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text()).get("pad_token") is None
