"""What every engine promises, held over the dict of engines on small real models."""

from __future__ import annotations

import json
import math
from itertools import chain

import numpy as np
import pytest
import torch
from engines_setup import BUILDERS
from scipy.stats import chisquare
from tiny_models import byte_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from paced.errors import ConfigError
from paced.models.loading import load_config, load_model
from paced.models.tokens import vocabulary_size
from paced.rollouts.engine import ENGINES, make_engine
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.schema import Choice
from paced.run.seeds import sample_keys

PROMPTS = [(40, 41, 42), (60,), (70, 71, 72, 73, 74), (80, 81), (90, 91, 92)]
SIZES = {
    "vocab_size": 264, "hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 96,
}  # fmt: skip
"""Heads of 32: vLLM has no kernel for smaller ones on CPUs."""
NUM_TOKENS = 260
"""Tokens of the tokenizer; the head has four rows more."""
IN_RAY = (pytest.mark.nightly, pytest.mark.xdist_group("ray"))
"""One cluster on a machine is enough. The whole suite takes six minutes in it; ``test_ray.py`` is in every run."""
OTHER_DEFAULTS = {"do_sample": True, "temperature": 0.1, "top_k": 1, "top_p": 0.2, "repetition_penalty": 9.0}
"""What a model's own generation config may ask for and no rollout may follow."""


def write_peaked(folder, *, seed: int = 0, defaults=None):
    """A llama folder whose distributions are far from uniform and whose padding rows have the largest logits."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    with torch.no_grad():
        model.lm_head.weight.normal_(0, 0.4)
        model.lm_head.weight[NUM_TOKENS:] = 0.0
        model.lm_head.weight[NUM_TOKENS, 0], model.lm_head.weight[NUM_TOKENS + 1, 0] = 1e4, -1e4
    model.generation_config.eos_token_id, model.generation_config.bos_token_id = 0, None
    model.save_pretrained(folder)
    byte_tokenizer(chat=False).save_pretrained(folder)
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | (defaults or {})))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_peaked(tmp_path_factory.mktemp("peaked"))


@pytest.fixture(params=[pytest.param(one, marks=IN_RAY) if one == "ray" else one for one in ENGINES])
def name(request):
    return request.param


def build(name, folder, **settings):
    return BUILDERS[name](folder, **settings)


def draw(engine, prompts=PROMPTS, *, num_samples=4, keys=None, **changes):
    """Completions of each prompt, in the order of the prompts; every row must come once."""
    keys = keys_of(len(prompts), num_samples) if keys is None else keys
    sampling = SamplingConfig(**({"max_new_tokens": 6} | changes))
    rows = list(engine.sample(prompts, keys, sampling))
    assert sorted(row for row, _ in rows) == list(range(len(prompts)))
    completions = dict(rows)
    return [completions[row] for row in range(len(prompts))]


def keys_of(count, num_samples):
    return sample_keys(run_seed=1, stage=1, problem_ids=[f"p{row}" for row in range(count)], num_samples=num_samples)


def probabilities_after(folder, prompt):
    """The model's own next-token distribution over the tokens that there are, in float64."""
    with torch.no_grad():
        logits = load_model(ModelConfig(path=str(folder)))(torch.tensor([list(prompt)])).logits[0, -1, :NUM_TOKENS]
    return torch.softmax(logits.double(), dim=-1).numpy()


def test_each_key_gets_one_completion_that_ended_or_is_as_long_as_allowed(name, folder):
    drawn = draw(build(name, folder), num_samples=30)
    assert [len(of_prompt) for of_prompt in drawn] == [30] * len(PROMPTS)
    completions = [completion for of_prompt in drawn for completion in of_prompt]
    for completion in completions:
        ended = completion.token_ids[-1] == 0
        assert completion.finish_reason == ("stop" if ended else "length")
        assert 0 not in completion.token_ids[:-1]
        assert ended or len(completion.token_ids) == 6
    assert {completion.finish_reason for completion in completions} == {"stop", "length"}
    assert len({completion.token_ids for completion in completions}) > 30


def test_every_engine_gives_the_texts_of_the_engine_in_this_process(name, folder):
    for changes in ({}, {"sampling_temperature": 0.6, "top_p": 0.9}):
        assert draw(build(name, folder), num_samples=20, **changes) == draw(
            build("hf", folder), num_samples=20, **changes
        )


def test_a_completion_belongs_to_its_prompt_and_key_and_not_to_its_batch(name, folder):
    engine, keys = build(name, folder), keys_of(len(PROMPTS), 4)
    together = draw(engine, keys=keys)
    order = [3, 0, 4, 2, 1]
    permuted = draw(engine, [PROMPTS[row] for row in order], keys=keys[order])
    assert permuted == [together[row] for row in order]
    alone = [draw(engine, [prompt], keys=keys[row : row + 1, 1:3])[0] for row, prompt in enumerate(PROMPTS)]
    assert alone == [of_prompt[1:3] for of_prompt in together]


def test_temperature_zero_takes_the_most_probable_token(name, folder):
    drawn = draw(build(name, folder), num_samples=1, sampling_temperature=0.0)
    for prompt, (completion,) in zip(PROMPTS, drawn, strict=True):
        for position, token in enumerate(completion.token_ids):
            assert token == probabilities_after(folder, (*prompt, *completion.token_ids[:position])).argmax()


