"""A training set for another trainer is read by that trainer's own reader, and every text in it is what it was."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paced.errors import BadRows, ConfigError
from paced.pipeline.export import export_training_set
from paced.pipeline.export_chats import WITHOUT_WEIGHTS
from paced.pipeline.export_forms import FORMS
from paced.pipeline.export_rows import ExportOptions
from paced.records import PassRate
from paced.weights import BetaKernel, DropZero, HardFilter
from paced.weights.table.rated import write_rated
from paced.weights.table.report import weigh_file

TEXTS = [
    "Let $f(x) = \\frac{1}{x}$, {problem} and {solution} are not placeholders; {{x}}?",
    "=SUM(A1:A9) <|im_end|> \u202e \U0001f600 é, e\u0301 and \u2028 stay",
    "  spaces, a tab\t and\nlines\r\n stay  ",
    "<img src=x onerror=alert(1)> 'quotes' \"and\" \\ backslashes",
]
PASSED = [0, 3, 4, 8]


@pytest.fixture
def problems(tmp_path):
    file = tmp_path / "problems.jsonl"
    rows = [
        {"problem_id": f"q{n}", "problem": text, "answer": str(n), "solution": f"It is {n}.", "level": n, "tags": ["a"]}
        for n, text in enumerate(TEXTS)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def rates(tmp_path):
    file = tmp_path / "rates.parquet"
    write_rated(file, [PassRate(problem_id=f"q{n}", num_passed=s, num_rollouts=8) for n, s in enumerate(PASSED)])
    return file


def exported(tmp_path, rates, problems, to, name="out.parquet", **settings):
    settings = {"weight": BetaKernel()} | settings
    export_training_set(rates, problems, tmp_path / name, to=to, **settings)
    return tmp_path / name


@pytest.fixture
def load(tmp_path):
    """Read a file as anyone does, with Hugging Face's package and a cache of this test's own."""
    datasets = pytest.importorskip("datasets")

    def read(file):
        kind = "json" if file.suffix == ".jsonl" else "parquet"
        return datasets.load_dataset(kind, data_files=str(file), cache_dir=str(tmp_path / "cache"), split="train")

    return read


@pytest.mark.parametrize(("to", "suffix"), [(to, suffix) for to, form in FORMS.items() for suffix in form.suffixes])
def test_every_form_is_read_by_datasets_with_texts_and_rates_as_they_were(tmp_path, rates, problems, load, to, suffix):
    loaded = load(exported(tmp_path, rates, problems, to, f"out{suffix}"))
    texts = [
        row["problem"] if "problem" in row else row.get("prompt", row.get("messages"))[0]["content"] for row in loaded
    ]
    assert texts == TEXTS
    rates = [row.get("metadata", row) for row in loaded]
    assert [row["pass_rate"] for row in rates] == [s / 8 for s in PASSED]
    assert [row["num_rollouts"] for row in rates] == [8] * 4
    p = np.array(PASSED) / 8
    assert [row["weight"] for row in rates] == pytest.approx(p * (1 - p), abs=1e-15)
    assert np.mean([row["unit_mean_weight"] for row in rates]) == pytest.approx(1, abs=1e-12)


def test_hf_keeps_every_column_of_the_problem_file(tmp_path, rates, problems, load):
    first = load(exported(tmp_path, rates, problems, "hf"))[1]
    assert {name: first[name] for name in ("problem_id", "level", "tags", "solution")} == {
        "problem_id": "q1", "level": 1, "tags": ["a"], "solution": "It is 1.",
    }  # fmt: skip


def test_hf_keeps_the_types_of_a_parquet_file_and_takes_the_rows_by_their_place(tmp_path, rates, load):
    columns = {
        "problem_id": [f"q{n}" for n in range(4)], "problem": TEXTS, "answer": ["0", "1", "2", "3"],
        "level": pa.array([9, 8, 7, 6], pa.int8()),
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "problems.parquet")
    file = exported(tmp_path, rates, tmp_path / "problems.parquet", "hf", drop_zero=True)
    table = pq.read_table(file)
    assert table["level"].to_pylist() == [8, 7]
    assert table.schema.field("level").type == pa.int8()


@pytest.mark.parametrize("more", [[{}] * 4, [{"problem_id": "a"}, {}, {"problem_id": None}, {}]], ids=["none", "some"])
def test_problems_without_ids_of_their_own_are_joined_by_the_hash_of_their_text(tmp_path, more):
    from paced.problems.files import read_problems

    bare = tmp_path / "bare.jsonl"
    rows = [{"problem": text, "answer": "1"} | some for text, some in zip(TEXTS, more, strict=True)]
    bare.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ids = [problem.problem_id for problem in read_problems(bare).problems]
    write_rated(tmp_path / "r.csv", [PassRate(problem_id=one, num_passed=1, num_rollouts=2) for one in ids])
    table = pq.read_table(exported(tmp_path, tmp_path / "r.csv", bare, "hf"))
    assert table["problem_id"].to_pylist() == ids
    assert table["problem"].to_pylist() == TEXTS


def test_verl_reads_its_columns_as_its_dataset_does(tmp_path, rates, problems, load):
    """What RLHFDataset of verl 0.9 takes from a row: prompt, reward_model, extra_info and the other columns."""
    options = ExportOptions(system="Box it.", data_source="math_dapo")
    loaded = load(exported(tmp_path, rates, problems, "verl", options=options, drop_zero=True))
    rows = list(loaded)
    assert [row["extra_info"]["index"] for row in rows] == [0, 1]
    for row, number in zip(rows, (1, 2), strict=True):
        assert row["data_source"] == "math_dapo"
        assert row["ability"] == "math"
        assert row["prompt"] == [
            {"role": "system", "content": "Box it."}, {"role": "user", "content": TEXTS[number]},
        ]  # fmt: skip
        assert row["reward_model"] == {"style": "rule", "ground_truth": str(number)}
        assert row["extra_info"]["split"] == "train"
        assert row["paced_weight"] == row["unit_mean_weight"]
        assert row["extra_info"]["problem_id"] == f"q{number}"
    unnamed = load(exported(tmp_path, rates, problems, "verl", "unnamed.parquet"))
    assert unnamed[0]["data_source"] == "problems"


def test_a_chat_form_holds_what_its_trainers_reader_takes(tmp_path, rates, problems, load):
    """NeMo-RL: messages[0] the problem, [1] the gold; slime: messages, label, metadata; Tinker: a conversation."""
    nemo = load(exported(tmp_path, rates, problems, "nemo-rl", "nemo.jsonl"))
    assert [[message["role"] for message in row["messages"]] for row in nemo] == [["user", "assistant"]] * 4
    assert [row["messages"][1]["content"] for row in nemo] == ["0", "1", "2", "3"]
    assert nemo["loss_multiplier"][:] == nemo["unit_mean_weight"][:]
    options = ExportOptions(system="Box it.")
    slime = load(exported(tmp_path, rates, problems, "slime", "slime.parquet", options=options))
    assert slime[1]["prompt"] == [{"role": "system", "content": "Box it."}, {"role": "user", "content": TEXTS[1]}]
    assert (slime[1]["label"], slime[1]["metadata"]["problem_id"]) == ("1", "q1")
    tinker = load(exported(tmp_path, rates, problems, "tinker", "tinker.jsonl"))
    assert tinker[3]["messages"][-1] == {"role": "assistant", "content": "It is 3."}
    with pytest.raises(ConfigError, match="takes the first message for the problem, got --system"):
        exported(tmp_path, rates, problems, "nemo-rl", "n.jsonl", options=options)


@pytest.mark.parametrize("trainer", WITHOUT_WEIGHTS)
def test_a_trainer_without_a_place_for_a_weight_is_refused_with_the_reason(tmp_path, rates, problems, trainer):
    with pytest.raises(ConfigError, match=f"{trainer} reads no weight of a problem from a file, as its "):
        exported(tmp_path, rates, problems, trainer)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.slow
def test_trl_sees_a_prompt_only_set_in_both_of_its_forms(tmp_path, rates, problems, load):
    pytest.importorskip("trl")
    from tiny_models import byte_tokenizer
    from trl.data_utils import is_conversational, maybe_apply_chat_template

    chat = load(exported(tmp_path, rates, problems, "trl"))
    text = load(exported(tmp_path, rates, problems, "trl", "text.parquet", options=ExportOptions(as_text=True)))
    assert is_conversational(chat[0])
    assert not is_conversational(text[0])
    assert text["prompt"][:] == TEXTS
    applied = maybe_apply_chat_template({"prompt": chat[0]["prompt"]}, byte_tokenizer(chat=True))
    assert applied["prompt"] == f"<|user|>{TEXTS[0]}<|end|><|assistant|>"
    assert {"answer", "solution", "weight"} <= set(chat.column_names)


def test_trl_has_a_solution_only_where_the_problems_have_one(tmp_path, rates, problems):
    rows = [json.loads(line) for line in problems.read_text().splitlines()]
    problems.write_text("".join(json.dumps(row | {"solution": ""}) + "\n" for row in rows))
    assert "solution" not in pq.read_table(exported(tmp_path, rates, problems, "trl")).column_names


def test_the_table_of_weigh_brings_its_own_weights(tmp_path, rates, problems):
    weigh_file(rates, tmp_path / "weights.csv", weight=HardFilter(low=0.3, high=0.4))
    table = pq.read_table(exported(tmp_path, tmp_path / "weights.csv", problems, "hf", weight=None))
    assert table["weight"].to_pylist() == [0, 1, 0, 0]
    assert table["unit_mean_weight"].to_pylist() == [0, 4, 0, 0]
    with pytest.raises(ConfigError, match=r"rates\.parquet: has no column 'weight'"):
        exported(tmp_path, rates, problems, "hf", weight=None)


def test_a_filtered_set_has_unit_mean_weights_over_what_is_left(tmp_path, rates, problems):
    whole = export_training_set(rates, problems, tmp_path / "a.parquet", to="hf", weight=BetaKernel(), min_weight=0.24)
    assert whole.num_problems == 1
    assert "left out: 3 problems by their weight" in whole.report
    assert pq.read_table(tmp_path / "a.parquet")["unit_mean_weight"].to_pylist() == [1.0]
    kept = pq.read_table(exported(tmp_path, rates, problems, "hf", weight=DropZero(), drop_zero=True))
    assert kept["problem_id"].to_pylist() == ["q1", "q2", "q3"]
    assert kept["unit_mean_weight"].to_pylist() == [1.0, 1.0, 1.0]


def test_a_problem_without_a_pass_rate_is_left_out_and_counted(tmp_path, problems):
    ungradable = PassRate(problem_id="q0", num_passed=0, num_rollouts=0, num_ungradable=8)
    write_rated(tmp_path / "r.jsonl", [ungradable, PassRate(problem_id="q2", num_passed=1, num_rollouts=8)])
    done = export_training_set(tmp_path / "r.jsonl", problems, tmp_path / "o.parquet", to="trl", weight=BetaKernel())
    assert done.num_problems == 1
    assert "left out: 3 problems without a pass rate" in done.report


def test_the_same_inputs_give_the_same_bytes(tmp_path, rates, problems):
    for to, form in FORMS.items():
        first, second = (exported(tmp_path, rates, problems, to, f"{n}{form.suffixes[0]}").read_bytes() for n in (1, 2))
        assert first == second


def test_another_prompt_than_the_rated_one_is_said(tmp_path, rates, problems):
    folder = tmp_path / "rates.parquet.rollouts"
    folder.mkdir()
    (folder / "settings.json").write_text('{"settings": {"prompts.system": "Box it.", "prompts.student": "{problem}"}}')
    said = export_training_set(rates, problems, tmp_path / "o.parquet", to="trl", weight=BetaKernel()).report
    assert "the rates were measured with prompts.system='Box it.'" in said
    same = ExportOptions(system="Box it.")
    again = export_training_set(rates, problems, tmp_path / "o.parquet", to="trl", weight=BetaKernel(), options=same)
    assert "were measured" not in again.report


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to": "trll"}, "to must be one of trl, verl, hf, nemo-rl, slime, tinker, got 'trll'. Did you mean 'trl'"),
        ({"output": "out.csv"}, "verl reads .parquet"),
        ({"output": "rates.parquet"}, "the output must not be an input"),
        ({"min_weight": float("nan")}, "min_weight must be finite and >= 0, got nan"),
        ({"min_weight": 0.9}, "no problem is left of 4 .*largest weight 0.25"),
        ({"weight": HardFilter(low=0.9, high=0.95)}, "every weight is 0"),
        ({"problems": "absent.jsonl"}, "absent.jsonl: no such file"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_sentence(tmp_path, rates, problems, changes, words):
    given = {"to": "verl", "output": "out.parquet", "problems": "problems.jsonl", "weight": BetaKernel()} | changes
    output, file = tmp_path / given.pop("output"), tmp_path / given.pop("problems")
    before = rates.read_bytes()
    with pytest.raises((ConfigError, FileNotFoundError), match=words):
        export_training_set(rates, file, output, **given)
    assert rates.read_bytes() == before


def test_a_table_of_other_problems_is_refused_by_name(tmp_path, problems):
    write_rated(tmp_path / "r.csv", [PassRate(problem_id=f"x{n}", num_passed=1, num_rollouts=2) for n in range(5)])
    with pytest.raises(ConfigError, match=r"5 of 5 problem ids are not in .*\('x0', 'x1', 'x2', \.\.\.\)"):
        exported(tmp_path, tmp_path / "r.csv", problems, "hf")
    (tmp_path / "bare.csv").write_text("num_passed,num_rollouts\n1,8\n")
    with pytest.raises(ConfigError, match="has no column of problem ids"):
        exported(tmp_path, tmp_path / "bare.csv", problems, "hf")


def test_weights_that_are_none_are_named_with_their_rows(tmp_path, problems):
    (tmp_path / "w.csv").write_text("problem_id,num_passed,num_rollouts,weight\nq0,1,8,-1\nq1,1,8,heavy\nq2,1,8,1\n")
    with pytest.raises(BadRows, match="2 rows cannot be used") as caught:
        exported(tmp_path, tmp_path / "w.csv", problems, "hf", weight=None)
    assert [row.row for row in caught.value.rows] == [2, 3]


def test_hf_overwrites_no_column_and_makes_none_of_several_types(tmp_path, rates, problems):
    rows = [json.loads(line) for line in problems.read_text().splitlines()]
    problems.write_text("".join(json.dumps(row | {"pass_rate": 1}) + "\n" for row in rows))
    with pytest.raises(ConfigError, match="has a column pass_rate of its own"):
        exported(tmp_path, rates, problems, "hf")
    problems.write_text("".join(json.dumps(row | {"level": [1] if n else "x"}) + "\n" for n, row in enumerate(rows)))
    with pytest.raises(ConfigError, match="column 'level' holds values of several types"):
        exported(tmp_path, rates, problems, "hf")


def test_a_prompt_without_its_problem_is_refused():
    with pytest.raises(ConfigError, match=r"prompt must contain \{problem\}, got 'Solve it'"):
        ExportOptions(prompt="Solve it")
