from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_finetune.verdicts.evalset.reading import MAX_DEPTH, Faults, read_objects

GOOD = '{"input": "a", "expected": "b"}'


def read(data: bytes) -> tuple[list[tuple[int, dict[str, Any]]], list[tuple[str, str, str]]]:
    faults = Faults("set.jsonl")
    found = list(read_objects(data, faults))
    return found, [(fault.where, fault.problem, fault.hint) for fault in faults.found]


def only_fault(data: bytes) -> tuple[str, str, str]:
    found, faults = read(data)
    assert found == []
    (fault,) = faults
    return fault


def test_each_object_keeps_its_line_number() -> None:
    assert read(b'{"a": 1}\n{"a": 2}\n') == ([(1, {"a": 1}), (2, {"a": 2})], [])


def test_the_last_line_needs_no_newline() -> None:
    assert read(b'{"a": 1}\n{"a": 2}')[0] == [(1, {"a": 1}), (2, {"a": 2})]


def test_blank_lines_are_skipped_and_counted() -> None:
    assert read(b'\n  \t\r\n{"a": 1}\n\n{"a": 2}\n\n')[0] == [(3, {"a": 1}), (5, {"a": 2})]


def test_crlf_ends_a_line_and_is_not_part_of_it() -> None:
    assert read(b'{"a": 1}\r\n{"a": 2}\r\n') == ([(1, {"a": 1}), (2, {"a": 2})], [])


def test_one_byte_order_mark_is_dropped() -> None:
    assert read(b'\xef\xbb\xbf{"a": 1}\n') == ([(1, {"a": 1})], [])


def test_a_second_byte_order_mark_is_a_fault() -> None:
    where, problem, hint = only_fault(b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}')
    assert (where, hint) == ("set.jsonl:1", "remove the byte order mark in the middle of the file")
    assert problem.startswith("not strict JSON")


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\u000b".encode("unicode_escape").decode()])
def test_only_a_line_feed_ends_a_line(separator: str) -> None:
    text = f'{{"a": "x{separator}y"}}' if separator[0] != "\\" else '{"a": "x\\u000by"}'
    assert read(text.encode())[0] == [(1, json.loads(text))]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b" \r\n"])
def test_an_empty_file_is_a_fault(data: bytes) -> None:
    where, problem, _ = only_fault(data)
    assert (where, problem) == ("set.jsonl:1", "the file is empty")


def test_invalid_utf8_is_reported_with_its_byte() -> None:
    data = GOOD.encode() + b'\n  {"a": "\xff"}\n'
    found, faults = read(data)
    assert [line for line, _ in found] == [1]
    assert faults == [("set.jsonl:2", "byte 10 of the line, 0xff, is not UTF-8", "save the file as UTF-8")]


def test_a_surrogate_in_utf8_bytes_is_not_utf8() -> None:
    assert "0xed, is not UTF-8" in only_fault(b'{"a": "\xed\xa0\x80"}')[1]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_unicode_encodings_are_named(encoding: str) -> None:
    where, problem, hint = only_fault(f"{GOOD}\n{GOOD}\n".encode(encoding))
    assert (where, problem) == ("set.jsonl:1", "the file is UTF-16 or UTF-32 text, not UTF-8")
    assert "iconv" in hint


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PK\x03\x04\x00", "zip"),
        (b"PAR1\x15\x04\x00", "Parquet"),
        (b"abcde\0", "binary"),
    ],
)
def test_binary_data_is_one_fault(data: bytes, kind: str) -> None:
    assert kind in only_fault(data + b"\n\xff\n\xfe\n")[1]


@pytest.mark.parametrize("value", ['{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', '{"a": 1e999}'])
def test_a_number_that_is_not_finite_is_a_fault(value: Any) -> None:
    where, problem, _ = only_fault(value.encode())
    assert where == "set.jsonl:1"
    assert problem.startswith("not strict JSON: ")


