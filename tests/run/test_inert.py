"""Texts of strangers act nowhere: not on a terminal, not in a spreadsheet; and secrets are in no file of a run."""

from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.cli.app import _say
from paced.errors import RunFolderError
from paced.figures import csv_text
from paced.run.configfile import build_config
from paced.run.folder import RunFolder
from paced.run.inert import FORMULA, inert, inert_cell, say
from paced.run.progress import Lines
from paced.weights.table.read import read_counts, write_weights

HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202eabc\u2066 \x9b2J \u200b\u2028 \x7f\r"


@given(st.text())
def test_nothing_that_acts_is_left_and_the_rest_stays(text):
    shown = inert(text)
    assert not any(
        unicodedata.category(one) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") for one in shown if one not in "\n\t"
    )
    harmless = "".join(one for one in text if inert(one) == one)
    assert inert(harmless) == harmless
    shown.encode("utf-8")


def test_every_way_to_the_terminal_is_inert(capsys):
    say(HOSTILE)
    Lines().note(HOSTILE)
    with Lines().track(HOSTILE, 1):
        pass
    _say(HOSTILE)
    printed = "".join(capsys.readouterr())
    assert all(one.isprintable() for one in printed if one != "\n")
    assert printed.count("\\x1b[31mred") == 4


@given(st.lists(st.one_of(st.text(), st.floats(allow_nan=False), st.integers()), min_size=1))
def test_no_cell_of_a_csv_for_people_is_a_formula_and_numbers_stay_numbers(values):
    table = list(csv.reader(io.StringIO(csv_text({"=x": values}), newline="")))
    assert table[0] == ["'=x"]
    assert len(table) == len(values) + 1
    for cell, value in zip((row[0] if row else "" for row in table[1:]), values, strict=True):
        if not isinstance(value, str):
            assert float(cell) == value
        elif cell.startswith(FORMULA):
            float(cell)


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "  =1", "=cmd|' /C calc'!A0", "-x", "-1_0"]
)
def test_a_formula_gets_an_apostrophe(cell):
    assert inert_cell(cell) == f"'{cell}"


def test_a_carriage_return_begins_no_row_and_hides_no_formula():
    assert csv_text({"a": ["\r=1", "b"]}) == "a\n\\r=1\nb\n"


@pytest.mark.parametrize("cell", ["-1", "+2.5", "-1e-6", -3, -0.5, None, "a=b", "", "-inf"])
def test_what_is_no_formula_stays_as_it_is(cell):
    assert inert_cell(cell) == cell


def test_ids_that_a_spreadsheet_would_run_are_refused_as_csv_and_kept_as_parquet(tmp_path):
    (tmp_path / "t.csv").write_text("problem_id,num_passed,num_rollouts\n=1+1,3,8\nb,4,8\n")
    table = read_counts(tmp_path / "t.csv")
    with pytest.raises(ValueError, match="begins as a formula of a spreadsheet"):
        write_weights(tmp_path / "w.csv", table, [1.0, 1.0], [1.0, 1.0])
    write_weights(tmp_path / "w.parquet", table, [1.0, 1.0], [1.0, 1.0])
    assert not (tmp_path / "w.csv").exists()


def recipe():
    return build_config({"name": "a", "problems": {"path": "p.jsonl"}})


def test_a_run_that_is_or_holds_a_link_is_refused(tmp_path):
    run = RunFolder(tmp_path / "runs" / "a")
    run.claim(recipe())
    with run.locked():
        pass
    (tmp_path / "elsewhere").mkdir()
    (run.root / "stage-1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFolderError, match="stage-1: is a symbolic link"), run.locked():
        pass
    with pytest.raises(RunFolderError, match="stage-1: is a symbolic link"):
        run.claim(recipe())
    (tmp_path / "link").symlink_to(run.root)
    with pytest.raises(RunFolderError, match="link: is a symbolic link"), RunFolder(tmp_path / "link").locked():
        pass


def test_secrets_of_the_environment_are_in_no_file_of_a_run(tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "WANDB_API_KEY", "MY_KEY"):
        monkeypatch.setenv(name, "sk-very-secret")
    run = RunFolder(tmp_path / "a")
    engine = {"name": "server", "parameters": {"base_urls": ["http://h:1"], "api_key_env": "MY_KEY"}}
    run.claim(build_config({"name": "a", "problems": {"path": "p.jsonl"}, "rollouts": {"engine": engine}}))
    files = [file for file in run.root.rglob("*") if file.is_file()]
    assert len(files) >= 2
    assert not any(b"sk-very-secret" in file.read_bytes() for file in files)
    assert set(json.loads(run.environment.read_text())) == {
        "paced", "commit", "python", "machine", "system", "threads", "seed", "versions",
    }  # fmt: skip
