"""Every row of someone else's file is read, or named; the same rows come out of every format."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.errors import BadRows
from paced.run.tablefile import FORMATS, column_names, read_rows

ROWS = [{"id": "q1", "n": "3"}, {"id": 'say "5"', "n": "4"}, {"id": "two\nlines, a comma", "n": "5"}]


def file_of(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, **options):
    """(line, cells) of every row, and 'line: fix' of every fault."""
    faults = []
    rows = list(read_rows(path, faults, **options))
    return rows, [f"{fault.row}: {fault.fix}" for fault in faults]


def csv_bytes(rows, **options):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parquet_bytes(rows, **options):
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, **options)
    return sink.getvalue()


def as_format(rows, suffix):
    if FORMATS[suffix] == "parquet":
        return parquet_bytes(rows)
    if FORMATS[suffix] == "csv":
        return csv_bytes(rows, delimiter="\t" if suffix == ".tsv" else ",")
    return json.dumps(rows).encode() if suffix == ".json" else "\n".join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("upper", [False, True])
def test_every_format_gives_the_same_rows_plain_or_gzipped_in_any_case(tmp_path, suffix, packed, upper):
    content = as_format(ROWS, suffix)
    name = f"a{suffix}.gz" if packed else f"a{suffix}"
    path = file_of(tmp_path, name.upper() if upper else name, gzip.compress(content) if packed else content)
    rows, faults = read(path)
    assert ([cells for _, cells in rows], faults) == (ROWS, [])
    assert column_names(path) == ["id", "n"]


def test_gzip_is_known_by_its_content_not_by_the_name(tmp_path):
    assert read(file_of(tmp_path, "a.jsonl", gzip.compress(b'{"id": 1}\n')))[0] == [(1, {"id": 1})]
    assert read(file_of(tmp_path, "b.jsonl.gz", b'{"id": 1}\n'))[0] == [(1, {"id": 1})]


texts = st.text(
    st.one_of(st.sampled_from("\",\n;\t\r'\\ 0q\u2028\ufeff"), st.characters(exclude_categories=["Cs"])), max_size=8
)
texts = texts.map(lambda text: text.replace("\0", ""))


@given(rows=st.lists(st.fixed_dictionaries({"id": texts, "n": st.integers(0, 9).map(str), "note": texts}), min_size=1))
def test_what_the_csv_module_writes_comes_back_row_for_row(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("csv")
    for name, options in {
        "a.csv": {},
        "b.csv": {"lineterminator": "\n", "quoting": csv.QUOTE_ALL},
        "c.csv": {"delimiter": ";"},
        "d.tsv": {"delimiter": "\t"},
    }.items():
        path = file_of(folder, name, csv_bytes(rows, **options))
        back, faults = read(path)
        assert ([cells for _, cells in back], faults) == (rows, [])


@given(rows=st.lists(st.fixed_dictionaries({"id": texts, "n": st.integers(), "note": st.none() | texts}), min_size=1))
def test_what_json_and_parquet_write_comes_back_row_for_row(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("json")
    contents = {
        "a.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "b.jsonl": "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        "c.json": json.dumps(rows, indent=1),
        "d.json": "\n".join(json.dumps(row, indent=2, ensure_ascii=False) for row in rows),
    }
    if all(abs(row["n"]) < 1 << 63 for row in rows):
        contents["e.parquet"] = parquet_bytes(rows)
    for name, content in contents.items():
        back, faults = read(file_of(folder, name, content))
        assert ([cells for _, cells in back], faults) == (rows, []), name


@given(st.data())
def test_no_line_of_a_csv_file_is_lost_whatever_quotes_stray_into_it(tmp_path_factory, data):
    """Rows out are lines of the file, or cells with line breaks that are quoted as they should be, or faults."""
    cells = st.text("ab\"' ", max_size=5)
    lines = data.draw(st.lists(st.tuples(cells, st.integers(0, 8), st.just(8)), min_size=1, max_size=8))
    text = "id,s,K\n" + "".join(f"{name},{s},{k}\n" for name, s, k in lines)
    is_row = lambda cells: cells["s"].isdigit() and cells["K"].isdigit()  # noqa: E731
    rows, faults = read(file_of(tmp_path_factory.mktemp("stray"), "a.csv", text), is_row=is_row)
    assert len(rows) + len(faults) == len(lines) or any("swallows" in fault for fault in faults)
    for row, found in rows:
        name, s, k = lines[row - 2]
        assert (found["s"], found["K"]) == (str(s), str(k))
        assert found["id"] in (name, name[1:-1].replace('""', '"'))


@pytest.mark.parametrize(
    ("text", "rows", "faults"),
    [
        ('q1,"height of 5 feet,3\nq2,a,4\nq3,"quoted",8\n', [3, 4], [2]),
        ('q1,a,3\n"q2,a,4\nq3,a,5\n', [2, 4], [3]),
        ('"q1"x,a,3\nq2,a,4\n', [3], [2]),
        ('q1,"a" ,3\nq2,a,4\n', [3], [2]),
        ('q1,"a \\"b\\" c",3\nq2,a,4\n', [3], [2]),
        ('q"1,5" disk,3\nq2,a,4\n', [2, 3], []),
        ('q1,"two\nlines",3\nq2,a,4\n', [2, 4], []),
        ('q1,"a ""b""\nc",3\nq2,a,4\n', [2, 4], []),
        ("q1,a,3\n\nq2,a\nq3,a,4,5\n", [2], [4, 5]),
    ],
)
def test_a_stray_quote_costs_its_own_row_only(tmp_path, text, rows, faults):
    found, named = read(file_of(tmp_path, "a.csv", "id,note,s\n" + text))
    assert [row for row, _ in found] == rows
    assert [int(fault.split(":")[0]) for fault in named] == faults


def test_a_cell_of_which_every_line_is_a_row_is_refused_and_a_text_with_commas_is_not(tmp_path):
    is_row = lambda cells: cells["s"].isdigit()  # noqa: E731
    swallowed = 'id,s\n"q1,3\nq2,4\nq3",8\n'
    rows, faults = read(file_of(tmp_path, "a.csv", swallowed), is_row=is_row)
    assert rows == []
    assert faults == ["2: A quote opened here swallows the rows up to 4: remove it, or write JSON lines."]
    odd_line_between = 'id,note,s\n"q1",",3\nq2,some, more,4\nq3,ok",8\n'.replace('"q1",', "q1,")
    assert read(file_of(tmp_path, "c.csv", odd_line_between), is_row=is_row) == ([], faults)
    prompt = 'id,s\n"Take 1, 2\nand 3",3\n'
    assert read(file_of(tmp_path, "b.csv", prompt), is_row=is_row)[0] == [(2, {"id": "Take 1, 2\nand 3", "s": "3"})]


def test_a_broken_quote_in_the_header_is_refused(tmp_path):
    with pytest.raises(BadRows, match="row 1, .*A quote opened here is not closed"):
        column_names(file_of(tmp_path, "a.csv", '"id,n\nq1,3\n'))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("id;n\nq1;3\n", ["id", "n"]),
        ("\n\nid;n\nq1;3\n", ["id", "n"]),
        ('"a, b, c";n\nq1;3\n', ["a, b, c", "n"]),
        ("id\tn\nq1\t3\n", ["id", "n"]),
        ("\ufeffid,n\r\nq1,3\r\n", ["id", "n"]),
        ("id,n\rq1,3\r", ["id", "n"]),
    ],
)
def test_separators_and_line_ends_are_found(tmp_path, text, names):
    path = file_of(tmp_path, "a.csv", text)
    assert column_names(path) == names
    assert [list(cells.values()) for _, cells in read(path)[0]] == [["q1", "3"]]


def test_a_cell_longer_than_pythons_own_limit_is_read(tmp_path):
    text = "x" * 200_000
    assert read(file_of(tmp_path, "a.csv", f"id,n\n{text},3\n"))[0] == [(2, {"id": text, "n": "3"})]


@pytest.mark.parametrize(
    ("text", "rows", "faults"),
    [
        ('{"a": 1}\n{"a": 2\n{"a": 3}\n', [1, 3], ["2: Write one JSON object, {...}, for each row: Expecting ','"]),
        ('"a": 1}\n{"a": 2}\n', [2], ["1: Write one JSON object"]),
        ('{"a": 1}\n[2]\n"x"\n', [1], ["2: Write", "3: Write"]),
        ('{"a": 1}{"a": 2}\n{"a": 3}\n', [1, 1, 2], []),
        ('{\n "a": 1\n}\n{\n "a": 2\n}\n', [1, 4], []),
        ('[{"a": 1}, 2, {"a": 3}]', [1, 3], ["2: Write"]),
        ('{"a": 1, "b": 2, "a": 3}\n{"a": 4}\n', [2], ["1: The key is given twice: keep one."]),
        ('{"a": ' + "9" * 5000 + "}\n" + '{"a": 1}\n', [2], ["1: Write one JSON object, {...}, for each row: Exceeds"]),
        ('{"a": ' + "[" * 100_000 + "\n" + '{"a": 1}\n', [2], ["1: Write one JSON object, {...}, for each row: it is"]),
    ],
)
def test_json_rows_and_faults_have_their_lines(tmp_path, text, rows, faults):
    found, named = read(file_of(tmp_path, "a.jsonl", text))
    assert [row for row, _ in found] == rows
    assert len(named) == len(faults)
    assert all(fault.startswith(start) for fault, start in zip(named, faults, strict=True))


def test_a_key_given_twice_shows_both_values_and_only_at_the_top(tmp_path):
    path = file_of(tmp_path, "a.jsonl", '{"a": 1, "a": 2}\n{"a": 1, "meta": {"b": 1, "b": 2}}\n')
    faults = []
    assert [row for row, _ in read_rows(path, faults)] == [2]
    assert [(fault.column, fault.found) for fault in faults] == [("a", "1 and 2")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "the file is empty"),
        ("a.csv", b"\n \n", "holds no row"),
        ("a.json", b"[]", "holds no row"),
        ("a.txt", b"a,b\n", r"the name must end in \.csv, .*\.gz"),
        ("a.csv", "a,b\n".encode("utf-16"), "is UTF-16 text, though its name says csv. Save it as UTF-8"),
        ("a.jsonl", '{"a": 1}\n'.encode("utf-16-be"), "row 1 holds a NUL byte at position 1"),
        ("a.jsonl", b'{"a": 1}\n\0\0\0\0', "row 2 holds a NUL byte at position 1"),
        ("a.csv", b"a,b\nx,\xe9\n", r"row 2 is not UTF-8 \(byte 0xe9 at position 3\)"),
        ("a.jsonl", b'{"a": "\xed\xa0\xbd"}\n', "row 1 is not UTF-8"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 999, mtime=0)[:-9], "its gzip data are cut short or damaged"),
        (
            "a.csv.gz",
            gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:-4] + b"\0\0\0\0",
            "its gzip data are cut short or damaged",
        ),
        ("a.parquet", b"no parquet", "is not a parquet file"),
        ("a.pq", parquet_bytes(ROWS)[:-40], "is damaged, or not parquet"),
        ("a.csv", parquet_bytes(ROWS), "is parquet, though its name says csv. Name it .parquet"),
        ("a.json", b"PK\x03\x04", "is a zip archive or a spreadsheet"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("a.jsonl", b"<!doctype html><html>", "is a web page"),
        ("a.json", b'[{"a": 1},\n{"a": 2', "is not JSON: row 2, Expecting ',' delimiter at position 8"),
        ("a.json", b'{"data": [{"a": 1}]}', "holds one JSON object of lists or objects"),
        ("a.json", b'{\n"a": [1],\n"b": [2]}', "holds one JSON object of lists or objects"),
        ("a.csv", b"a,b,a\n1,2,3\n", "column 'a' appears twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_plain_sentence(tmp_path, name, content, message):
    path = file_of(tmp_path, name, content)
    with pytest.raises(ValueError, match=message) as caught:
        _ = (column_names(path), read(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_absent_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file"):
        column_names(tmp_path / "none.csv")
    (tmp_path / "d.parquet").mkdir()
    with pytest.raises(ValueError, match=r"d\.parquet: is a folder"):
        column_names(tmp_path / "d.parquet")


def test_narrow_floats_are_read_as_they_are_written(tmp_path):
    table = pa.table({"a": pa.array([0.1, None, 7], pa.float32()), "b": pa.array([0.1, 2, 3], pa.float16())})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [cells["a"] for _, cells in read(tmp_path / "a.parquet")[0]] == [0.1, None, 7.0]
    assert [cells["b"] for _, cells in read(tmp_path / "a.parquet")[0]] == [0.1, 2.0, 3.0]


def test_flipped_bytes_in_parquet_or_gzip_never_end_in_another_error_than_a_sentence(tmp_path):
    rng = random.Random(0)
    rows = [{"id": f"q{index}", "n": index} for index in range(500)]
    whole = {"a.parquet": parquet_bytes(rows), "a.jsonl.gz": gzip.compress("\n".join(map(json.dumps, rows)).encode())}
    refused = 0
    for name, content in whole.items():
        for _ in range(60):
            damaged = bytearray(content)
            for _ in range(rng.choice([1, 3, 20])):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            path = file_of(tmp_path, name, bytes(damaged))
            message = f"{path}: whole"
            try:
                read(path)
            except ValueError as error:
                message = str(error)
                refused += 1
            assert message.startswith(f"{path}: ")
    assert refused > 60