def test_a_repeated_key_is_a_fault() -> None:
    assert only_fault(b'{"a": 1, "a": 1}')[1] == "not strict JSON: key 'a' is repeated in one object"


def test_a_number_of_too_many_digits_is_a_fault() -> None:
    assert only_fault(b'{"a": ' + b"9" * 5000 + b"}")[1] == "not strict JSON: a number has too many digits"


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[1]", "an array"), ('"a"', "a string"), ("1", "a number"), ("true", "a boolean"), ("null", "null")],
)
def test_a_line_that_is_not_an_object_is_a_fault(text: str, kind: str) -> None:
    assert only_fault(text.encode())[:2] == ("set.jsonl:1", f"the line holds {kind}, not an object")


@pytest.mark.parametrize("escape", ["\\ud83d", "\\uDE00", "\\uDE00\\ud83d"])
@pytest.mark.parametrize("place", ['{"a": "%s"}', '{"%s": 1}', '{"a": [{"b": "%s"}]}'])
def test_a_lone_surrogate_is_a_fault(place: str, escape: str) -> None:
    where, problem, hint = only_fault((place % escape).encode())
    assert where == "set.jsonl:1"
    assert problem.startswith("the lone surrogate \\u")
    assert problem.endswith("is half a character")
    assert "both halves" in hint


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert read(b'{"a": "\\ud83d\\ude00"}')[0] == [(1, {"a": "\U0001f600"})]


def test_an_escaped_backslash_before_u_is_not_a_surrogate() -> None:
    assert read(rb'{"a": "\\ud83d"}')[0] == [(1, {"a": "\\ud83d"})]


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 5_000, 100_000])
def test_nesting_too_deep_is_a_fault(levels: int) -> None:
    assert "deep" in only_fault(b'{"a": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}")[1]


def test_nesting_is_counted_in_levels_not_in_brackets() -> None:
    assert read(json.dumps({"a": [[], {}] * MAX_DEPTH}).encode())[1] == []
    assert read(b'{"a": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}")[1] == []


def test_all_faults_of_a_file_are_reported() -> None:
    found, faults = read(b'{\n{"a": 1}\n[]\n{"a": NaN}\n{"a": 2}\n')
    assert [line for line, _ in found] == [2, 5]
    assert [where for where, _, _ in faults] == ["set.jsonl:1", "set.jsonl:3", "set.jsonl:4"]


@pytest.mark.parametrize("indent", [1, 2])
@pytest.mark.parametrize("document", [[{"input": "a"}, {"input": "b"}], {"input": "a", "expected": "b"}])
def test_one_document_over_several_lines_is_one_fault(document: Any, indent: int) -> None:
    where, problem, hint = only_fault(json.dumps(document, indent=indent).encode())
    assert (where, problem.endswith("over several lines")) == ("set.jsonl:1", True)
    assert ("jq -c '.[]' set.jsonl >" if type(document) is list else "jq -c . set.jsonl >") in hint


def test_objects_one_after_another_are_one_fault_with_a_command_that_parts_them() -> None:
    rows = [{"input": "a", "expected": "b"}, {"input": "c", "expected": "d"}]
    for text in ("\n".join(json.dumps(row, indent=2) for row in rows), "".join(map(json.dumps, rows))):
        where, _, hint = only_fault(text.encode())
        assert (where, hint) == ("set.jsonl:1", "write one object per line: jq -c . set.jsonl > NEW.jsonl")


def test_rows_in_an_array_on_one_line_are_taken_out_of_it() -> None:
    _, _, hint = only_fault(b'[{"input": "a"}, {"input": "b"}]')
    assert hint == "write one object per line: jq -c '.[]' set.jsonl > NEW.jsonl"
    assert "jq" not in only_fault(b"[1, 2]")[2]


def test_old_line_ends_are_named() -> None:
    assert "\\r alone" in only_fault(b'{"a": 1}\r{"a": 2}\r')[2]
