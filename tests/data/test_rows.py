"""Files with any content give rows and findings, without an exception and without loading the whole file."""

from __future__ import annotations

import os
import threading
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.lifecycle.data.finding import Finding
from pytest_finetune.lifecycle.data.rows import Row, read_rows


@pytest.fixture
def read(tmp_path):
    def read(data, **how):
        path = tmp_path / "train.jsonl"
        path.write_bytes(data)
        return list(read_rows(path, "train.jsonl", **how))

    return read


def codes_of(found):
    return [(each.code, each.line) for each in found if isinstance(each, Finding)]


def lines_of(found):
    return [each.line for each in found if isinstance(each, Row)]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b"\n \r\n", "empty"),
        (b"PK\x03\x04 rest", "zip"),
        ('{"a": 1}\n'.encode("utf-16"), "UTF-16"),
        ('{"a": 1}\n'.encode("utf-16-be"), "UTF-16"),
        (b'{"a": 1}\n\0\0\0', "binary"),
        (b'[\n{"a": 1},\n{"a": 2}\n]\n', "one JSON array over several lines"),
        (b'{\n"a": 1\n}\n', "JSON objects over several lines"),
    ],
)
def test_a_file_that_is_not_jsonl_is_one_finding(read, data, problem):
    found = read(data)
    assert lines_of(found) == []
    assert codes_of(found)[0] == ("file_type", 0)
    assert problem in found[0].problem


def test_a_missing_file_is_a_finding_with_a_suggestion(tmp_path):
    (tmp_path / "train.jsonl").write_bytes(b"{}\n")
    (found,) = read_rows(tmp_path / "trian.jsonl", "trian.jsonl")
    assert (found.code, found.hint) == ("file_type", "did you mean 'train.jsonl'?")


def test_a_folder_is_a_finding(tmp_path):
    (found,) = read_rows(tmp_path)
    assert found.code == "file_type"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"a": 1', "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": 1, "a": 2}', "invalid_json"),
        (b'{"a": "\xff"}', "invalid_json"),
        (b'{"a": 1}\r{"a": 2}', "invalid_json"),
        (b"[" * 10_000, "invalid_json"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "invalid_json"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "invalid_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid_json"),
        (b"[1]", "data_type"),
        (b'"text"', "data_type"),
        (b"null", "data_type"),
        (b'{"a": "\\ud800"}', "lone_surrogate"),
        (b'{"a": "' + b"x" * 3000 + b'"}', "line_too_long"),
    ],
)
def test_a_bad_line_is_a_finding_at_its_line_and_the_rest_is_read(read, line, code):
    found = read(b'{"a": 1}\n' + line + b'\n{"a": 3}\n', max_line_bytes=2000 if code == "line_too_long" else 10**6)
    assert lines_of(found) == [1, 3]
    assert codes_of(found) == [(code, 2)]


def test_a_truncated_last_line_is_a_finding(read):
    found = read(b'{"a": 1}\n{"a": "tor')
    assert (lines_of(found), codes_of(found)) == ([1], [("invalid_json", 2)])


def test_the_line_limit_is_exact_to_the_byte(read):
    line = b'{"a": "xxx"}'
    assert lines_of(read(line + b"\n", max_line_bytes=len(line))) == [1]
    assert lines_of(read(line, max_line_bytes=len(line))) == [1]
    assert codes_of(read(line + b"\n", max_line_bytes=len(line) - 1)) == [("line_too_long", 1)]


def test_a_line_of_fifty_megabytes_is_a_finding_and_is_never_held_in_memory(tmp_path):
    path = tmp_path / "train.jsonl"
    with path.open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(b'\n{"a": 1}\n')
    tracemalloc.start()
    found = list(read_rows(path, max_line_bytes=1_000_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (lines_of(found), codes_of(found)) == ([2], [("line_too_long", 1)])
    assert "50,000,001 bytes" in found[0].problem
    assert peak < 5_000_000


def test_byte_order_mark_line_endings_and_blank_lines_are_reported_once(read):
    found = read(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n \n{"a": 3}')
    assert lines_of(found) == [1, 3, 5]
    assert codes_of(found) == [("byte_order_mark", 1), ("blank_line", 2), ("line_ending", 1)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_can_be_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n',))
    writer.start()
    found = list(read_rows(pipe))
    writer.join()
    assert lines_of(found) == [1, 2]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_exception(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(data)
    assert all(isinstance(each, Row | Finding) for each in read_rows(path))
