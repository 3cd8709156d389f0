"""Rollouts: the model's own distribution, and noise that batching cannot change."""

from __future__ import annotations

import json

import numpy as np
import oracles_sampling as oracle
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tiny_models import write_model
from tolerances import F32, MC_SE
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from paced.models.loading import load_tokenizer
from paced.models.tokens import absent_ids
from paced.rollouts import hf
from paced.rollouts.causal_calls import CausalCalls
from paced.rollouts.hf import HfEngine, choose_tokens, sample_completions
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.seeds import sample_key, sample_keys, splitmix64, uniforms

VOCABULARY = 23
ENDS = (1, 5)


def qwen3():
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=64,
            tie_word_embeddings=False,
            initializer_range=0.6,
            pad_token_id=0,
            eos_token_id=1,
        )
    )


def llama():
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=1,
            max_position_embeddings=64,
            initializer_range=0.6,
        )
    )


def gpt2():
    """Learned absolute positions and dropout: wrong position ids or training mode would show."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=64,
            initializer_range=0.4,
            bos_token_id=None,
            eos_token_id=1,
        )
    )


@pytest.fixture(scope="module", params=[qwen3, llama, gpt2], ids=lambda make: make.__name__)
def model(request):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return request.param().eval()


@pytest.fixture(scope="module")
def prompts():
    numbers = np.random.default_rng(5)
    return [numbers.integers(2, VOCABULARY, size=length).tolist() for length in [4, 9, 1, 6, 4, 12, 2, 9, 5, 7]]


def keys_for(prompts, num_samples=6, seed=1):
    ids = [f"p{index}" for index in range(len(prompts))]
    return sample_keys(run_seed=seed, stage=1, problem_ids=ids, num_samples=num_samples)


def draw(model, prompts, keys, **changes):
    settings = {
        "max_new_tokens": 9,
        "sampling_temperature": 1.0,
        "eos_token_id": ENDS,
        "pad_token_id": 0,
        "max_rows": 100,
    } | changes
    return sample_completions(model, prompts=prompts, keys=keys, **settings)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 0.95), (1.3, 0.5), (0.0, 1.0)])
def test_completions_equal_those_of_a_loop_without_batch_padding_or_cache(model, prompts, temperature, top_p):
    """Where float32 rounding can move the noise over an edge of the CDF, either completion is right."""
    keys = keys_for(prompts, num_samples=3)
    batched = draw(model, prompts, keys, sampling_temperature=temperature, top_p=top_p)
    compared = 0
    for prompt, row, of_prompt in zip(prompts, keys, batched, strict=True):
        for key, completion in zip(row, of_prompt, strict=True):
            token_ids, finish_reason, margin = oracle.complete(
                model, prompt, int(key), max_new_tokens=9, temperature=temperature, top_p=top_p, ends=ENDS
            )
            if margin > F32:
                assert (completion.token_ids, completion.finish_reason) == (token_ids, finish_reason)
                compared += 1
    assert compared >= 28  # of 30


@pytest.mark.parametrize("max_rows", [1, 4, 6, 25, 10_000])
def test_completions_do_not_depend_on_the_number_of_rows(model, prompts, max_rows):
    keys = keys_for(prompts)
    assert draw(model, prompts, keys, max_rows=max_rows) == draw(model, prompts, keys)


@pytest.mark.parametrize("compact_below", [0.0, 1.1], ids=["never-dropped", "dropped-at-once"])
def test_completions_do_not_depend_on_dropping_ended_rows(model, prompts, monkeypatch, compact_below):
    keys = keys_for(prompts)
    usual = draw(model, prompts, keys)
    monkeypatch.setattr(hf, "COMPACT_BELOW", compact_below)
    assert draw(model, prompts, keys) == usual


def test_completions_of_a_subset_in_another_order_are_the_same(model, prompts):
    keys = keys_for(prompts)
    usual = draw(model, prompts, keys)
    chosen = [7, 0, 5]
    assert draw(model, [prompts[index] for index in chosen], keys[chosen]) == [usual[index] for index in chosen]


def test_topping_up_adds_samples_and_changes_none(model, prompts):
    few, many = draw(model, prompts, keys_for(prompts, 2)), draw(model, prompts, keys_for(prompts, 6))
    assert [row[:2] for row in many] == few


def test_another_seed_gives_other_completions(model, prompts):
    assert draw(model, prompts, keys_for(prompts)) != draw(model, prompts, keys_for(prompts, seed=2))


@pytest.mark.slow
def test_the_distribution_is_the_models(model):
    """Chi-square of 40,000 two-token completions against the exact joint probabilities."""
    prompt, num_samples = [4, 9, 13], 40_000
    sampled = draw(model, [prompt], keys_for([prompt], num_samples), max_new_tokens=2, eos_token_id=None)[0]
    with torch.no_grad():
        first = model(input_ids=torch.tensor([prompt])).logits[0, -1].double().softmax(-1)
        longer = torch.tensor([[*prompt, token] for token in range(VOCABULARY)])
        joint = first[:, None] * model(input_ids=longer).logits[:, -1].double().softmax(-1)
    expected = joint.flatten().numpy() * num_samples
    codes = [completion.token_ids[0] * VOCABULARY + completion.token_ids[1] for completion in sampled]
    counts = np.bincount(codes, minlength=VOCABULARY**2)
    common = expected >= 5
    observed = np.append(counts[common], counts[~common].sum())
    result = stats.chisquare(observed, np.append(expected[common], expected[~common].sum()), sum_check=False)
    assert result.pvalue > 1e-4
    assert stats.chisquare(observed, np.roll(np.append(expected[common], expected[~common].sum()), 1)).pvalue < 1e-9


def test_left_padded_logits_equal_unpadded_ones(model, prompts):
    """Logits, not tokens: a wrong mask can keep the most probable token and still be wrong."""
    calls = CausalCalls(model)
    with torch.no_grad():
        padded = calls.prefill(*hf._pad_left(prompts, 0), 1, 4)
        second = calls.step(torch.full((len(prompts),), 7))
        for row, prompt in enumerate(prompts):
            alone = model(input_ids=torch.tensor([[*prompt, 7]]), use_cache=False).logits[0]
            for got, expected in ((padded[row], alone[-2]), (second[row], alone[-1])):
                torch.testing.assert_close(got, expected, rtol=F32, atol=F32 * float(expected.abs().max()))


def test_greedy_equals_generate(model, prompts):
    keys = keys_for(prompts, num_samples=1)
    ours = draw(model, prompts, keys, sampling_temperature=0.0)
    for prompt, (completion,) in zip(prompts, ours, strict=True):
        ids = torch.tensor([prompt])
        theirs = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=9,
            eos_token_id=list(ENDS),
            pad_token_id=0,
        )
        assert tuple(theirs[0, len(prompt) :].tolist()) == completion.token_ids


def test_padding_rows_of_the_head_are_never_sampled(model, prompts):
    """As if the head had no such rows: the other tokens share the mass in the same proportions."""
    keys = sample_keys(run_seed=1, stage="x", problem_ids=["a", "b"], num_samples=200)
    settings = {
        "max_new_tokens": 1, "sampling_temperature": 1.0, "eos_token_id": None, "pad_token_id": 0, "max_rows": 400,
    }  # fmt: skip
    few = [list(prompt) for prompt in prompts[:2]]
    every = sample_completions(model, prompts=few, keys=keys, **settings)
    known = sample_completions(model, prompts=few, keys=keys, vocab_size=12, **settings)
    assert max(one.token_ids[0] for row in every for one in row) >= 12
    assert max(one.token_ids[0] for row in known for one in row) < 12
    with torch.no_grad():
        logits = model(torch.tensor([few[0]])).logits[0, -1, :12]
    share = torch.softmax(logits.double(), -1).max().item()
    top = int(logits.argmax())
    found = sum(one.token_ids[0] == top for one in known[0]) / 200
    assert abs(found - share) < 5 * (share * (1 - share) / 200) ** 0.5 + 1e-9


def test_finish_reason_says_who_ended_the_completion(model, prompts):
    reasons = set()
    for of_prompt in draw(model, prompts, keys_for(prompts)):
        for completion in of_prompt:
            ended = completion.token_ids[-1] in ENDS
            assert completion.finish_reason == ("stop" if ended else "length")
            assert ended or len(completion.token_ids) == 9
            assert not set(completion.token_ids[:-1]) & set(ENDS)
            reasons.add(completion.finish_reason)
    assert reasons == {"stop", "length"}


def test_long_completions_grow_past_the_first_buffer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = llama()
    (row,) = draw(model, [[3, 4]], keys_for([[3, 4]], 2), max_new_tokens=600, eos_token_id=None)
    assert [len(completion.token_ids) for completion in row] == [600, 600]
    assert len(set(row[0].token_ids[300:])) > 1


def test_training_mode_is_left_as_it_was_and_dropout_is_off(prompts):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = gpt2().train()
    keys = keys_for(prompts)
    first = draw(model, prompts, keys)
    assert model.training
    assert first == draw(model.eval(), prompts, keys)


@given(
    weights=st.lists(st.integers(0, 6), min_size=2, max_size=12).filter(any),
    noise=st.floats(0, 1, exclude_min=True, exclude_max=True),
    top_p=st.sampled_from([0.05, 0.3, 0.5, 0.9, 0.95, 1.0]),
    temperature=st.sampled_from([0.6, 1.0, 2.0]),
)
def test_choice_equals_the_slow_oracle_within_rounding(weights, noise, top_p, temperature):
    """Ties and impossible tokens included; at an edge of the CDF either neighbour is right."""
    logits = torch.tensor([weights], dtype=torch.float64).log()
    token = int(choose_tokens(logits, np.array([noise]), sampling_temperature=temperature, top_p=top_p))
    assert weights[token] > 0
    values = logits[0].tolist()
    nudged = {min(1.0, max(0.0, noise + shift)) for shift in (-1e-12, 0.0, 1e-12)}
    thresholds = {top_p - 1e-12, top_p, min(1.0, top_p + 1e-12)}
    assert token in {oracle.choose(values, u, temperature, p) for u in nudged for p in thresholds}


def test_top_p_keeps_the_smallest_set_that_holds_the_mass():
    logits = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    noise = (np.arange(1000) + 0.5) / 1000
    kept = {
        top_p: set(choose_tokens(logits.expand(1000, -1), noise, sampling_temperature=1.0, top_p=top_p).tolist())
        for top_p in (0.01, 0.4, 0.6, 0.8, 0.9, 1.0)
    }
    assert kept == {0.01: {0}, 0.4: {0}, 0.6: {0, 1}, 0.8: {0, 1, 2}, 0.9: {0, 1, 2, 3}, 1.0: {0, 1, 2, 3}}


def test_choice_does_not_depend_on_blocks_of_rows(monkeypatch):
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 31)))
    noise = uniforms(np.arange(50), 0)
    usual = choose_tokens(logits, noise, sampling_temperature=1.0, top_p=0.9)
    monkeypatch.setattr(hf, "CDF_ELEMENTS", 100)
    assert torch.equal(choose_tokens(logits, noise, sampling_temperature=1.0, top_p=0.9), usual)


def test_logits_that_are_not_numbers_are_refused():
    for bad in (float("nan"), float("inf")):
        with pytest.raises(FloatingPointError, match="logits must be"):
            choose_tokens(torch.tensor([[0.0, bad]]), np.array([0.5]), sampling_temperature=1.0)


def test_impossible_tokens_are_never_chosen_at_the_ends_of_the_unit_interval():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).expand(2, -1)
    noise = np.array([2.0**-53, 1 - 2.0**-53])
    assert choose_tokens(logits, noise, sampling_temperature=1.0).tolist() == [1, 3]


@given(key=st.integers(0, 2**64 - 1), position=st.integers(0, 100_000))
def test_noise_equals_the_published_mixer(key, position):
    assert int(splitmix64(key)) == oracle.splitmix64(key)
    assert float(uniforms(np.uint64(key), position)) == oracle.uniform(key, position)


def test_noise_is_uniform_over_keys_and_over_positions():
    keys = sample_keys(run_seed=3, stage=2, problem_ids=[str(index) for index in range(400)], num_samples=25)
    assert len(np.unique(keys)) == keys.size
    across_keys = uniforms(keys.ravel(), 4)
    across_positions = uniforms(keys[0, 0], np.arange(10_000))
    for sample in (across_keys, across_positions):
        assert stats.kstest(sample, "uniform").pvalue > 1e-4
        lagged = np.corrcoef(sample[1:], sample[:-1])[0, 1]
        assert abs(lagged) < MC_SE / np.sqrt(len(sample))


def test_a_key_depends_on_seed_stage_problem_and_sample():
    base = sample_key(1, 1, "a", 0)
    assert base == sample_key(1, "1", "a", 0)
    assert len({base, sample_key(2, 1, "a", 0), sample_key(1, 2, "a", 0), sample_key(1, 1, "b", 0)}) == 4
    assert sample_key(1, 1, "a", 1) != base
    assert sample_key(1, 1, "a", 7) == int(sample_keys(run_seed=1, stage=1, problem_ids=["a"], num_samples=8)[0, 7])


def test_wrong_arguments_are_refused_in_one_sentence(prompts):
    with torch.random.fork_rng():
        model = llama()
    keys = keys_for(prompts)
    with pytest.raises(ValueError, match=r"keys must have shape \[10, K >= 1\], got \(9, 6\)"):
        draw(model, prompts, keys[:-1])
    with pytest.raises(ValueError, match="prompts must hold a token each, got 1 empty, the first at 9"):
        draw(model, [*prompts[:-1], []], keys)
    with pytest.raises(ValueError, match="top_p must be finite and > 0 and <= 1, got 0"):
        draw(model, prompts, keys, top_p=0.0)
    with pytest.raises(ValueError, match="sampling_temperature must be finite and >= 0"):
        draw(model, prompts, keys, sampling_temperature=-1.0)
    with pytest.raises(ValueError, match="num_samples must be >= 1"):
        sample_keys(run_seed=1, stage=1, problem_ids=["a"], num_samples=0)


@pytest.mark.filterwarnings("ignore")
def test_a_model_without_a_repeatable_cache_is_refused():
    model = MambaForCausalLM(MambaConfig(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1))
    with pytest.raises(TypeError, match="must keep a key-value cache"):
        draw(model, [[3, 4]], keys_for([[3, 4]]))


def test_token_ids_with_gaps_are_counted_by_the_largest():
    """len(tokenizer) would take known tokens for padding rows."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from paced.models.tokens import vocabulary_size

    core = Tokenizer(models.WordLevel({"a": 0, "b": 7}, unk_token="a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    assert len(tokenizer) == 2
    assert vocabulary_size(tokenizer) == 8


def test_an_id_that_no_token_has_is_never_sampled(tmp_path):
    """The last token has an id behind a gap: the ids between are rows of the head below the largest id."""
    folder = write_model(tmp_path, "gpt2", chat=False, vocab_size=310)
    rules = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = rules["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.get)] = 300
    (folder / "tokenizer.json").write_text(json.dumps(rules))
    config = ModelConfig(path=str(folder))
    gap = absent_ids(load_tokenizer(config))
    assert gap == tuple(range(259, 300))
    keys = sample_keys(run_seed=1, stage=1, problem_ids=["a", "b"], num_samples=64)
    sampling = SamplingConfig(max_new_tokens=8)
    sampled = HfEngine(config).sample([(40, 41), (42,)], keys, sampling)
    ids = {token for _, completions in sampled for completion in completions for token in completion.token_ids}
    assert not ids & set(gap)
    assert max(ids) <= 300
