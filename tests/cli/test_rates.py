"""`paced rate` and `paced export` as they are typed: what is printed, the exit code, one sentence for wrong input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter

import pyarrow.parquet as pq
import pytest
from digit_model import write_digit_model, write_digit_problems

from paced.cli import app
from paced.cli.endings import FAILED, WRONG_INPUT, ending_of
from paced.pipeline.rate_config import RateConfig
from paced.records import Grade, Rollout
from paced.run.storage import read_records

SHORT = (
    "--no-chat-template", "--answer-format", "last_number", "--max-new-tokens", "6", "--engine-parameter",
    "max_rows=32",
)  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_digit_model(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def problems(tmp_path):
    return write_digit_problems(tmp_path / "problems.jsonl")


def paced(*arguments):
    """The exit code of a command, in this process; an exception is what it raises."""
    return app([str(one) for one in arguments], exit_on_error=False, result_action="return_value", print_error=False)


def refusal(*arguments):
    """The sentence with which a command refuses its input."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, its ending is what is looked at
        paced(*arguments)
    sentence, code = ending_of(caught.value)
    assert code == WRONG_INPUT, sentence
    return sentence


def test_rate_prints_histogram_weights_and_fit_and_the_table_goes_into_weigh_and_fit(tmp_path, model, problems, capsys):
    table = tmp_path / "rates.parquet"
    assert paced("rate", problems, "--model", model, "-o", table, "-k", 8, *SHORT) == 0
    said = capsys.readouterr().out
    for words in ("192 completions of 24 problems", "0/8", "hard_filter", "fit p-value", f"written: {table}"):
        assert words in said
    assert paced("weigh", table, "-o", tmp_path / "weights.parquet", "estimator=posterior") == 0
    assert paced("fit", table, "--no-figure") in (0, FAILED)
    weights = pq.read_table(tmp_path / "weights.parquet")
    assert weights["problem_id"].to_pylist() == [f"q{number}" for number in range(24)]


def test_the_summary_as_json_is_one_object(tmp_path, model, problems, capsys):
    arguments = ("--model", model, "-o", tmp_path / "rates.csv", "--screen", "2,8", *SHORT, "--json", "-", "--quiet")
    assert paced("rate", problems, *arguments) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["num_problems"] == 24
    assert sum(data["verdicts"].values()) == data["num_completions"]
    assert sum(data["histogram"].values()) == 24
    assert data["screen"]["num_all"] == 8


def test_a_prompt_that_does_not_fit_makes_the_exit_code_1(tmp_path, model, capsys):
    problems = write_digit_problems(tmp_path / "problems.jsonl", longest=95)
    assert paced("rate", problems, "--model", model, "-o", tmp_path / "rates.csv", *SHORT) == FAILED
    assert "left out: 1 problem, named in" in capsys.readouterr().out


def test_completions_of_another_tool_give_the_same_table_and_need_no_model(tmp_path, model, problems, capsys):
    own = tmp_path / "own.csv"
    paced("rate", problems, "--model", model, "-o", own, *SHORT)
    dump = tmp_path / "dump.jsonl"
    sampled = read_records(tmp_path / "own.csv.rollouts" / "rollouts.jsonl", Rollout)
    rows = [{"uid": one.problem_id, "response": one.text, "why": one.finish_reason} for one in reversed(sampled)]
    dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = "text=response,problem_id=uid,finish_reason=why"
    theirs = tmp_path / "theirs.csv"
    arguments = ("--completions", dump, "--columns", columns, "--answer-format", "last_number", "-o", theirs)
    assert paced("rate", problems, *arguments) == 0
    assert theirs.read_bytes() == own.read_bytes()
    assert not (tmp_path / "theirs.csv.rollouts").exists()

    def verdicts(file):
        return Counter((one.problem_id, one.verdict) for one in read_records(file, Grade))

    assert verdicts(tmp_path / "theirs.csv.grades.jsonl") == verdicts(own.parent / "own.csv.rollouts" / "grades.jsonl")
    assert paced("rate", problems, *arguments, "--limit", 5) == 0
    assert theirs.read_text().count("\n") == 6


