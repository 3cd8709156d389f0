"""What every backend promises, held over the dict of backends on small real models on disk."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from backend_setup import kept
from tiny_models import byte_tokenizer, write_model
from torch import nn
from training_setup import make_config, make_examples, metrics_of, weights_of
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    ModernBertDecoderConfig,
    ModernBertDecoderForCausalLM,
)

from paced.errors import ConfigError
from paced.models.loading import load_model, teacher_model
from paced.run.config import ModelConfig
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.schema import Choice
from paced.train.backends import BACKENDS, make_backend
from paced.train.examples import FixedExamples
from paced.train.inputs import StageInputs

METRICS = {"step", "loss", "grad_norm", "learning_rate", "num_tokens"}
"""Names that ``metrics.jsonl`` has whoever trains."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A student, and a teacher of another architecture with the same tokenizer."""
    root = tmp_path_factory.mktemp("models")
    for who, family in (("student", "qwen2"), ("teacher", "llama")):
        write_model(root / who, family, chat=False)
    return root


@pytest.fixture(params=kept(sorted(name for name, backend in BACKENDS.items() if backend.trains_here), "native"))
def backend(request):
    return make_backend(Choice(request.param))


def recipe(folders, **changes):
    paths = {"student.path": str(folders / "student"), "teacher.path": str(folders / "teacher")}
    return make_config(**paths | changes)


def train(backend, root, config, *, examples=None):
    """Train the first stage in ``root`` and return its inputs."""
    stage = StageInputs(
        run=RunFolder(root),
        config=config,
        stage_number=1,
        student=config.student,
        teacher=teacher_model(config),
        source=FixedExamples(examples or make_examples()),
    )
    backend.train(stage, Silent())
    return stage


def test_a_stage_leaves_a_student_that_transformers_loads_and_a_line_of_metrics_a_step(backend, tmp_path, folders):
    stage = train(backend, tmp_path, recipe(folders))
    student = AutoModelForCausalLM.from_pretrained(stage.folder.student)
    assert student.dtype == torch.float32
    assert AutoTokenizer.from_pretrained(stage.folder.student).get_vocab()
    lines = metrics_of(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(line.keys() >= METRICS for line in lines)


def test_training_again_leaves_the_same_student(backend, tmp_path, folders):
    for name in ("one", "two"):
        train(backend, tmp_path / name, recipe(folders))
    ours, theirs = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    before = load_model(ModelConfig(path=str(folders / "student"))).state_dict()
    assert any(not torch.equal(ours[name], before[name]) for name in ours)


def test_problems_of_weight_zero_change_nothing(backend, tmp_path, folders):
    examples = make_examples()
    assert [example.unit_mean_weight for example in examples].count(0.0) == 2
    other = [
        example
        if example.unit_mean_weight
        else dataclasses.replace(example, completion_ids=(77,) * 9, teacher_prompt_ids=(5,))
        for example in examples
    ]
    train(backend, tmp_path / "one", recipe(folders), examples=examples)
    train(backend, tmp_path / "other", recipe(folders), examples=other)
    ours, theirs = weights_of(tmp_path / "one"), weights_of(tmp_path / "other")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_loss_falls(backend, tmp_path, folders):
    stages = [{"divergence": "forward_kl", "num_steps": 30}]
    config = recipe(folders, stages=stages, **{"training.batch_size": 12, "training.learning_rate": 3e-3})
    train(backend, tmp_path, config)
    losses = [line["loss"] for line in metrics_of(tmp_path)]
    assert losses[0] > 0
    assert losses[-1] < 0.5 * losses[0]


def test_the_frozen_teacher_and_the_students_folder_stay_as_they_were(backend, tmp_path, folders):
    before = {file: file.read_bytes() for file in folders.rglob("*") if file.is_file()}
    train(backend, tmp_path, recipe(folders))
    assert {file: file.read_bytes() for file in folders.rglob("*") if file.is_file()} == before


def test_a_backend_loads_the_models_and_says_what_they_lack(backend, tmp_path, folders):
    config = recipe(folders, **{"teacher.path": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match="nowhere: is not a folder"):
        train(backend, tmp_path / "run", config)
    assert not RunFolder(tmp_path / "run").metrics.exists()


@pytest.mark.parametrize("who", ["student", "teacher"])
def test_native_refuses_a_head_that_its_numbers_give_away_before_the_first_step(tmp_path, folders, who):
    """ModernBERT's decoder has a dense layer between trunk and projection, which its configuration does not tell."""
    torch.manual_seed(0)
    settings = ModernBertDecoderConfig(
        vocab_size=264, hidden_size=32, num_hidden_layers=2, intermediate_size=48, num_attention_heads=4,
        eos_token_id=0, bos_token_id=0, cls_token_id=0, sep_token_id=0, pad_token_id=0,
    )  # fmt: skip
    ModernBertDecoderForCausalLM(settings).save_pretrained(tmp_path / "odd")
    byte_tokenizer(chat=False).save_pretrained(tmp_path / "odd")
    with pytest.raises(ConfigError, match=f"{who}: .*transforms its logits"):
        train(
            make_backend(Choice("native")), tmp_path / "run", recipe(folders, **{f"{who}.path": str(tmp_path / "odd")})
        )
    assert not RunFolder(tmp_path / "run").metrics.exists()


def test_a_check_reads_no_weights_and_finds_nothing_against_ordinary_models(backend, tmp_path):
    for family in ("gpt2", "llama", "qwen2", "neox"):
        folder = write_model(tmp_path / family, family, chat=False)
        (folder / "model.safetensors").write_bytes(b"")
        assert backend.check(make_config(**{"student.path": str(folder)})) == []


class TwoLayerHeadConfig(LlamaConfig):
    model_type = "two_layer_head"


class TwoLayerHead(LlamaForCausalLM):
    """Transforms its states before the projection, which no weight of a head can say."""

    config_class = TwoLayerHeadConfig

    def __init__(self, config):
        super().__init__(config)
        size = config.hidden_size
        self.lm_head = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, config.vocab_size))


def test_native_names_a_head_that_it_cannot_read_before_anything_runs(tmp_path):
    AutoConfig.register("two_layer_head", TwoLayerHeadConfig, exist_ok=True)
    AutoModelForCausalLM.register(TwoLayerHeadConfig, TwoLayerHead, exist_ok=True)
    folder = write_model(tmp_path / "odd", "llama", chat=False)
    settings = LlamaConfig.from_pretrained(folder).to_dict() | {"model_type": "two_layer_head"}
    TwoLayerHeadConfig(**settings).save_pretrained(folder)
    (fault,) = make_backend(Choice("native")).check(make_config(**{"student.path": str(folder)}))
    assert fault.startswith("student: head_of: the output head must be a plain nn.Linear, got Sequential")


def test_native_names_models_whose_attention_ranks_cannot_share(tmp_path, folders):
    config = recipe(folders, **{"parallel.sequence_parallel": 3})
    assert make_backend(Choice("native")).check(config) == [
        f"parallel.sequence_parallel must divide the {who}'s 4 attention heads, got 3."
        for who in ("student", "teacher")
    ]
    assert make_backend(Choice("native")).check(recipe(folders, **{"parallel.sequence_parallel": 2})) == []


def test_native_takes_no_parameters():
    with pytest.raises(TypeError, match="takes no arguments"):
        make_backend(Choice("native", {"gpus": 8}))


def test_a_backend_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(
        ConfigError, match=r"training.backend must be one of native, transformers, trl, verl, got 'deepspeed'"
    ):
        make_backend(Choice("deepspeed"))
