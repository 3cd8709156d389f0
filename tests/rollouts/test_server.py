"""The engine ``server`` against servers that fail in every way that a network has."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
import time

import psutil
import pytest
from server_stub import NUM_TOKENS, Stub, answer_of
from tiny_models import write_model
from tiny_run import begin, recipe

from paced.analysis.anatomy.command import measure_anatomy
from paced.analysis.snr.command import SnrSettings, measure_run
from paced.errors import ConfigError
from paced.pipeline.steps import rollout, take_problems
from paced.problems.prompts import Prompt
from paced.records import Rollout
from paced.rollouts.collect import collect_rollouts
from paced.rollouts.engine import make_engine
from paced.rollouts.missing import MissingCompletions
from paced.rollouts.noise import ARGUMENT, Draw
from paced.rollouts.server_dialects import DIALECTS, Terms
from paced.rollouts.server_http import Patience, Server
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.progress import Silent
from paced.run.schema import Choice
from paced.run.seeds import sample_keys
from paced.run.storage import read_records

KEY = "sk-7f3a9c-very-secret"
FAST = {"attempts": 6, "backoff_seconds": 0.01, "timeout_seconds": 5.0, "concurrency": 8}
LIMIT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("served"), "llama", chat=False)


def engine_for(folder, *stubs, **changes):
    parameters = FAST | {"base_urls": tuple(stub.url for stub in stubs)} | changes
    return make_engine(Choice("server", parameters), ModelConfig(path=str(folder)))


def prompts_of(count):
    return [(40 + row % 50, 41 + row % 7, 42 + row // 50) for row in range(count)]


def keys_of(count, num_samples):
    return sample_keys(run_seed=1, stage=1, problem_ids=[f"p{row}" for row in range(count)], num_samples=num_samples)


def draw(engine, count, num_samples=3):
    keys = keys_of(count, num_samples)
    rows = list(engine.sample(prompts_of(count), keys, SamplingConfig(max_new_tokens=LIMIT)))
    assert len({row for row, _ in rows}) == len(rows)
    return {row: [one.token_ids for one in completions] for row, completions in rows}


def expected(count, num_samples=3):
    keys = keys_of(count, num_samples)
    return {
        row: [tuple(answer_of(prompt, int(key), LIMIT)) for key in keys[row]]
        for row, prompt in enumerate(prompts_of(count))
    }


def one_in(rate, *names):
    """A fault in one of ``rate`` requests, each kind in turn."""
    return lambda number, body: names[number // rate % len(names)] if number % rate == 0 else ""


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop", "500", "429", "half", "short", "other_form"])
def test_failures_that_may_pass_are_tried_again_until_every_completion_is_there(folder, fault):
    with Stub(one_in(10, fault)) as stub:
        assert draw(engine_for(folder, stub), 40) == expected(40)
    assert stub.faults[fault] >= 12


def test_a_reply_that_never_ends_is_cut_at_its_deadline_and_asked_for_again(folder):
    with Stub(lambda number, body: "endless" if number == 5 else "") as stub:
        assert draw(engine_for(folder, stub, timeout_seconds=0.5), 10) == expected(10)
    assert stub.faults["endless"] == 1


def test_a_request_waits_as_long_as_the_server_asks(folder):
    times = []

    def fault(number, body):
        times.append(time.monotonic())
        return "429" if number == 1 else ""

    with Stub(fault) as stub:
        draw(engine_for(folder, stub, backoff_seconds=1e-6), 1, num_samples=1)
    assert times[1] - times[0] >= 0.05


def test_a_refused_request_is_not_sent_again_and_everything_else_is_given_first(folder):
    refused = list(prompts_of(20)[7])
    with Stub(lambda number, body: "400" if body["prompt"] == refused else "") as stub:
        engine = engine_for(folder, stub)
        rows = {}
        with pytest.raises(
            MissingCompletions, match=r"1 of 20 prompts lack completions: 7 .*answered 400 \(this prompt is not to my"
        ) as caught:
            rows.update(engine.sample(prompts_of(20), keys_of(20, 3), SamplingConfig(max_new_tokens=LIMIT)))
    assert caught.value.reasons.keys() == {7}
    assert sorted(rows) == [row for row in range(20) if row != 7]
    assert stub.faults["400"] == 3


def test_a_failure_that_does_not_pass_is_named_with_its_reason(folder):
    stubborn = list(prompts_of(9)[2])
    with (
        Stub(lambda number, body: "500" if body["prompt"] == stubborn else "") as stub,
        pytest.raises(MissingCompletions, match=r"1 of 9 .*: 2 .*answered 500 \(out of luck\), 6 times"),
    ):
        draw(engine_for(folder, stub), 9)
    assert stub.faults["500"] == 3 * 6


@pytest.mark.slow
def test_servers_share_one_queue_and_the_others_finish_the_work_of_one_that_dies(folder, caplog):
    with Stub(one_in(10, "drop")) as first, Stub(lambda number, body: "death" if number == 20 else "") as second:
        engine = engine_for(folder, first, second)
        with caplog.at_level(logging.WARNING):
            assert draw(engine, 60) == expected(60)
        assert second.requests >= 20
        assert first.requests > 60
        assert f"{second.url} is left out of the pool" in caplog.text
        assert engine.facts["lost"] == ["server 2"]
        assert draw(engine, 10) == expected(10)


@pytest.mark.slow
def test_when_the_only_server_dies_what_is_missing_is_named_and_the_next_call_continues(folder, tmp_path):
    """A file of rollouts is completed by the next call, and equal to one that nothing disturbed."""
    prompts = [Prompt(problem_id=f"q{row}", text="", token_ids=ids) for row, ids in enumerate(prompts_of(30))]

    def collect(file, stub):
        engine = engine_for(folder, stub)
        collect_rollouts(
            file, engine=engine, tokenizer=tokenizer_of(folder), prompts=prompts,
            sampling=SamplingConfig(num_samples=3, max_new_tokens=LIMIT), run_seed=1, draw=1, label="x",
            progress=Silent(),
        )  # fmt: skip

    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    with Stub() as stub:
        collect(whole, stub)
    with (
        Stub(lambda number, body: "death" if number == 41 else "") as stub,
        pytest.raises(MissingCompletions, match=r"prompts lack completions: q\d+, .*Lost servers: http://127"),
    ):
        collect(broken, stub)
    kept = len(read_records(broken, Rollout))
    assert 0 < kept < 90
    with Stub(one_in(10, "drop", "500", "429", "half")) as stub:
        collect(broken, stub)
        assert len({json.dumps(body["prompt"]) for body in stub.bodies}) == 30 - kept // 3
    assert broken.read_bytes() == whole.read_bytes()


def tokenizer_of(folder):
    from paced.models.loading import load_tokenizer

    return load_tokenizer(ModelConfig(path=str(folder)))


@pytest.mark.slow
def test_no_more_requests_are_in_flight_than_allowed(folder):
    with Stub(lambda number, body: time.sleep(0.005) or "") as stub:
        draw(engine_for(folder, stub, concurrency=3), 20)
    assert stub.most_running == 3


@pytest.mark.slow
@pytest.mark.parametrize("how", ["close", "forget", "engine"])
def test_a_reader_that_leaves_cancels_what_is_in_flight(folder, how):
    with Stub(lambda number, body: "endless" if number > 12 else "") as stub:
        engine = engine_for(folder, stub, timeout_seconds=60.0)
        rows = engine.sample(prompts_of(40), keys_of(40, 3), SamplingConfig(max_new_tokens=LIMIT))
        next(rows)
        if how == "close":
            rows.close()
        elif how == "forget":
            del rows
            gc.collect()
        else:
            engine.close()
        for _ in range(500):
            if not stub.running:
                break
            time.sleep(0.01)
        assert stub.running == 0
        assert not any(thread.name == "paced-server" for thread in threading.enumerate())


def test_a_cancellation_while_connections_are_closed_leaves_none_open(folder):
    async def leave(url):
        server = Server(url, connections=8, patience=Patience(timeout_seconds=10.0, attempts=1, backoff_seconds=0.1))
        await asyncio.gather(*(server.get("/v1/models") for _ in range(8)))
        before = connections_to(url)
        closing = asyncio.create_task(server.__aexit__())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        return before, connections_to(url)

    with Stub() as stub:
        assert asyncio.run(leave(stub.url)) == (8, 0)


def connections_to(url):
    """Sockets of this process that are connected to the port of ``url``."""
    port = int(url.rpartition(":")[2])
    connections = psutil.Process().net_connections(kind="tcp4")
    return sum(bool(one.raddr) and one.raddr.port == port and one.fd >= 0 for one in connections)


def test_every_sampling_field_is_in_every_request(folder):
    with Stub() as stub:
        draw(engine_for(folder, stub), 2)
        draw(engine_for(folder, stub, noise="server"), 2)
    ours, theirs = stub.bodies[0], stub.bodies[-1]
    neutral = {
        "n": 1, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0,
        "frequency_penalty": 0.0, "max_tokens": LIMIT, "stop_token_ids": [0], "ignore_eos": True, "stream": False,
        "return_token_ids": True, "model": "stub", "top_p": 1.0,
    }  # fmt: skip
    for body in (ours, theirs):
        assert {name: body.get(name) for name in neutral} == neutral
    assert ours["temperature"] == 0.0
    assert ours["vllm_xargs"]["paced"][1:4] == [1.0, 1.0, NUM_TOKENS]
    assert theirs["temperature"] == 1.0
    assert set(theirs["logit_bias"]) == {str(row) for row in range(NUM_TOKENS, 264)}
    seeds = [body["seed"] for body in stub.bodies if "seed" in body]
    assert len(set(seeds)) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_server_without_our_noise_is_refused_unless_the_recipe_takes_its_own(folder):
    with Stub(takes_noise=False) as stub:
        with pytest.raises(ConfigError, match="does not know our noise .* noise: server"):
            draw(engine_for(folder, stub), 2)
        assert stub.requests == 0
        distinct = {ids for samples in draw(engine_for(folder, stub, noise="server"), 2).values() for ids in samples}
    assert len(distinct) == 6


@pytest.mark.parametrize(("top_k", "noise"), [(1, "paced"), (20, "paced"), (1, "server")])
def test_a_server_that_samples_otherwise_than_asked_is_refused(folder, top_k, noise):
    with Stub(top_k=top_k) as stub, pytest.raises(ConfigError, match=r"does not sample as it is told: .*, got \d+\."):
        draw(engine_for(folder, stub, noise=noise), 2)


def test_a_server_that_gives_no_token_ids_rates_only_when_the_recipe_says_so(folder):
    with Stub(ids=False) as stub:
        with pytest.raises(ConfigError, match="has no token ids. Set dialect: text"):
            draw(engine_for(folder, stub, noise="server"), 2)
        engine = engine_for(folder, stub, dialect="text")
        assert not engine.gives_token_ids
        tokenizer = tokenizer_of(folder)
        rows = dict(engine.sample(prompts_of(2), keys_of(2, 2), SamplingConfig(max_new_tokens=1)))
        texts = [tokenizer.decode(one.token_ids) for completions in rows.values() for one in completions]
    assert all(text.startswith("=") and text[1:].isdigit() for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measure", "name"),
    [
        (lambda run: measure_run(run, SnrSettings(num_samples=8, per_bin=2), Silent()), "gradient SNR"),
        (lambda run: measure_anatomy(run, Silent()), "gradient anatomy"),
    ],
)
def test_gradients_at_sampled_tokens_are_refused_where_the_server_gives_text_alone(folder, tmp_path, measure, name):
    with Stub(ids=False) as stub:
        parameters = {"base_urls": [stub.url], "dialect": "text"}
        data = recipe(tmp_path, folder)
        data["rollouts"] |= {"engine": {"name": "server", "parameters": parameters}}
        run = begin(tmp_path, data)
        take_problems(run, Silent())
        with pytest.raises(ConfigError, match=f"{name}: needs the tokens that were sampled, and the student's engine"):
            measure(run)


@pytest.mark.parametrize(("dialect", "inside"), [("openai", ()), ("vllm", ("sampling_params",))])
def test_a_request_with_our_noise_names_the_ids_that_no_token_has(dialect, inside):
    terms = Terms(
        sampling=SamplingConfig(max_new_tokens=LIMIT), ends=(0,), end_of_answer="", vocab_size=100,
        unreadable=(7, 98, 100, 101), noise="paced",
    )  # fmt: skip
    body = DIALECTS[dialect].body("served", (40, 41), 5, terms)
    for name in inside:
        body = body[name]
    (sent,) = (body[name] for name in ("vllm_xargs", "extra_args") if name in body)
    draw = Draw.parse(json.loads(json.dumps(sent))[ARGUMENT])
    assert (draw.key, draw.vocab_size, draw.absent_ids) == (5, 100, (7, 98))


def test_completions_that_the_servers_context_cut_are_not_taken_for_the_students(folder):
    with (
        Stub(cut_at=4) as stub,
        pytest.raises(MissingCompletions, match=r"cut the completion at 4 of 6 tokens: its context is too short"),
    ):
        draw(engine_for(folder, stub), 5)


def test_prompts_beyond_the_servers_own_limit_are_refused_before_any_is_sampled(folder):
    with Stub() as stub:
        with pytest.raises(ValueError, match=r"1 of 1 prompts .* a context of 64\."):
            list(engine_for(folder, stub).sample([(40,) * 60], keys_of(1, 1), SamplingConfig(max_new_tokens=LIMIT)))
        assert stub.requests == 0
        assert engine_for(folder, stub, context_tokens=1000).context_tokens == 1000


def test_what_a_server_said_of_itself_is_kept(folder):
    with Stub() as stub:
        engine = engine_for(folder, stub)
        draw(engine, 1)
        (said,) = engine.facts["servers"].values()
    assert {"model": "stub", "version": "1.2.3", "fingerprint": "stub-1"}.items() <= said.items()
    assert said["context_tokens"] == 64
    assert "first tokens at temperature 100" in said["confirmed"]


def test_a_server_that_asks_to_wait_longer_than_the_deadline_is_lost(folder):
    with (
        Stub(lambda number, body: "late" if number == 3 else "") as stub,
        pytest.raises(MissingCompletions, match=r"asks to wait 86,400 s, longer than timeout_seconds"),
    ):
        draw(engine_for(folder, stub), 5)


def test_a_model_that_a_server_does_not_have_is_refused_with_those_it_has(folder):
    with Stub() as stub, pytest.raises(ConfigError, match="must serve the model 'qwen', it serves stub"):
        draw(engine_for(folder, stub, served_model="qwen"), 1)


def test_servers_that_cannot_be_reached_are_named(folder):
    with Stub() as stub:
        stub.die()
        with pytest.raises(ConfigError, match=rf"none of base_urls can be used \({stub.url} could not be reached"):
            draw(engine_for(folder, stub, attempts=2), 1)


def test_a_key_comes_from_the_environment_and_is_never_repeated(folder, monkeypatch, caplog):
    monkeypatch.setenv("SERVER_KEY", KEY)
    with Stub(key=KEY) as stub, caplog.at_level(logging.DEBUG):
        engine = engine_for(folder, stub, api_key_env="SERVER_KEY")
        assert draw(engine, 5) == expected(5)
        shown = [repr(engine), str(vars(engine)), json.dumps(engine.facts), caplog.text]
    with Stub(key="another") as stub, caplog.at_level(logging.DEBUG):
        engine = engine_for(folder, stub, api_key_env="SERVER_KEY")
        with pytest.raises(ConfigError, match=r"answered 401 \(wrong key: Bearer \[key\]\)") as caught:
            draw(engine, 5)
        shown += [str(caught.value), repr(caught.value.__context__), str(engine.facts), caplog.text]
    assert not any(KEY in text for text in shown)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_urls": ()}, "base_urls must be one or more"),
        ({"base_urls": ("ftp://a",)}, "got 'ftp://a'"),
        ({"base_urls": ("localhost:8000",)}, "got 'localhost:8000'"),
        ({"base_urls": ("http://a:99999",)}, "got 'http://a:99999'"),
        ({"base_urls": ("http://a b",)}, "got 'http://a b'"),
        ({"base_urls": ("http://a", "http://a/v1/")}, "each once"),
        ({"base_urls": (7,)}, "got 7"),
        ({"concurrency": 0}, "concurrency must be an integer >= 1, got 0"),
        ({"attempts": True}, "attempts must be an integer >= 1, got True"),
        ({"timeout_seconds": 0}, "timeout_seconds must be finite and > 0"),
        ({"dialect": "sglan"}, "Did you mean 'sglang'"),
        ({"noise": "none"}, "noise must be one of paced, server"),
        ({"noise": "paced", "dialect": "sglang"}, "cannot send our noise"),
        ({"api_key_env": "NOT_SET_ANYWHERE"}, "Export it before the run"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused_before_anything_is_sent(folder, changes, message):
    with pytest.raises(ValueError, match=message):
        make_engine(Choice("server", {"base_urls": ("http://a",)} | changes), ModelConfig(path=str(folder)))


@pytest.mark.parametrize("changes", [{"base_urls": (f"http://me:{KEY}@a",)}, {"api_key_env": KEY}])
def test_a_secret_in_the_wrong_place_is_refused_without_repeating_it(folder, changes):
    with pytest.raises(ValueError, match="server: ") as caught:
        make_engine(Choice("server", {"base_urls": ("http://a",)} | changes), ModelConfig(path=str(folder)))
    assert KEY not in str(caught.value)


def test_new_weights_are_refused_with_what_to_do(folder):
    with Stub() as stub, pytest.raises(ConfigError, match="cannot take new weights.*engine: hf or vllm"):
        engine_for(folder, stub).update(folder)


def test_a_run_rated_by_a_server_keeps_what_served_it_and_not_where(tmp_path, folder):
    with Stub() as stub:
        parameters = FAST | {"base_urls": [stub.url]}
        data = recipe(tmp_path, folder)
        data["rollouts"] |= {"engine": {"name": "server", "parameters": parameters}}
        run = begin(tmp_path, data)
        take_problems(run, Silent())
        rollout(run, 1, Silent())
        assert stub.requests == 12 * 4
    said = json.loads(run.environment.read_text())["engines"]["stage-1-rollout"]
    assert said["name"] == "server"
    assert said["servers"]["server 1"]["version"] == "1.2.3"
    assert "127.0.0.1" not in run.environment.read_text()
