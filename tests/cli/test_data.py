"""`paced data` as it is typed, and public sets through `paced rate`, `paced run --dry-run` and a run's first step."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest
from digit_model import write_digit_model
from problems.public_sets import SETS, SUM
from tiny_run import begin, recipe

from paced.cli import app
from paced.cli.endings import WRONG_INPUT, ending_of
from paced.errors import RunFolderError
from paced.pipeline.dry_run import show_dry_run
from paced.pipeline.held import refuse_changed_files
from paced.pipeline.steps import take_problems
from paced.problems.files import read_problems
from paced.records import Problem
from paced.run.configfile import build_config
from paced.run.progress import Silent
from paced.run.storage import read_parquet


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


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_digit_model(tmp_path_factory.mktemp("digits"), num_positions=512)


def write_golds(path, *golds):
    rows = ({"id": f"{path.stem}-{number}", "question": q, "answer": a} for number, (q, a) in enumerate(golds))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_inspect_shows_adapter_counts_types_and_two_rows_before_and_after(tmp_path, capsys):
    path = SETS["BytedTsinghua-SIA/DAPO-Math-17k"].write(tmp_path / "dapo.parquet")
    assert paced("data", "inspect", path) == 0
    said = capsys.readouterr().out
    for words in (
        "dapo, DAPO-Math-17k as published", "200 rows = 2 problems + 198 repeats + 0 bad rows",
        "answer types: integer 2",         "comes 100 times", "golds that fail their own grading: 0",
        'row 1 before: {"data_source": "math_dapo"',
        "row 1 after:\n  problem_id: ", f"  problem: {SUM}", "row 2 after:",
    ):  # fmt: skip
        assert words in said


def test_inspect_shows_everything_that_is_wrong_and_exits_with_1(tmp_path, capsys):
    path = write_golds(tmp_path / "a.jsonl", ("a", "1"), ("a", "2"), ("b", None), ("c", "3"), ("\x1b[31md", "4"))
    assert paced("data", "inspect", path) == 1
    said = capsys.readouterr().out
    assert "conflicting golds: 2 rows" in said
    assert "row 3 (id a-2), column 'answer': found nothing" in said
    assert "5 rows = 2 problems + 0 repeats + 3 bad rows" in said
    assert "\x1b" not in said
    assert paced("data", "inspect", path, "--json", "-") == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["rows"], data["problems"], data["quarantined"], data["conflicting"]) == (5, 2, 3, 2)


def test_overlap_names_what_two_sets_share_and_exits_with_1(tmp_path, capsys):
    train = write_golds(tmp_path / "train.jsonl", ("What is $2+2$?", "4"), ("What is 3+3?", "6"))
    held_out = write_golds(tmp_path / "held.jsonl", ("what is 2 + 2", "4"), ("What is 5+5?", "10"))
    assert paced("data", "overlap", train, held_out) == 1
    assert "shared: 1 exactly, 0 nearly" in capsys.readouterr().out
    assert paced("data", "overlap", train, write_golds(tmp_path / "other.jsonl", ("Other?", "4"))) == 0


def test_split_writes_parts_that_share_nothing_and_are_read_as_they_were(tmp_path, capsys):
    path = SETS["openai/gsm8k"].write(tmp_path / "a.parquet")
    assert paced("data", "split", path, "-o", tmp_path / "parts", "--disjoint") == 0
    parts = [read_problems(tmp_path / "parts" / f"part-{number}.parquet").problems for number in (1, 2)]
    assert {one for part in parts for one in part} == set(read_problems(path).problems)
    assert paced("data", "overlap", tmp_path / "parts" / "part-1.parquet", tmp_path / "parts" / "part-2.parquet") == 0
    assert "shares must be numbers" in refusal("data", "split", path, "-o", tmp_path / "x", "--shares", "half")


def test_fetch_wants_a_commit_and_says_in_one_sentence_why_it_could_not(tmp_path, monkeypatch):
    out = tmp_path / "a.parquet"
    for name in ("openai/gsm8k", "openai/gsm8k@main", "gsm8k"):
        assert "owner/name@commit with the 40 digits" in refusal("data", "fetch", name, "-o", out, "--split", "test")
    pinned = f"openai/gsm8k@{'0' * 40}"
    assert "must end in .parquet" in refusal("data", "fetch", pinned, "-o", tmp_path / "a.csv", "--split", "test")
    absent = ModuleType("datasets")
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "needs the package 'datasets'" in refusal("data", "fetch", pinned, "-o", out, "--split", "test")

    def load_dataset(*arguments, **named):
        asked.append((arguments, named))
        raise ConnectionError("Couldn't reach the hub\nand more")

    asked = []
    absent.load_dataset = load_dataset
    absent.exceptions = ModuleType("exceptions")
    absent.exceptions.DatasetsError = OSError
    monkeypatch.setitem(sys.modules, "datasets", absent)
    said = refusal("data", "fetch", pinned, "-o", out, "--split", "test", "--config", "main")
    assert "cannot be fetched: Couldn't reach the hub. Check the name" in said
    assert asked == [(("openai/gsm8k", "main"), {"split": "test", "revision": "0" * 40})]


ASKED_HERE = [name for name, public in SETS.items() if public.answer_type == "integer"]


@pytest.mark.parametrize("name", ["openai/gsm8k", "HuggingFaceH4/aime_2024", "BytedTsinghua-SIA/DAPO-Math-17k", "verl"])
def test_a_public_set_is_rated_as_it_is(tmp_path, name, model):
    path = SETS[name].write(tmp_path / "set.parquet")
    table = tmp_path / "rates.jsonl"
    short = ("--no-chat-template", "--answer-format", "last_number", "--max-new-tokens", "4", "-k", "2")
    assert paced("rate", path, "--model", model, "-o", table, *short) == 0
    assert len(table.read_text().splitlines()) == SETS[name].num_problems


@pytest.mark.parametrize("name", ASKED_HERE)
def test_a_dry_run_shows_the_bare_problem_of_a_public_set(tmp_path, name, model):
    public = SETS[name]
    path = public.write(tmp_path / "set.parquet")
    data = recipe(tmp_path, model, problems={"path": str(path)})
    solved = all(problem.solution for problem in read_problems(path).problems)
    data["prompts"]["teacher"] = "{solution} {problem}" if solved else "{problem}"
    said: list[str] = []
    show_dry_run(build_config(data), said.append)
    text = "\n".join(said)
    assert f"{public.num_problems} problems, 5 held out" in text
    assert f"  | {public.problem}" in text
    assert "Solve the following math problem" not in text


def test_a_run_puts_bad_rows_aside_and_writes_counts_and_reasons_into_its_folder(tmp_path, model):
    path = write_golds(tmp_path / "a.jsonl", ("a", "1"), ("b", None), ("a", "1"), ("c", "three"), ("d", "4"))
    problems = {"path": str(path), "on_bad_row": "quarantine"}
    run = begin(tmp_path, recipe(tmp_path, model, problems=problems))
    take_problems(run, Silent())
    counts = json.loads(run.problem_counts.read_text())
    assert counts["rows"] == 5 == counts["problems"] + counts["repeated"] + counts["quarantined"]
    rows = [json.loads(line) for line in run.bad_rows.read_text().splitlines()]
    assert rows[0]["row"] == 2
    assert len(read_parquet(run.problems, Problem)) == counts["used"] == counts["problems"]


def test_a_folder_of_shards_is_a_training_set_and_a_changed_shard_is_noticed(tmp_path, model):
    folder = tmp_path / "shards"
    folder.mkdir()
    write_golds(folder / "train-0.jsonl", ("a", "1"))
    write_golds(folder / "train-1.jsonl", ("b", "7"))
    run = begin(tmp_path, recipe(tmp_path, model, problems={"path": str(folder)}))
    take_problems(run, Silent())
    assert [one.answer for one in read_parquet(run.problems, Problem)] == ["1", "7"]
    refuse_changed_files(run)
    write_golds(folder / "train-1.jsonl", ("b", "8"))
    with pytest.raises(RunFolderError, match="problem file"):
        refuse_changed_files(run)
