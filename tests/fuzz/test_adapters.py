"""Rows of every known data set, damaged anywhere: each is a problem, a repeat, or named with its reason; none lost."""

from __future__ import annotations

import copy
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import FOLDER, cells, fuzzed_each, texts, watched
from hypothesis import strategies as st
from problems.public_sets import SETS

from paced.errors import BadRows, ConfigError
from paced.problems.adapters import AUTO, DATASETS
from paced.problems.files import read_problems

COLUMNS = sorted({column for public in SETS.values() for column in public.columns})
DROPPED = object()
"""Stands for a cell that is taken away."""


@st.composite
def damaged(draw, name):
    """(adapter, rows of one of its public sets, all but the first with a few damages, whether the adapter is named)."""
    rows = [public.rows for public in SETS.values() if public.adapter == name]
    originals = draw(st.lists(st.sampled_from(draw(st.sampled_from(rows))), min_size=2, max_size=5))
    rows = copy.deepcopy(originals)
    for row in rows[1:]:
        for _ in range(draw(st.integers(0, 3))):
            damage(draw, row)
    return name, rows, draw(st.booleans())


def damage(draw, row):
    """Replace, take away or add one cell of a row, or what is anywhere inside of one."""
    holder, key = row, draw(st.sampled_from([*row, draw(st.sampled_from(COLUMNS))]))
    while isinstance(inner := holder[key] if isinstance(holder, list) else holder.get(key), dict | list) and inner:
        if draw(st.booleans()):
            break
        holder, key = inner, draw(st.sampled_from([*inner] if isinstance(inner, dict) else range(len(inner))))
    if isinstance(inner, str) and draw(st.booleans()):
        place = draw(st.integers(0, len(inner)))
        holder[key] = draw(st.sampled_from([inner[:place], inner[:place] + draw(texts) + inner[place:]]))
        return
    value = draw(st.one_of(st.just(DROPPED), cells))
    if value is not DROPPED:
        holder[key] = value
    elif isinstance(holder, list) or key in holder:
        del holder[key]


def written(rows):
    """The rows as parquet, as JSON lines where no schema holds all of them."""
    try:
        pq.write_table(pa.Table.from_pylist(rows), FOLDER / "rows.parquet")
    except (pa.ArrowException, TypeError, OverflowError, UnicodeEncodeError):
        file = FOLDER / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file
    return FOLDER / "rows.parquet"


@pytest.mark.slow
@fuzzed_each(list(DATASETS), damaged)
def test_damaged_rows_of_a_data_set_are_read_or_named_and_their_numbers_add_up(case):
    name, rows, is_named = case
    with watched():
        try:
            file = read_problems(written(rows), adapter=name if is_named else AUTO, on_bad_row="quarantine")
        except (BadRows, ConfigError) as error:
            str(error).encode("utf-8")
            return
        assert len(file.problems) + file.num_repeated + len(file.quarantined) == file.num_rows == len(rows)
        assert len({problem.problem_id for problem in file.problems}) == len(file.problems)
        assert all(one.faults for one in file.quarantined)
        for problem in file.problems:
            assert problem.problem.strip()
            assert problem.answer.strip()
            (problem.problem + problem.answer + problem.solution + problem.messages).encode("utf-8")
