"""Records of every format are read with their line numbers; broken input is an error at its line."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data import json_array
from pytest_finetune.lifecycle.data.json_array import read_items
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, format_of, read_raw

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def file(tmp_path):
    def write(content, name):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def records(path, form=None, **how):
    return [
        (each.line, each.reason if isinstance(each, LeftOut) else each.value)
        for each in read_raw(path, form=form or format_of(path), **how)
    ]


@given(values=st.lists(VALUES, max_size=6), indent=st.sampled_from([None, 1]), chunk=st.sampled_from([1, 3, 17]))
def test_an_array_is_read_item_by_item_for_any_chunk_size(values, indent, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_CHUNK", chunk)
        text = json.dumps(values, indent=indent, ensure_ascii=False)
        items = list(read_items(io.StringIO(text, newline=""), "raw.json", limit=10_000))
    assert [json.loads(item) for _, item in items] == values


def test_items_of_an_array_have_line_numbers(file):
    path = file('[\n  {"input": 1,\n   "output": 2},\n\n  {"input": 3}\n]', "raw.json")
    assert records(path) == [(2, {"input": 1, "output": 2}), (5, {"input": 3})]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ('{"a": 1}', ":1", "not a JSON array"),
        ('[{"a": 1}', ":1", "truncated"),
        ('[{"a": 1},\n{"b"', ":2", "not JSON"),
        ('[{"a": 1} {"b": 2}]', ":1", "unexpected '{' between two items"),
        ('[{"a": 1}]\nmore', ":2", "after the array"),
        ("[" * 20_000, ":1", "nested too deeply"),
        ("", ":1", "not a JSON array"),
        ('[{"a": "' + "x" * 5000 + '"}]', ":1", "longer than 1,000"),
    ],
)
def test_a_broken_array_is_an_error_at_its_line(file, monkeypatch, text, place, problem):
    monkeypatch.setattr(json_array, "_CHUNK", 100)
    path = file(text, "raw.json")
    with pytest.raises(DataError, match=problem) as caught:
        records(path, limit=1000)
    assert caught.value.where == f"{path}{place}"


def test_items_that_are_not_strict_objects_are_skipped(file):
    path = file('[{"a": NaN},\n5,\n{"a": 1, "a": 2},\n{"a": "\\ud800"},\n{"a": 1}]', "raw.json")
    found = records(path)
    assert [line for line, _ in found] == [1, 2, 3, 4, 5]
    assert [isinstance(what, str) for _, what in found] == [True, True, True, True, False]


def test_cells_keep_quotes_commas_and_line_ends(file):
    path = file('\ufeffinput,output\r\n"a ""b"", c","d\r\ne"\r\n\r\nf,g\r\n', "raw.csv")
    assert records(path) == [
        (2, {"input": 'a "b", c', "output": "d\r\ne"}),
        (5, {"input": "f", "output": "g"}),
    ]


@given(
    rows=st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=2, max_size=2),
        max_size=5,
    )
)
def test_csv_round_trip(rows):
    import csv

    from pytest_finetune.lifecycle.data.csv_rows import read_csv

    text = io.StringIO(newline="")
    csv.writer(text).writerows([["input", "output"], *rows])
    text.seek(0)
    found = [value for _, value in read_csv(text, "raw.csv", delimiter=",", limit=10_000)]
    assert [list(value.values()) for value in found] == rows


def test_a_row_with_the_wrong_number_of_cells_is_skipped(file):
    path = file("input\toutput\na\tb\nc\nd\te\tf\n", "raw.tsv")
    assert records(path) == [
        (2, {"input": "a", "output": "b"}),
        (3, "the row has 1 cell, the header has 2"),
        (4, "the row has 3 cells, the header has 2"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("a,a\n1,2\n", "two columns are named 'a'"),
        ('a,b\n1,"2\n3,4\n', "not CSV"),
        ("a,,c\n1,2,3\n", "column 2 of 3 has no name"),
        (",b\n1,2\n", "column 1 of 2 has no name"),
        ("a,b\0\n1,2\n" + "3,4\n" * 50, "column name 'b.x00' has a NUL"),
        (";;\n1;2;3\n", "empty"),
        ("sep=;\na;a\n1;2\n", "two columns are named 'a'"),
        ("a,b\n1," + "x" * 2000 + "\n", "longer than 1,000"),
        ('a,b\n1,"' + "x\n" * 2000 + '"\n', "not CSV: field larger than field limit"),
    ],
)
def test_a_broken_table_is_an_error_at_its_line(file, text, problem):
    with pytest.raises(DataError, match=problem):
        records(file(text, "raw.csv"), limit=1000)


@pytest.mark.parametrize(
    "text",
    [
        "input;output\r\na, b;c\r\n",
        "sep=;\r\ninput;output\r\na, b;c\r\n",
        "SEP=|\ninput|output\na, b|c\n",
        "input\toutput\na, b\tc\n",
        'input|"output"\na, b|c\n',
        "input;output;;\na, b;c;;\n;;;\n",
        "input;output;;\na, b;c\n",
    ],
)
def test_the_separator_of_a_spreadsheet_is_found(file, text):
    [(line, row)] = records(file(text, "raw.csv"))
    assert row == {"input": "a, b", "output": "c"}
    assert line == text[: text.index("a, b")].count("\n") + 1


def test_a_separator_within_quotes_of_the_header_does_not_count(file):
    assert records(file('"a;b;c",d\n1,2\n', "raw.csv")) == [(2, {"a;b;c": "1", "d": "2"})]


def test_a_given_separator_goes_before_the_found_one(file):
    path = file("sep=;\na;b,c\n1;2,3\n", "raw.csv")
    assert [value for _, value in records(path, delimiter=",")] == [{"a;b": "1;2", "c": "3"}]


def test_text_below_a_column_without_a_name_is_reported_not_dropped(file):
    path = file("input,output,,\na,b,,\nc,d,note,\n", "raw.csv")
    assert records(path)[1] == (3, "the row has 4 cells, the header has 2")


@pytest.mark.parametrize("more", [0, 3000])
def test_a_row_with_a_nul_character_is_skipped_and_its_column_is_named(file, more):
    path = file("input,output\na,b\nc\0,d\n" + "e,f\n" * more, "raw.csv")
    found = records(path)
    assert found[1] == (3, "column 'input' has a NUL character; remove it, or check --encoding")
    assert len(found) == 2 + more


def test_the_global_cell_limit_of_csv_is_restored(file):
    import csv

    before = csv.field_size_limit()
    records(file("a,b\n1,2\n", "raw.csv"), limit=1000)
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "tsv"])
@pytest.mark.parametrize(
    "content", [b"\x1f\x8b\x08\0junk", b"\0\1\2\3" * 100, "input,output\na,b\n".encode("utf-16"), b"[\xff]\n"]
)
def test_binary_data_is_an_error_or_skipped(file, form, content):
    path = file(content, "raw.bin")
    if form == "jsonl" and content == b"[\xff]\n":
        assert records(path, form=form) == [(1, "byte 2 of the line, 0xff, is not UTF-8")]
        return
    with pytest.raises(DataError) as caught:
        records(path, form=form)
    assert caught.value.where == str(path)
    assert caught.value.hint


def test_other_encodings_are_read_if_named(file):
    text = "input,output\ncafé,ja\n"
    expected = [(2, {"input": "café", "output": "ja"})]
    assert records(file(text.encode("utf-16"), "wide.csv"), encoding="utf-16") == expected
    assert records(file(text.encode("cp1252"), "west.csv"), encoding="cp1252") == expected
    with pytest.raises(DataError, match="not utf-8"):
        records(file(text.encode("cp1252"), "west.csv"))


def test_a_missing_file_and_an_unknown_suffix_are_errors(tmp_path):
    for name in ("none.jsonl", "none.json", "none.csv"):
        with pytest.raises(DataError, match="cannot be read"):
            records(tmp_path / name)
    with pytest.raises(DataError, match="unknown format"):
        format_of(tmp_path / "raw.xlsx")


def test_a_too_long_line_is_skipped(file):
    path = file('{"a": 1}\n{"a": "' + "x" * 5000 + '"}\n{"a": 2}\n', "raw.jsonl")
    found = records(path, limit=1000)
    assert [line for line, _ in found] == [1, 2, 3]
    assert "bytes long" in found[1][1]


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="this system has no paths for open files")
@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("csv", b"input,output\na,b\n"),
        ("json", b'[{"input": "a", "output": "b"}]'),
        ("jsonl", b'{"input": "a", "output": "b"}'),
    ],
)
def test_a_pipe_is_read_from_its_first_byte(form, content):
    out, into = os.pipe()
    try:
        os.write(into, content)
        os.close(into)
        assert [row.value for row in read_raw(Path(f"/dev/fd/{out}"), form=form)] == [{"input": "a", "output": "b"}]
    finally:
        os.close(out)
