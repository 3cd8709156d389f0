"""Pass rates from servers: the same table whatever goes wrong on the way, and a call that resumes where one gave up."""

from __future__ import annotations

import json

import pytest
from server_stub import Stub
from tiny_models import write_model, write_sums

from paced.pipeline.rate import rate
from paced.pipeline.rate_config import RateConfig, engine_of, read_rate_config
from paced.rollouts.missing import MissingCompletions

FAST = ["attempts=6", "backoff_seconds=0.01", "timeout_seconds=5.0", "concurrency=4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("served"), "llama", chat=False)


def asked(tmp_path, folder, *stubs, **changes) -> RateConfig:
    problems = tmp_path / "sums.jsonl"
    if not problems.exists():
        write_sums(problems, 20)
    options = {
        "problems.path": str(problems), "student.path": str(folder), "prompts.use_chat_template": False,
        "rollouts.num_samples": 4, "rollouts.max_new_tokens": 6, "grading.answer_format": "last_number",
        "rollouts.engine": engine_of("", FAST, servers=[stub.url for stub in stubs]),
    }  # fmt: skip
    return read_rate_config(options | changes)


def files(table):
    state = table.with_name(f"{table.name}.rollouts")
    return [file.read_bytes() for file in (table, state / "rollouts.jsonl", state / "grades.jsonl")]


@pytest.mark.slow
def test_a_pool_that_fails_in_every_way_and_loses_a_server_gives_the_same_files(tmp_path, folder):
    with Stub() as sound:
        rate(asked(tmp_path, folder, sound), tmp_path / "sound.csv")
    faults = {3: "500", 5: "429", 7: "drop", 9: "half", 11: "death"}
    with Stub(lambda number, body: faults.get(number, "")) as failing, Stub() as other:
        rate(asked(tmp_path, folder, failing, other), tmp_path / "failing.csv")
        assert failing.faults["death"] == 1
    assert files(tmp_path / "failing.csv") == files(tmp_path / "sound.csv")


@pytest.mark.slow
def test_a_call_that_lost_its_servers_goes_on_with_others(tmp_path, folder):
    with Stub() as sound:
        rate(asked(tmp_path, folder, sound), tmp_path / "sound.csv")
    with (
        Stub(lambda number, body: "death" if number == 30 else "") as dying,
        pytest.raises(MissingCompletions, match="lack"),
    ):
        rate(asked(tmp_path, folder, dying), tmp_path / "moved.csv")
    assert not (tmp_path / "moved.csv").exists()
    with Stub() as elsewhere:
        rate(asked(tmp_path, folder, elsewhere), tmp_path / "moved.csv")
        assert 0 < elsewhere.requests < 80
    assert files(tmp_path / "moved.csv") == files(tmp_path / "sound.csv")
    kept = json.loads((tmp_path / "moved.csv.rollouts" / "environment.json").read_text())
    assert kept["engines"]["rollout"]["name"] == "server"


def test_a_prompt_that_the_server_would_shorten_is_left_out(tmp_path, folder):
    write_sums(tmp_path / "sums.jsonl", 3)
    with (tmp_path / "sums.jsonl").open("a") as file:
        file.write(json.dumps({"problem_id": "long", "problem": "9" * 59, "answer": "1"}) + "\n")
    with Stub() as stub:
        rated = rate(asked(tmp_path, folder, stub), tmp_path / "rates.csv")
    assert [(one.problem_id, one.context_tokens) for one in rated.left_out] == [("long", 64)]
    assert len(rated.rates) == 3