@pytest.mark.parametrize("name", ["rates.csv", "rates.csv.grades.jsonl"])
def test_completions_are_never_written_over(tmp_path, problems, name):
    dump = tmp_path / name
    dump.write_text("problem_id,text\nq0,7\n")
    arguments = ("--completions", dump, "--answer-format", "last_number", "-o", tmp_path / "rates.csv")
    assert "would be replaced, and is what is read" in refusal("rate", problems, *arguments)
    assert dump.read_text() == "problem_id,text\nq0,7\n"


def test_an_option_that_is_refused_has_the_name_that_is_typed(problems):
    typed = {
        "--model": "m", "--num-samples": 4, "--temperature": 1, "--top-p": 1, "--max-new-tokens": 6,
        "--prompt": "{problem}", "--system": "s", "--end-of-answer": "x", "--max-student-tokens": 5,
        "--too-long": "error", "--screen": "2,4", "--seed": 1, "--dtype": "float32", "--attention": "sdpa",
        "--revision": "r", "--engine": "hf",
    }  # fmt: skip
    switches = ["--chat-template", "--enable-thinking"]
    given = [one for pair in typed.items() for one in pair]
    sentence = refusal("rate", problems, "--completions", "dump.csv", "-o", "rates.csv", *given, *switches)
    named = sentence.partition("nothing reads ")[2].partition(". Leave")[0].split(", ")
    assert sorted(named) == sorted([*typed, *switches])


def test_wrong_input_of_every_kind_is_one_sentence(tmp_path, model, problems):
    out = ("-o", tmp_path / "rates.csv", *SHORT)
    with_model = ("--model", model, *out)
    graded = ("-o", tmp_path / "rates.csv")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"problem": "a"}\n{"problem": "b", "answer": "4"}\n{"problem": "c", "answer": ""}\n')
    bare = tmp_path / "bare.jsonl"
    bare.write_text('{"problem": "a"}\n{"problem": "b"}\n')
    pictures = tmp_path / "table.png"
    pictures.write_bytes(b"\x89PNG")
    for arguments, words in (
        ((tmp_path / "absent.jsonl", *with_model), "absent.jsonl: no such file"),
        ((pictures, *with_model), "the name must end in"),
        ((bare, *with_model), "no row has 'answer'"),
        ((broken, *with_model), "2 rows cannot be used"),
        ((problems, *out), "Give --model"),
        (
            (problems, *with_model, "-k", 4, "--completions", "dump.jsonl"),
            "nothing reads --model, --chat-template, --num-samples, --max-new-tokens, --engine. Leave them out.",
        ),
        ((problems, *with_model, "--columns", "text=response"), "--columns describes the file of --completions"),
        ((problems, *graded, "--completions", tmp_path / "none.jsonl"), "none.jsonl"),
        ((problems, "--model", model, "-o", tmp_path / "rates.xlsx", *SHORT), "must end in .parquet, .csv or .jsonl"),
        ((problems, "--model", tmp_path / "nowhere", *out), "nowhere"),
        ((problems, *with_model, "--screen", "two"), "screen must be two numbers"),
        ((problems, *with_model, "--engine", "vlmm"), "must be one of"),
        ((problems, *with_model, "--prompt", "hello"), "must contain {problem}"),
        ((problems, *graded, "--completions", problems, "--columns", "text"), "columns must be role=column"),
    ):
        sentence = refusal("rate", *arguments)
        assert words in sentence
        assert "paced made a mistake" not in sentence
    assert not list(tmp_path.glob("rates.*"))


@pytest.mark.parametrize("option", [("-k", 0), ("--temperature", -1), ("--top-p", 0), ("--max-new-tokens", 0)])
def test_numbers_out_of_range_never_reach_the_job(tmp_path, model, problems, option):
    from cyclopts.exceptions import CycloptsError

    with pytest.raises(CycloptsError, match="Must be >"):
        paced("rate", problems, "--model", model, "-o", tmp_path / "rates.csv", *option)


def test_the_defaults_that_the_help_names_are_those_of_the_settings(capsys):
    app(["rate", "--help"], exit_on_error=False, result_action="return_value")
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    config = RateConfig()
    sampling = config.rollouts
    for words in (
        f"Completions of each problem, K, by default {sampling.num_samples}.",
        f"by default {sampling.sampling_temperature:g}; 0 takes",
        f"Nucleus mass, by default {sampling.top_p:g}.",
        f"by default {sampling.max_new_tokens}.",
        f"by default {config.grading.answer_format.name};",
        f"by default {config.prompts.student},",
        f"noise, by default {config.seed}.",
        f"weights, by default {config.student.dtype}.",
        f"hf, by default {config.student.attention}.",
        f"by default {sampling.engine.name}:",
    ):
        assert words in said