def test_first_tokens_follow_the_models_softmax(name, folder):
    num_samples = 4000 if name == "hf" else 800  # a request each over HTTP
    drawn = draw(build(name, folder), PROMPTS[:3], num_samples=num_samples, max_new_tokens=1)
    for prompt, of_prompt in zip(PROMPTS, drawn, strict=False):
        expected = num_samples * probabilities_after(folder, prompt)
        counts = np.bincount([completion.token_ids[0] for completion in of_prompt], minlength=NUM_TOKENS)
        common = expected >= 5
        observed = [*counts[common], counts[~common].sum()]
        assert chisquare(observed, [*expected[common], expected[~common].sum()]).pvalue > 1e-4


def test_top_p_keeps_the_smallest_set_that_holds_the_mass(name, folder):
    drawn = draw(build(name, folder), PROMPTS[:2], num_samples=1000, max_new_tokens=1, top_p=0.6)
    for prompt, of_prompt in zip(PROMPTS, drawn, strict=False):
        p = probabilities_after(folder, prompt)
        order = np.argsort(-p, kind="stable")
        nucleus = order[: int(np.searchsorted(p[order].cumsum(), 0.6)) + 1]
        drawn_ids = {completion.token_ids[0] for completion in of_prompt}
        assert drawn_ids <= set(nucleus.tolist())
        assert len(drawn_ids) > len(nucleus) / 2


def test_nothing_is_inherited_from_a_models_generation_config(name, folder, tmp_path):
    other = write_peaked(tmp_path / "other", defaults=OTHER_DEFAULTS)
    assert json.loads((other / "generation_config.json").read_text())["top_k"] == 1
    assert draw(build(name, other)) == draw(build(name, folder))


def test_rows_of_the_head_that_no_token_has_are_never_chosen(name, folder):
    assert vocabulary_size(byte_tokenizer(chat=False)) == NUM_TOKENS
    for temperature in (0.0, 1.0):
        drawn = draw(build(name, folder), num_samples=50, sampling_temperature=temperature)
        assert max(max(one.token_ids) for of_prompt in drawn for one in of_prompt) < NUM_TOKENS


def test_a_completion_also_ends_with_the_recipes_own_token(name, folder):
    end = byte_tokenizer(chat=False).encode("e", add_special_tokens=False)
    drawn = draw(build(name, folder), num_samples=100)
    ended = draw(build(name, folder, end_of_answer="e"), num_samples=100)
    cut = 0
    for plain, short in zip(chain(*drawn), chain(*ended), strict=True):
        if end[0] in plain.token_ids:
            cut += 1
            assert short.token_ids == plain.token_ids[: plain.token_ids.index(end[0]) + 1]
            assert short.finish_reason == "stop"
        else:
            assert short == plain
    assert cut


def test_after_an_update_the_new_weights_answer(name, folder, tmp_path):
    other = write_peaked(tmp_path / "other", seed=7)
    engine = build(name, folder)
    if not engine.takes_new_weights:
        with pytest.raises(ConfigError, match="cannot take new weights"):
            engine.update(other)
        return
    before = draw(engine)
    engine.update(other)
    assert draw(engine) == draw(build(name, other)) != before
    engine.update(folder)
    assert draw(engine) == before


def test_the_engine_in_this_process_follows_a_module_as_it_is_trained(folder):
    engine = build("hf", folder)
    before = draw(engine)
    student = load_model(ModelConfig(path=str(folder)))
    engine.update(student)
    assert draw(engine) == before
    with torch.no_grad():
        student.lm_head.weight[1:NUM_TOKENS] = student.lm_head.weight[1:NUM_TOKENS].flip(0)
    assert draw(engine) != before


def test_prompts_that_do_not_fit_are_refused_with_length_and_limit_before_any_is_sampled(name, folder):
    engine = build(name, folder)
    limit = engine.context_tokens
    assert limit == load_config(ModelConfig(path=str(folder))).max_position_embeddings
    fits, exceeds = (40,) * (limit - 6), (40,) * (limit - 5)
    assert len(draw(engine, [fits], num_samples=1)) == 1
    with pytest.raises(ValueError, match=rf"1 of 2 prompts .* prompt 1, {limit - 5:,} tokens and 6 new .* {limit:,}\."):
        draw(engine, [fits, exceeds], num_samples=1)


def test_an_engine_says_what_is_the_same_when_it_samples_again(name, folder):
    assert build(name, folder).reproducibility.endswith(".")


def test_rows_come_before_all_are_done(name, folder):
    """Completions can be kept while others are being made: a kill costs what was in flight."""
    engine = build(name, folder)
    first, _ = next(engine.sample(PROMPTS, keys_of(len(PROMPTS), 2), SamplingConfig(max_new_tokens=2)))
    assert first in range(len(PROMPTS))


def test_an_engine_loads_nothing_before_it_is_asked_and_may_be_closed_twice(name, tmp_path):
    engine = build(name, tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="is not a folder"):
        draw(engine)
    engine.close()
    engine.close()


def test_parameters_that_an_engine_does_not_have_are_refused(name, folder):
    with pytest.raises(TypeError, match="unheard_of"):
        make_engine(Choice(name, {"unheard_of": 1}), ModelConfig(path=str(folder)))


@pytest.mark.parametrize("max_rows", [0, -3, 1.5, True, "8", math.nan])
def test_the_rows_of_the_engine_in_this_process_are_an_integer_of_at_least_one(folder, max_rows):
    with pytest.raises(ValueError, match="max_rows must be an integer >= 1, got"):
        ENGINES["hf"](ModelConfig(path=str(folder)), max_rows=max_rows)


def test_an_engine_that_there_is_not_is_refused_with_those_there_are(folder):
    with pytest.raises(ConfigError, match=r"engine must be one of hf, .*got 'fh'"):
        make_engine(Choice("fh"), ModelConfig(path=str(folder)))
