"""The engine vllm: the texts of the engine hf, whoever is killed; new weights proved; nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from engines_setup import NOT_THERE, ROOT, VLLM_PYTHON, vllm_engine
from tiny_models import byte_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from paced.errors import ConfigError
from paced.models.loading import load_model
from paced.rollouts import engine as engine_module
from paced.rollouts import vllm as vllm_module
from paced.rollouts.engine import choose_engine, make_engine
from paced.rollouts.hf import choose_tokens
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.schema import Choice
from paced.run.seeds import sample_keys, uniforms

SIZES = {
    "vocab_size": 264, "hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 256, "initializer_range": 0.3,
}  # fmt: skip
PROMPTS = [list(range(40, 41 + row % 23)) for row in range(40)]
KEYS = sample_keys(run_seed=1, stage=1, problem_ids=[str(row) for row in range(len(PROMPTS))], num_samples=4)
SAMPLING = SamplingConfig(max_new_tokens=24)
LONG = SamplingConfig(max_new_tokens=200)
with_vllm = pytest.mark.skipif(not VLLM_PYTHON.exists(), reason=NOT_THERE)


def write(folder, *, seed=0, **changes):
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**SIZES | changes))
    model.generation_config.eos_token_id, model.generation_config.bos_token_id = 0, None
    model.save_pretrained(folder)
    byte_tokenizer(chat=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("models") / "untied")


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    return write(tmp_path_factory.mktemp("models") / "tied", tie_word_embeddings=True)


def by_hf(folder, sampling=SAMPLING, *, student=None):
    engine = make_engine(Choice("hf"), ModelConfig(path=str(folder)))
    if student is not None:
        engine.update(student)
    return dict(engine.sample(PROMPTS, KEYS, sampling))


def assert_same(theirs, ours, student):
    """Completions are equal, but where a uniform falls on an edge of the CDF: there rounding decides, for both."""
    assert theirs.keys() == ours.keys()
    for row in ours:
        for key, one, other in zip(KEYS[row], theirs[row], ours[row], strict=True):
            if one == other:
                continue
            pairs = zip(one.token_ids, other.token_ids, strict=False)
            place = next(place for place, (token, expected) in enumerate(pairs) if token != expected)
            with torch.no_grad():
                logits = student(torch.tensor([[*PROMPTS[row], *other.token_ids[:place]]])).logits[0, -1, :260]
            cdf = torch.softmax(logits.double(), dim=-1).cumsum(dim=-1)
            assert float((cdf - float(uniforms(key, place))).abs().min()) < 1e-5


def own(folder, **parameters):
    """An engine of this test's own."""
    return make_engine(Choice("vllm", {"python": str(VLLM_PYTHON), **parameters}), ModelConfig(path=str(folder)))


@with_vllm
@pytest.mark.parametrize("changes", [{}, {"sampling_temperature": 0.6, "top_p": 0.95}, {"sampling_temperature": 0.0}])
def test_vllm_gives_the_texts_of_the_hf_sampler(folder, changes):
    sampling = SamplingConfig(max_new_tokens=24, **changes)
    assert dict(vllm_engine(str(folder)).sample(PROMPTS, KEYS, sampling)) == by_hf(folder, sampling)


@with_vllm
def test_a_process_killed_in_the_middle_gives_its_prompts_to_the_other(folder):
    engine = own(folder, num_engines=2)
    try:
        rows = engine.sample(PROMPTS, KEYS, LONG)
        taken = [next(rows)]
        os.kill(engine._pool[0].process.pid, signal.SIGKILL)
        taken += rows
        assert dict(taken) == by_hf(folder, LONG)
        assert len(taken) == len(PROMPTS)
        assert dict(engine.sample(PROMPTS, KEYS, SAMPLING)) == by_hf(folder)
    finally:
        engine.close()