def rated(tmp_path, problems):
    """A table of counts for the problems, without a model."""
    table = tmp_path / "rates.csv"
    rows = "".join(f"q{number},{number % 9},8\n" for number in range(24))
    table.write_text("problem_id,num_passed,num_rollouts\n" + rows)
    return table


def test_export_takes_a_table_or_its_weights_and_names_what_it_wrote(tmp_path, problems, capsys):
    table = rated(tmp_path, problems)
    assert paced("weigh", table, "-o", tmp_path / "weights.csv") == 0
    for source, more in (
        (table, ()), (tmp_path / "weights.csv", ()), (table, ("--fitted",)), (table, ("--weight", "beta", "alpha=2")),
    ):  # fmt: skip
        output = tmp_path / "train.parquet"
        assert paced("export", source, "--problems", problems, "--to", "trl", "-o", output, *more) == 0
        said = capsys.readouterr().out
        assert f"written: {output}" in said
        assert "effective sample size" in said
        assert pq.read_table(output).num_rows == 24
    assert paced("export", table, "--problems", problems, "--to", "hf", "-o", output, "--drop-zero") == 0
    assert pq.read_table(output).num_rows == sum(0 < number % 9 < 8 for number in range(24))


def test_wrong_input_to_export_is_one_sentence(tmp_path, problems):
    table = rated(tmp_path, problems)
    rest = ("--problems", problems, "--to", "verl", "-o", tmp_path / "out.parquet")
    for arguments, words in (
        ((tmp_path / "absent.csv", *rest), "absent.csv: no such file"),
        ((problems, *rest), "(num_passed, num_rollouts), or (problem_id, correct)"),
        ((table, *rest, "--weight", "betta"), "--weight must be one of"),
        ((table, *rest, "alpha=-1"), "alpha must be finite and >= 0"),
        ((table, *rest, "--fitted", "alpha=1"), "--fitted chooses the weights"),
        ((table, *rest, "--min-weight", 7), "no problem is left of 24"),
        ((table, "--problems", problems, "--to", "verl", "-o", tmp_path / "out.jsonl"), "verl reads .parquet"),
    ):
        sentence = refusal("export", *arguments)
        assert words in sentence
        assert "paced made a mistake" not in sentence
    assert not list(tmp_path.glob("out.*"))


@pytest.mark.slow
def test_a_command_that_is_killed_or_stopped_goes_on_when_it_is_typed_again(tmp_path, model):
    problems = write_digit_problems(tmp_path / "problems.jsonl", 400)
    arguments = ("rate", problems, "--model", model, "-k", 16, *SHORT)
    assert paced(*arguments, "-o", tmp_path / "undisturbed.csv") == 0
    table, file = tmp_path / "rates.csv", tmp_path / "rates.csv.rollouts" / "rollouts.jsonl"
    command = [sys.executable, "-m", "paced", *map(str, arguments), "-o", str(table)]
    for number in (signal.SIGKILL, signal.SIGTERM):
        begun = file.stat().st_size if file.exists() else 0
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while running.poll() is None and (not file.exists() or file.stat().st_size <= begun):
            time.sleep(0.01)
        running.send_signal(number)
        _, said = running.communicate(timeout=120)
        assert running.returncode in (-signal.SIGKILL, 75, 0), said
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert table.read_bytes() == (tmp_path / "undisturbed.csv").read_bytes()


def test_parts_are_rated_by_themselves_and_put_together(tmp_path, model, problems, capsys):
    table = tmp_path / "rates.csv"
    for part in ("0/2", "1/2"):
        assert paced("rate", problems, "--model", model, "-o", table, "-k", 4, *SHORT, "--shard", part) == 0
    assert paced("rate", problems, "-o", table, "--merge") == 0
    assert "96 completions of 24 problems" in capsys.readouterr().out
    assert "tables are put together, so that nothing reads" in refusal(
        "rate", problems, "-o", table, "--merge", "-k", 4
    )
    assert "--shard must be i/n" in refusal("rate", problems, "--model", model, "-o", table, "--shard", "2/2")
    assert "Leave out --shard" in refusal("rate", problems, "-o", table, "--merge", "--shard", "0/2")
