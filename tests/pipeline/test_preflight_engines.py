"""A recipe that asks of an engine what it cannot do is refused before anything is sampled, without any server."""

from __future__ import annotations

import pytest

from paced.pipeline.preflight_engines import engine_faults
from paced.run.configfile import apply_overrides, build_config

SERVER = {"name": "server", "parameters": {"base_urls": ["http://127.0.0.1:9"]}}
TEXT = {"name": "server", "parameters": {"base_urls": ["http://127.0.0.1:9"], "dialect": "text"}}
TWO_STAGES = [{"share": 0.5}, {"share": 0.5}]
HELD_OUT = [{"name": "a", "path": "a.jsonl"}]


def faults_of(**changes):
    recipe = {"name": "a", "student": {"path": "student"}, "problems": {"path": "problems.jsonl"}}
    return engine_faults(build_config(apply_overrides(recipe, changes, "test")))


def test_a_server_may_sample_the_first_student_and_the_teacher():
    assert faults_of(**{"rollouts.engine": SERVER, "references.engine": SERVER, "evaluation.sets": HELD_OUT}) == []


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"stages": TWO_STAGES}, "a second stage"),
        ({"stages": [{"recompute_every": 5}]}, "recompute_every"),
        ({"stages": [{"along": "rollout", "fresh_rollouts": True}]}, "fresh_rollouts"),
        ({"evaluation.rate_training": True}, "evaluation.rate_training"),
    ],
)
def test_rollouts_of_a_trained_student_are_refused_from_an_engine_that_keeps_its_weights(changes, cause):
    (sentence,) = faults_of(**{"rollouts.engine": SERVER}, **changes)
    assert sentence.startswith("rollouts.engine is 'server', which keeps the weights")
    assert f"because of {cause}." in sentence
    assert faults_of(**changes) == []


def test_evaluation_of_the_trained_student_is_refused_there_as_well():
    (sentence,) = faults_of(**{"evaluation.sampling.engine": SERVER, "evaluation.sets": HELD_OUT})
    assert sentence.startswith("evaluation.sampling.engine is 'server'")
    assert faults_of(**{"evaluation.sampling.engine": SERVER}) == []


def test_training_along_text_without_its_tokens_is_refused_and_rating_is_not():
    assert faults_of(**{"rollouts.engine": TEXT}) == []
    (along_rollouts,) = faults_of(**{"rollouts.engine": TEXT, "stages": [{"along": "rollout"}]})
    (along_references,) = faults_of(**{"references.engine": TEXT})
    for section, sentence in {"rollouts": along_rollouts, "references": along_references}.items():
        assert f"training along {section} needs the tokens that were sampled" in sentence


def test_a_choice_that_does_not_fit_is_left_to_its_own_sentence():
    assert faults_of(**{"rollouts.engine": "server", "stages": TWO_STAGES}) == []