@with_vllm
def test_a_second_call_in_the_middle_of_one_is_refused_and_a_call_given_up_leaves_nothing_running(folder):
    engine = own(folder)
    try:
        rows = engine.sample(PROMPTS, KEYS, LONG)
        next(rows)
        worker, log = engine._pool[0].process.pid, Path(engine._pool[0].log.name)
        with pytest.raises(RuntimeError, match=r"vllm: sample must wait until the rows of an earlier call"):
            next(engine.sample(PROMPTS, KEYS, SAMPLING))
        with pytest.raises(RuntimeError, match=r"vllm: update must wait until"):
            engine.update(folder)
        rows.close()
        assert not psutil.pid_exists(worker)
        assert not log.exists()
        assert dict(engine.sample(PROMPTS, KEYS, SAMPLING)) == by_hf(folder)
    finally:
        engine.close()


@with_vllm
def test_a_process_that_died_between_two_calls_is_told_and_not_waited_for(folder):
    engine = own(folder)
    try:
        assert dict(engine.sample(PROMPTS, KEYS, SAMPLING)) == by_hf(folder)
        os.kill(engine._pool[0].process.pid, signal.SIGKILL)
        engine._pool[0].process.wait()
        with pytest.raises(RuntimeError, match=r"has ended\. It was killed by SIGKILL\. Its log"):
            next(engine.sample(PROMPTS, KEYS, SAMPLING))
        assert dict(engine.sample(PROMPTS, KEYS, SAMPLING)) == by_hf(folder)
        os.kill(engine._pool[0].process.pid, signal.SIGKILL)
        engine._pool[0].process.wait()
        with pytest.raises(RuntimeError, match=r"ended when asked for weights\. It was killed by SIGKILL"):
            engine.update(folder)
    finally:
        engine.close()


@with_vllm
def test_when_the_last_process_dies_the_error_says_where_its_log_is_and_the_next_call_starts_another(folder):
    engine = own(folder)
    try:
        rows = engine.sample(PROMPTS, KEYS, LONG)
        next(rows)
        os.kill(engine._pool[0].process.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match=r"vllm: the last of 1 processes has ended\. .* Its log: .*\.log"):
            list(rows)
        assert dict(engine.sample(PROMPTS, KEYS, SAMPLING)) == by_hf(folder)
    finally:
        engine.close()


@with_vllm
@pytest.mark.parametrize("name", ["folder", "tied"])
def test_after_a_stage_the_trained_students_own_texts_come_also_where_head_and_embedding_are_one(
    name, request, tmp_path
):
    before = request.getfixturevalue(name)
    student = load_model(ModelConfig(path=str(before)))
    engine = own(before)
    try:
        first = by_hf(before)
        assert_same(dict(engine.sample(PROMPTS, KEYS, SAMPLING)), first, student)
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        engine.update(student)
        trained = by_hf(before, student=student)
        assert trained != first
        assert_same(dict(engine.sample(PROMPTS, KEYS, SAMPLING)), trained, student)
        engine.update(before)  # back again, from a folder: no key or value of the other weights is left
        again = load_model(ModelConfig(path=str(before)))
        assert_same(dict(engine.sample(PROMPTS, KEYS, SAMPLING)), first, again)
    finally:
        engine.close()


@with_vllm
def test_new_weights_that_vllm_did_not_take_are_refused(tied, tmp_path, monkeypatch):
    """What a tied model would get if it were loaded again in place: the new trunk with the old head."""
    other = write(tmp_path / "other", seed=9, tie_word_embeddings=True)
    engine = own(tied)
    try:
        next(engine.sample(PROMPTS, KEYS, SAMPLING))
        engine._start()
        untied = load_model(ModelConfig(path=str(other))).config
        untied.tie_word_embeddings = False
        monkeypatch.setattr(vllm_module, "load_config", lambda model: untied)
        engine.update(other)
        with pytest.raises(RuntimeError, match=r"new weights must give the student's log-probs within 0\.001 nats"):
            next(engine.sample(PROMPTS, KEYS, SAMPLING))
    finally:
        engine.close()


@with_vllm
def test_a_head_that_vllm_cannot_compute_on_cpus_is_refused_before_the_first_token(tmp_path):
    engine = own(write(tmp_path / "small", num_attention_heads=4))
    with pytest.raises(ConfigError, match=r"vllm: .*attention heads of 32, 64, .* have 16\. Choose the engine hf"):
        next(engine.sample(PROMPTS, KEYS, SAMPLING))


