"""TRL as it was read: each private function that the adapter overrides, rebinds or relies on, by the hash of its code.

When one fails, read that function anew beside ``paced/train/trl_trainer.py``; the other tests of this folder say
whether the numbers are still right; then its hash and, if need be, the pin can move.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
import tomllib
from pathlib import Path

import pytest
from trl.kernels.chunked_divergence import ChunkedDivergenceFunction
from trl.trainer.distillation_trainer import DistillationTrainer, _chunked_divergence_loss
from trl.trainer.utils import pad, shuffle_sequence_dict, split_tensor_dict

from paced.train.trl_stage import TRLStageTrainer
from paced.train.trl_trainer import WeightedTRLTrainer
from paced.train.trl_version import PIN

READ = {
    DistillationTrainer._set_signature_columns_if_needed: "2732a065e5d9",
    DistillationTrainer._tokenize_prompts: "131d966f24b5",
    DistillationTrainer._generate_single_turn: "f6623908f356",
    DistillationTrainer._generate: "04d55af097a2",
    DistillationTrainer._generate_and_score_completions: "debc3be9eb94",
    DistillationTrainer._prepare_inputs: "d2df24f5026d",
    DistillationTrainer.compute_loss: "4d284fd0e27e",
    DistillationTrainer._compute_loss: "ad771055a267",
    DistillationTrainer._get_last_hidden_state: "5a98607c6937",
    DistillationTrainer.training_step: "7898429a4570",
    _chunked_divergence_loss: "36571f44022c",
    ChunkedDivergenceFunction.forward: "945d2dcb09f2",
    pad: "7464f7247538",
    shuffle_sequence_dict: "7d5325581be6",
    split_tensor_dict: "d3852040537b",
}
"""Function -> hash of its code in TRL 1.16.0."""


def code_hash(function):
    """The same for any layout, comment and docstring."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


@pytest.mark.parametrize("function", READ, ids=lambda function: function.__qualname__)
def test_a_function_of_trl_is_the_one_that_was_read(function):
    ours = code_hash(function)
    assert ours == READ[function], (
        f"trl's {function.__qualname__} has changed (hash {ours}): read it beside paced/train/trl_trainer.py"
    )


def test_a_hash_sees_code_and_nothing_else():
    def one(a):
        """A docstring."""
        return a + 1  # and a comment

    plain = one

    def one(a):
        return a + 1

    same = one

    def one(a):
        return a + 2

    assert code_hash(plain) == code_hash(same) != code_hash(one)


@pytest.mark.parametrize("adapter", [WeightedTRLTrainer, TRLStageTrainer])
def test_every_method_of_trl_that_is_overridden_was_read(adapter):
    theirs = {name for name in vars(DistillationTrainer) if not name.startswith("__")}
    overridden = vars(adapter).keys() & theirs
    assert overridden
    assert overridden <= {function.__name__ for function in READ}


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (DistillationTrainer._compute_loss, "_chunked_divergence_loss"),
        (_chunked_divergence_loss, "ChunkedDivergenceFunction"),
    ],
    ids=["trainer", "loss"],
)
def test_what_is_rebound_is_a_name_of_the_module_that_the_function_reads(function, name):
    assert name in function.__code__.co_names
    assert name in function.__globals__
    assert function.__closure__ is None


def test_the_pin_is_that_of_the_packaging():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert PIN in extras["trl"]
    assert PIN in extras["test"]
