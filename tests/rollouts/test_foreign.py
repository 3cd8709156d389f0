"""Completions of other tools are read whole, or refused with everything that is wrong: nothing is lost or guessed."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import byte_tokenizer

from paced.errors import BadRows, ConfigError
from paced.records import Problem, Rollout
from paced.rollouts.foreign import files_of, read_completions
from paced.run.storage import encode_line

PROBLEMS = [Problem(problem_id=str(i), problem=f"{i} + {i + 1}", answer=str(2 * i + 1)) for i in range(4)]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def dump(num_samples=2, **changes):
    return [{"uid": i, "response": f"{i} {k}", "why": "stop"} | changes for i in range(4) for k in range(num_samples)]


NAMES = {"problem_id": "uid", "text": "response", "finish_reason": "why"}


def said(rollouts):
    return [(one.problem_id, one.sample_index, one.text, one.finish_reason) for one in rollouts]


EXPECTED = [(str(i), k, f"{i} {k}", "stop") for i in range(4) for k in range(2)]


def test_rows_in_any_order_become_the_samples_of_the_problems_in_their_order(tmp_path):
    rollouts, _ = read_completions(write(tmp_path / "a.jsonl", dump()[::-1]), PROBLEMS, columns=NAMES)
    assert said(rollouts) == [(i, k, f"{i} {1 - k}", "stop") for i, k, _, _ in EXPECTED]
    indexed = [row | {"sample_index": n % 2} for n, row in enumerate(dump())][::-1]
    rollouts, _ = read_completions(write(tmp_path / "a.jsonl", indexed), PROBLEMS, columns=NAMES)
    assert said(rollouts) == EXPECTED


def test_the_same_completions_are_read_from_every_form_of_file(tmp_path):
    write(tmp_path / "a.jsonl", dump())
    write(tmp_path / "a.jsonl.gz", dump())
    (tmp_path / "a.json").write_text(json.dumps(dump(), indent=1))
    (tmp_path / "a.csv").write_text(
        "uid,response,why\n" + "".join(f"{r['uid']},{r['response']},stop\n" for r in dump())
    )
    pq.write_table(pa.Table.from_pylist(dump()), tmp_path / "a.parquet")
    for file in tmp_path.iterdir():
        assert said(read_completions(file, PROBLEMS, columns=NAMES)[0]) == EXPECTED, file.name


TOOLS = {
    "verl generation": (
        {"prompt": [{"role": "system", "content": "Brief."}, {"role": "user", "content": "{problem}"}],
         "responses": ["{0}", "{1}"]},
        {"text": "responses"},
    ),
    "verl rollout log": ({"input": "user\n{problem}\nassistant\n", "output": "{k}", "step": 1},
                         {"prompt": "input", "text": "output"}),
    "trl": ({"step": 1, "prompt": "{problem}", "completion": "{k}"}, {"text": "completion"}),
    "trl conversations": (
        {"prompt": [{"role": "user", "content": "{problem}"}], "completion": [{"role": "assistant", "content": "{k}"}]},
        {"text": "completion"},
    ),
    "vllm outputs": (
        {"prompt": "{problem}", "outputs": [
            {"text": "{0}", "finish_reason": "stop"}, {"text": "{1}", "finish_reason": "stop"}]},
        {"text": "outputs.text", "finish_reason": "outputs.finish_reason"},
    ),
    "batch of an OpenAI server": (
        {"custom_id": "{id}", "response": {"body": {"choices": [
            {"message": {"content": "{0}"}, "finish_reason": "stop"},
            {"message": {"content": "{1}"}, "finish_reason": "stop"}]}}},
        {"problem_id": "custom_id", "text": "response.body.choices.message.content",
         "finish_reason": "response.body.choices.finish_reason"},
    ),
    "lighteval": (
        {"doc": {"query": "{problem}", "id": "x"}, "model_response": {"text": ["{0}", "{1}"]}},
        {"prompt": "doc.query", "text": "model_response.text"},
    ),
    "lm-eval": ({"doc_id": "{id}", "resps": [["{0}", "{1}"]]}, {"problem_id": "doc_id", "text": "resps"}),
}  # fmt: skip


@pytest.mark.parametrize("form", [".jsonl", ".parquet"])
@pytest.mark.parametrize("tool", TOOLS)
def test_a_dump_of_a_known_tool_needs_a_mapping_and_no_rewriting(tmp_path, tool, form):
    template, columns = TOOLS[tool]
    text = json.dumps(template)
    rows = []
    for problem in PROBLEMS:
        filled = text.replace("{problem}", problem.problem).replace("{id}", problem.problem_id)
        filled = filled.replace("{0}", f"{problem.problem_id} 0").replace("{1}", f"{problem.problem_id} 1")
        rows += [
            json.loads(filled.replace("{k}", f"{problem.problem_id} {k}")) for k in range(2 if "{k}" in text else 1)
        ]
    file = tmp_path / f"dump{form}"
    if form == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        write(file, rows)
    prompts = {problem.problem_id: [f"user\n{problem.problem}\nassistant\n"] for problem in PROBLEMS}
    rollouts, _ = read_completions(file, PROBLEMS, columns=columns, prompts=prompts, num_samples=2)
    assert said(rollouts) == EXPECTED


def test_our_own_files_and_their_shards_are_read_back_as_they_were(tmp_path):
    ours = [
        Rollout(problem_id=str(i), sample_index=k, token_ids=(4 + k, 0), text="", finish_reason="stop", seed=2**63 + i)
        for i in range(4) for k in range(3)
    ]  # fmt: skip
    for shard in range(2):
        file = tmp_path / f"shard-{shard}.jsonl"
        file.write_text("".join(encode_line(one) + "\n" for one in ours if int(one.problem_id) % 2 == shard))
    for path in (tmp_path / "shard-*.jsonl", [tmp_path / "shard-1.jsonl", tmp_path / "shard-0.jsonl"]):
        assert list(read_completions(path, PROBLEMS, num_samples=3)[0]) == ours


def test_all_bad_rows_are_named_at_once(tmp_path):
    rows = dump()
    rows[0] |= {"response": None}
    rows[1] |= {"uid": 17}
    rows[2] |= {"why": "abort"}
    rows[3] |= {"uid": None}
    rows += [{"uid": 0, "response": "x", "why": "stop"}, {"uid": 1, "response": "x", "why": None}]
    with pytest.raises(BadRows, match="4 rows cannot be used") as caught:
        read_completions(write(tmp_path / "a.jsonl", rows), PROBLEMS, columns=NAMES)
    message = str(caught.value)
    for row, column, found in (
        (1, "response", "nothing"),
        (2, "uid", "17"),
        (3, "why", "'abort'"),
        (4, "uid", "nothing"),
    ):
        assert f"row {row}, column '{column}': found {found}" in message


def test_bad_rows_of_one_file_alone_are_an_error_of_that_file(tmp_path):
    file = write(tmp_path / "a.jsonl", dump(why="abort"))
    with pytest.raises(BadRows, match="8 rows cannot be used") as caught:
        read_completions(file, PROBLEMS, columns=NAMES)
    assert (caught.value.file, len(caught.value.rows)) == (str(file), 8)


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (dump()[2:], r"1 of 4 problems have no completion \('0'\)"),
        (dump()[1:], r"the same number of completions, 2 for most, got 1 for 1 of 4 problems \('0'\)"),
        ([*dump(), dump()[0]], r"2 for most, got 3 for 1 of 4 problems \('0'\)"),
    ],
)  # fmt: skip
def test_problems_without_all_their_completions_are_named(tmp_path, rows, match):
    with pytest.raises(ConfigError, match=match):
        read_completions(write(tmp_path / "a.jsonl", rows), PROBLEMS, columns=NAMES)


def test_k_is_as_asked_or_refused(tmp_path):
    file = write(tmp_path / "a.jsonl", dump())
    with pytest.raises(ConfigError, match="every problem must have 3 completions, got 2 for 4 of 4 problems"):
        read_completions(file, PROBLEMS, columns=NAMES, num_samples=3)
    uneven = write(tmp_path / "b.jsonl", dump()[1:])
    assert len(read_completions(uneven, PROBLEMS, columns=NAMES, equal_counts=False)[0]) == 7


def test_a_sample_that_comes_twice_is_named_with_its_first_row(tmp_path):
    rows = [row | {"sample_index": n % 2} for n, row in enumerate(dump())]
    rows[1]["sample_index"] = 0
    with pytest.raises(
        BadRows, match=r"row 2, column 'sample_index'.*Row 1 of a.jsonl has the same sample of problem '0'"
    ):
        read_completions(write(tmp_path / "a.jsonl", rows), PROBLEMS, columns=NAMES)


def test_rows_of_other_problems_are_refused_unless_they_are_known(tmp_path):
    file = write(tmp_path / "a.jsonl", dump())
    with pytest.raises(BadRows, match="found 3. No problem has this id"):
        read_completions(file, PROBLEMS[:3], columns=NAMES)
    for others in (PROBLEMS, None):
        rollouts, notes = read_completions(file, PROBLEMS[:3], columns=NAMES, others=others)
        assert said(rollouts) == EXPECTED[:6]
        assert any("2 rows of other problems were passed over" in one for one in notes)


def test_an_id_that_contradicts_the_text_is_refused(tmp_path):
    """Numbers of rows are taken for ids, and move by one when a problem is left out."""
    rows = [row | {"prompt": PROBLEMS[(row["uid"] + 1) % 4].problem} for row in dump()]
    with pytest.raises(ConfigError, match="By its prompt the row belongs to the problem '1'"):
        read_completions(write(tmp_path / "a.jsonl", rows), PROBLEMS, columns=NAMES)


def test_a_text_of_two_problems_names_neither(tmp_path):
    twins = [*PROBLEMS, Problem(problem_id="twin", problem="0  + 1", answer="1")]
    rows = [{"prompt": problem.problem, "text": "x"} for problem in PROBLEMS]
    with pytest.raises(ConfigError, match="Several problems have this text: name the column of the problem's id"):
        read_completions(write(tmp_path / "a.jsonl", rows), twins)


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({}, r"columns: \{problem_id: uid\}; .*columns: \{text: response\}. Columns found: uid, response, why"),
        ({"id": "uid"}, "columns: must be named problem_id, .*got 'id'"),
        ({"problem_id": "udi", "text": "response"}, "columns.problem_id: there is no 'udi' Did you mean 'uid'"),
    ],
)  # fmt: skip
def test_columns_that_nobody_knows_are_asked_for_and_never_guessed(tmp_path, columns, match):
    with pytest.raises(ConfigError, match=match):
        read_completions(write(tmp_path / "a.jsonl", dump()), PROBLEMS, columns=columns)


def test_what_the_file_does_not_say_is_said(tmp_path):
    rows = [{"problem_id": one.problem_id, "text": "4", "score": 1} for one in PROBLEMS for _ in range(2)]
    _, notes = read_completions(write(tmp_path / "a.jsonl", rows), PROBLEMS)
    for part in (
        "columns not used: score",
        "8 of 8 completions do not say how they ended and count as ended",
        "8 of 8 completions have no token ids: they give pass rates, and no training",
        "all completions of each problem are the same text",
    ):
        assert any(part in note for note in notes), part


def test_token_ids_are_held_against_the_tokenizer_and_the_text(tmp_path):
    tokenizer = byte_tokenizer(chat=False)
    ids = {text: tokenizer.encode(text) for text in ("4", "5")}
    good = [{"problem_id": one.problem_id, "text": "4", "token_ids": [*ids["4"], 0]} for one in PROBLEMS]
    rollouts, _ = read_completions(write(tmp_path / "a.jsonl", good), PROBLEMS, tokenizer=tokenizer)
    assert {one.token_ids for one in rollouts} == {(*ids["4"], 0)}
    bare = [{key: value for key, value in row.items() if key != "text"} for row in good]
    again, _ = read_completions(write(tmp_path / "b.jsonl", bare), PROBLEMS, tokenizer=tokenizer)
    assert list(again) == list(rollouts)
    bad = [dict(row) for row in good]
    bad[0]["token_ids"], bad[1]["token_ids"] = [*ids["5"], 0], [100_000]
    bad[2]["token_ids"], bad[3]["token_ids"] = "[4]", [-1]
    with pytest.raises(BadRows) as caught:
        read_completions(write(tmp_path / "c.jsonl", bad), PROBLEMS, tokenizer=tokenizer)
    fixes = [row.fix for row in caught.value.rows]
    parts = ["They read '5' and the text '4'", "the file is of another model", *["Write a list of integers >= 0"] * 2]
    assert all(part in fix for part, fix in zip(parts, fixes, strict=True))
    with pytest.raises(ConfigError, match="rows of token ids alone need the tokenizer"):
        read_completions(tmp_path / "b.jsonl", PROBLEMS)


def test_a_list_must_have_one_entry_for_each_completion(tmp_path):
    rows = [{"problem_id": one.problem_id, "text": ["4", "5"], "finish_reason": ["stop"]} for one in PROBLEMS]
    with pytest.raises(BadRows, match="4 rows cannot be used(.|\n)*The row has 2 completions: write as many here"):
        read_completions(write(tmp_path / "a.jsonl", rows), PROBLEMS)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.txt", b"x", "the name must end in"),
        ("a.jsonl", b"", "the file is empty"),
        ("a.parquet", b"x", "is not a parquet file"),
        ("b-*.jsonl", None, "no file has a name of this pattern"),
        ("b.jsonl", None, "no such file"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_fault_of_the_settings(tmp_path, name, content, match):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=match):
        read_completions(tmp_path / name, PROBLEMS)


def test_a_name_with_the_signs_of_a_pattern_is_a_file_when_there_is_one(tmp_path):
    file = write(tmp_path / "a[1].jsonl", dump())
    assert files_of(file) == [file]


cells = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["content", "text", "x"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


@given(st.lists(st.fixed_dictionaries({"uid": st.integers(0, 4) | cells, "response": cells, "why": cells}), max_size=6))
def test_any_rows_are_read_whole_or_refused_in_one_sentence(tmp_path_factory, rows):
    file = write(tmp_path_factory.mktemp("any") / "a.jsonl", [*rows, dump()[0]])
    try:
        rollouts, _ = read_completions(file, PROBLEMS[:1], columns=NAMES, others=PROBLEMS)
    except (ConfigError, BadRows):
        return
    assert {(one.problem_id, type(one.text)) for one in rollouts} == {("0", str)}


def test_token_ids_alone_keep_a_thinking_tag_that_is_a_control_token(tmp_path):
    tokenizer = byte_tokenizer(chat=True)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>", "<|pad|>"]})
    tokens = tokenizer.encode("<think>5</think>6<|pad|>", add_special_tokens=False)
    rows = [{"problem_id": str(i), "token_ids": tokens, "finish_reason": "length"} for i in range(4)]
    rollouts, _ = read_completions(write(tmp_path / "a.jsonl", rows), PROBLEMS, tokenizer=tokenizer)
    assert {one.text for one in rollouts} == {"<think>5</think>6"}
    for text in ("<think>5</think>6", "56", "<think>5</think>6<|pad|>"):  # what tools write beside the same tokens
        beside = [row | {"text": text} for row in rows]
        rollouts, _ = read_completions(write(tmp_path / "b.jsonl", beside), PROBLEMS, tokenizer=tokenizer)
        assert {one.text for one in rollouts} == {text}