@with_vllm
def test_the_second_interface_takes_the_tokens_of_our_noise():
    probe = Path(__file__).with_name("vllm_probe.py")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([str(VLLM_PYTHON), str(probe)], capture_output=True, text=True, env=environment, timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    logits = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))[:, :12]
    logits[0, 4] = -torch.inf
    # Row 0 is slot 2, greedy; row 2 is slot 0: the token fed at place 2 of a prompt of 3, so its completion's first.
    first = choose_tokens(logits[2:], uniforms(np.array([11], dtype=np.uint64), 0), sampling_temperature=1.0)
    assert told["took"] == [True, True, False]
    assert told["left"] == [[int(logits[0].argmax())], list(range(16)), first.tolist()]
    assert told["again"] == [1, 16, 16]
    assert [sentence.partition(":")[0] for sentence in told["refused"]] == ["paced", "paced"]


@with_vllm
def test_no_process_outlives_a_parent_that_is_killed(folder):
    code = (
        "import sys; from paced.rollouts.engine import make_engine; from paced.run.schema import Choice\n"
        "from paced.run.config import ModelConfig, SamplingConfig; import numpy as np\n"
        f"model, choice = ModelConfig(path={str(folder)!r}), Choice('vllm', {{'python': {str(VLLM_PYTHON)!r}}})\n"
        "engine = make_engine(choice, model)\n"
        "keys = np.arange(400, dtype=np.uint64)[:, None]\n"
        "rows = engine.sample([[40]] * 400, keys, SamplingConfig(max_new_tokens=200))\n"
        "next(rows); print(engine._pool[0].process.pid, flush=True); list(rows)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        worker = int(parent.stdout.readline())
        assert psutil.pid_exists(worker)
        parent.kill()
    deadline = time.monotonic() + 60
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker still runs"
        time.sleep(0.1)


def test_an_interpreter_that_is_not_there_is_refused_with_what_to_run(folder, monkeypatch):
    monkeypatch.delenv("PACED_VLLM_PYTHON", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"vllm: needs an interpreter that has vLLM\. Run `make vllm`"):
        next(make_engine(Choice("vllm"), ModelConfig(path=str(folder))).sample(PROMPTS, KEYS, SAMPLING))
    with pytest.raises(ConfigError, match=r"the interpreter must be a program, got '/nowhere/python'"):
        next(
            make_engine(Choice("vllm", {"python": "/nowhere/python"}), ModelConfig(path=str(folder))).sample(
                PROMPTS, KEYS, SAMPLING
            )
        )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_engines": 0}, "num_engines must be"),
        ({"tensor_parallel": 0}, "tensor_parallel must be"),
        ({"gpu_memory_fraction": 0.0}, "gpu_memory_fraction must be"),
        ({"max_context_tokens": -1}, "max_context_tokens must be"),
    ],
)
def test_parameters_out_of_range_are_refused(folder, parameters, message):
    with pytest.raises(ValueError, match=message):
        make_engine(Choice("vllm", parameters), ModelConfig(path=str(folder)))


@pytest.mark.parametrize(
    ("there", "gpu", "tokens", "chosen"),
    [
        (True, False, 8, "hf"),
        (True, False, 64, "vllm"),
        (True, True, 8, "vllm"),
        (False, True, 4096, "hf"),
        (False, False, 4096, "hf"),
    ],
)
def test_auto_takes_vllm_where_it_is_and_pays(monkeypatch, there, gpu, tokens, chosen):
    monkeypatch.setattr(engine_module, "is_there", lambda: there)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    sampling = SamplingConfig(max_new_tokens=tokens, engine=Choice("auto"))
    assert choose_engine(sampling) == Choice(chosen)
    with pytest.raises(TypeError, match="auto takes no parameters, got max_rows"):
        choose_engine(SamplingConfig(engine=Choice("auto", {"max_rows": 3})))
    assert choose_engine(SamplingConfig(engine=Choice("server"))) == Choice("server")
