"""Every public data set is read right from its own columns and column types, or refused with what to do."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from problems.public_sets import SETS

from paced.errors import BadRows, ConfigError
from paced.pipeline.preflight_problems import gold_faults
from paced.problems.adapters import DATASETS
from paced.problems.files import read_problems
from paced.run.config import GradingConfig
from paced.run.schema import Choice


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_public_set_is_read_right(tmp_path, name, suffix):
    public = SETS[name]
    file = read_problems(public.write(tmp_path / f"set{suffix}"))
    first = file.problems[0]
    assert file.adapter == public.adapter
    assert len(file.problems) == public.num_problems
    assert (first.problem, first.answer, first.answer_type) == (public.problem, public.answer, public.answer_type)
    assert first.solution == public.solution
    assert {name: getattr(first, name) for name in public.further} == public.further
    assert file.num_rows == len(file.problems) + file.num_repeated == len(public.rows)
    if file.adapter != "paced":
        assert f"read as {file.adapter}" in file.notes[0]


@pytest.mark.parametrize("name", SETS)
def test_every_gold_of_a_public_set_is_right_by_its_own_grader(tmp_path, name):
    problems = read_problems(SETS[name].write(tmp_path / "set.parquet")).problems
    assert gold_faults(problems, GradingConfig(answer_format=Choice("boxed"))) == []


def test_every_adapter_has_a_public_set():
    assert {public.adapter for public in SETS.values()} == set(DATASETS)


def test_the_wrapper_of_dapo_is_kept_as_a_chat_beside_the_bare_problem(tmp_path):
    public = SETS["BytedTsinghua-SIA/DAPO-Math-17k"]
    first = read_problems(public.write(tmp_path / "dapo.parquet")).problems[0]
    (message,) = json.loads(first.messages)
    assert message["role"] == "user"
    assert message["content"].startswith("Solve the following math problem step by step.")
    assert "Remember" not in first.problem


def test_a_problem_of_dapo_that_comes_a_hundred_times_is_one_and_said(tmp_path):
    file = read_problems(SETS["BytedTsinghua-SIA/DAPO-Math-17k"].write(tmp_path / "dapo.parquet"))
    assert (file.num_rows, file.num_repeated, len(file.problems)) == (200, 198, 2)
    assert any("198 rows repeat an earlier problem" in note and "comes 100 times" in note for note in file.notes)


def test_an_adapter_can_be_named_and_a_wrong_one_is_refused(tmp_path):
    path = SETS["openai/gsm8k"].write(tmp_path / "a.parquet")
    assert read_problems(path, adapter="gsm8k").adapter == "gsm8k"
    with pytest.raises(ConfigError, match=r"adapter mmlu .* does not know these columns: question, answer"):
        read_problems(path, adapter="mmlu")
    with pytest.raises(ConfigError, match="adapter must be auto or one of .* Did you mean 'gsm8k'"):
        read_problems(path, adapter="gms8k")


REFUSED = {
    "a prompt without any answer": ([{"prompt": "2+2?"}], ConfigError, "no row has 'answer'"),
    "a text column": ([{"text": "2+2=4"}], ConfigError, "no row has 'problem' and 'answer'"),
    "a solution that marks no answer": (
        [{"question": "How many?", "answer": "There are three apples and then some more.\nSo she pays twelve."}] * 2,
        BadRows, "marks no answer",
    ),
    "a prose completion": (
        [{"prompt": "Write a poem.", "completion": "Roses are red and violets are blue, my dear."}],
        BadRows, "marks no answer",
    ),
    "several answers": ([{"question": "x?", "final_answer": ["1", "2"]}], BadRows, "a list of 2 answers"),
    "a label outside the options": (
        [{"question": "x?", "choices": ["a", "b"], "answer": 3}], BadRows, "0 to 1, or A to B",
    ),
    "no final answer": (
        [{"problem": "Prove it.", "solution": "Clear.", "answer": "proof", "problem_type": "a", "question_type": "b"}],
        BadRows, "no final answer to grade",
    ),
    "a chat of several questions": (
        [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "\\boxed{1}"}] * 2}] * 2,
        BadRows, "The assistant speaks 2 times",
    ),
    "two answers that disagree": (
        [{"prompt": "x?", "solution": "3", "reward_model": {"ground_truth": "4"}, "source_prompt": []}],
        BadRows, "reward_model says '4'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_right_is_refused_with_what_to_do(tmp_path, name):
    rows, kind, message = REFUSED[name]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(kind, match=message):
        read_problems(path)


def test_a_chat_and_choices_written_as_json_in_csv_are_read(tmp_path):
    (tmp_path / "a.csv").write_text('question,choices,answer\nWhich?,"[""x"", ""y""]",1\n')
    (problem,) = read_problems(tmp_path / "a.csv").problems
    assert (problem.problem, problem.answer) == ("Which?\n\nA. x\nB. y", "B")
    (tmp_path / "b.csv").write_text('prompt,answer\n"[{""role"": ""user"", ""content"": ""2+2?""}]",4\n')
    (problem,) = read_problems(tmp_path / "b.csv").problems
    assert (problem.problem, problem.answer) == ("2+2?", "4")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_byte_order_marks_line_ends_gzip_and_separators_change_nothing(tmp_path, ending):
    lines = [json.dumps(row, ensure_ascii=False) for row in SETS["openai/gsm8k"].rows]
    lines[0] = lines[0].replace("clips?", "clips\u2028?")
    content = b"\xef\xbb\xbf" + (ending.join(lines) + ending).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content))
    file = read_problems(tmp_path / "a.jsonl.gz")
    assert [one.answer for one in file.problems] == ["1000", "-5"]
    assert file.problems[0].problem == "How many clips\u2028?"


def test_huge_integers_keep_all_their_digits(tmp_path):
    huge = 10**40 + 1
    (tmp_path / "a.jsonl").write_text(json.dumps({"question": "How many?", "answer": huge}) + "\n")
    (problem,) = read_problems(tmp_path / "a.jsonl").problems
    assert (problem.answer, problem.answer_type) == (str(huge), "integer")


def test_nullable_columns_name_the_rows_that_lack_an_answer(tmp_path):
    table = pa.table({"question": ["a", "b", None], "answer": pa.array([1, None, 3], pa.int64())})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadRows, match="2 rows cannot be used") as caught:
        read_problems(tmp_path / "a.parquet")
    assert [(fault.row, fault.column) for fault in caught.value.rows] == [(2, "answer"), (3, "question")]


def test_a_folder_of_shards_is_one_set_and_two_splits_are_refused(tmp_path):
    rows = SETS["openai/gsm8k"]
    folder = tmp_path / "main"
    folder.mkdir()
    for part, row in enumerate(rows.rows):
        pq.write_table(pa.Table.from_pylist([row]), folder / f"train-0000{part}-of-00002.parquet")
    assert [one.answer for one in read_problems(folder).problems] == ["1000", "-5"]
    rows.write(folder / "test-00000-of-00001.parquet")
    with pytest.raises(ConfigError, match="holds the splits test, train, which are not one set"):
        read_problems(folder)
    assert len(read_problems(f"{folder}/train-*.parquet").problems) == 2


def test_a_bad_row_of_a_folder_names_its_file_its_row_and_its_id(tmp_path):
    for name, gold in (("a", "1"), ("b", None)):
        (tmp_path / f"{name}.jsonl").write_text(
            json.dumps({"id": f"q-{name}", "question": name, "answer": gold}) + "\n"
        )
    with pytest.raises(BadRows, match=r"b\.jsonl, row 1 \(id q-b\), column 'answer': found nothing"):
        read_problems(tmp_path)


def test_a_hub_name_is_told_how_to_become_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="paced data fetch openai/gsm8k@COMMIT --split SPLIT"):
        read_problems("openai/gsm8k")
