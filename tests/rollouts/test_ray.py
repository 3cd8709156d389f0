"""Engines in the workers of a Ray cluster: the same completions, whoever samples them and whoever dies."""

from __future__ import annotations

import signal

import psutil
import pytest
from engines_setup import begin_ray
from tiny_models import write_model

from paced.rollouts.engine import make_engine
from paced.rollouts.ray_data import RayEngine
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.schema import Choice
from paced.run.seeds import sample_keys

PROMPTS = [tuple(range(40, 41 + row % 17)) for row in range(96)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "llama", "llama", chat=False)


def build(name, folder, **parameters):
    return make_engine(Choice(name, parameters), ModelConfig(path=str(folder)))


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(300)
def test_a_worker_that_is_killed_costs_nothing(folder):
    begin_ray()
    names = [str(row) for row in range(len(PROMPTS))]
    keys = sample_keys(run_seed=1, stage=1, problem_ids=names, num_samples=4)
    sampling = SamplingConfig(max_new_tokens=6)
    engine = build("ray", folder, max_rows=16, num_engines=2)
    try:
        sampled = engine.sample(PROMPTS, keys, sampling)
        rows = [next(sampled)]
        workers = [one for one in psutil.Process().children(recursive=True) if "ray::MapWorker" in str(one.cmdline())]
        assert len(workers) == 2
        workers[0].send_signal(signal.SIGKILL)
        rows += sampled
    finally:
        engine.close()
    assert sorted(row for row, _ in rows) == list(range(len(PROMPTS)))
    assert dict(rows) == dict(build("hf", folder).sample(PROMPTS, keys, sampling))


def test_workers_cannot_be_given_a_module_of_this_process(folder):
    with pytest.raises(ValueError, match="must be a folder that every worker can read"):
        build("ray", folder).update(object())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"engine": "ray"}, "got 'ray' itself"),
        ({"num_engines": 0}, "num_engines must be"),
        ({"max_rows": 0}, "hf: max_rows must be"),
        ({"prompts_at_once": 0}, "prompts_at_once must be"),
    ],
)
def test_parameters_are_refused_before_a_cluster_is_asked_for(parameters, message, folder):
    with pytest.raises(ValueError, match=message):
        build("ray", folder, **parameters)


def test_the_engine_of_the_workers_says_what_is_the_same_again(folder):
    engine, inner = build("ray", folder, max_rows=16), build("hf", folder, max_rows=16)
    assert isinstance(engine, RayEngine)
    assert engine.batch_rows == inner.batch_rows == 16
    assert engine.context_tokens == inner.context_tokens
    assert inner.reproducibility in engine.reproducibility
    assert ModelConfig(path=str(folder)) == engine.model
