"""Patterns of JSON Schema mean what ECMA-262 says, and no text makes a search outlast its time."""

from __future__ import annotations

import os
import threading
import time

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import FormatFailure
from pytest_finetune.verdicts.json_schema import pattern, search_process
from pytest_finetune.verdicts.json_schema.pattern_cost import cost_of
from pytest_finetune.verdicts.json_schema.validation import compile_schema


def matches(written: str, text: str) -> bool:
    return compile_schema({"pattern": written}, "x.json").fault(text) is None


@pytest.mark.parametrize(
    ("written", "text", "expected"),
    [
        # Sets and classes are ASCII, also where they are negated within a set.
        (r"^[^\W\d_]+$", "é", False),
        (r"^[^\W\d_]+$", "e", True),
        (r"^[\D]$", "٣", True),
        (r"^[^\D]$", "٣", False),
        (r"^\w$", "ſ", False),
        (r"^[\W]$", "ſ", True),
        (r"^[^]$", "\n", True),
        (r"[]", "a", False),
        (r"^[a\]b]$", "]", True),
        (r"^[\b]$", "\b", True),
        # White space is Unicode's, with the byte order mark and the line ends of ECMA-262.
        (r"^\s$", "\ufeff", True),
        (r"^\s$", "\u2029", True),
        (r"^\s$", "\u180e", False),
        (r"^[^\S]$", "\u00a0", True),
        (r"^\s$", "\x1c", False),
        # Anchors and the dot.
        ("a$", "a\n", False),
        ("^a", "b\na", False),
        (r"^.$", "\u2028", False),
        (r"^.$", "\x85", True),
        (r"^.$", "😀", True),
        # References and groups.
        (r"^(?<y>a|b)\k<y>$", "bb", True),
        (r"^(?<y>a|b)\k<y>$", "ba", False),
        (r"^\1(a)$", "a", True),
        (r"^(?:(a)|b)\1$", "b", True),
        (r"^(z)((a+)?(b+)?(c))*\3$", "zaacbbbc", True),
        (r"^(?=(a+))\1b$", "aab", True),
        (r"(?<!\$)\b\d+", "$1", False),
        (r"(?<=\$)\d+", "$10", True),
        # Escapes.
        (r"^\cA\cj$", "\x01\n", True),
        (r"^\x41\u0042\u{1F600}$", "AB😀", True),
        (r"^\ud83d\ude00$", "😀", True),
        (r"^\0$", "\0", True),
        (r"^\v\f\t$", "\x0b\f\t", True),
        (r"^\p{Lu}\P{L}$", "É1", True),
        (r"^\p{Script=Greek}+$", "αβ", True),
        # What many schemas hold though the flag `u` refuses it.
        (r"^\@\"\'\ \#$", "@\"' #", True),
        ("^{.*}$", "{}", True),
        (r"^[\w-.]+$", "a-b.c", True),
        (r"^a\_b$", "a_b", True),
        # Half of a surrogate pair is one character.
        ("^.b$", "\ud800b", True),
        ("^[a-z]$", "\udfff", False),
    ],
)
def test_a_pattern_means_what_ecma_262_says(written: str, text: str, expected: bool) -> None:  # noqa: FBT001
    assert matches(written, text) is expected


@pytest.mark.parametrize(
    ("written", "matching", "other"),
    [
        ("^abc$", ["abc"], ["abc\n"]),
        (r"^\t$", ["\t"], [r"\t"]),
        (r"^\cC$", ["\u0003"], [r"\cC"]),
        (r"^\cc$", ["\u0003"], [r"\cc"]),
        (r"^\d$", ["0"], ["߀"]),
        (r"^\D$", ["߀", "é"], ["0"]),
        (r"^\w$", ["a"], ["é"]),
        (r"^\W$", ["é"], ["a"]),
        (r"^\s$", [" ", "\t", "\v", "\f", "\u00a0", "\ufeff", "\n", "\u2029", "\u2003"], ["\u0001", "\u2013"]),
        (r"^\S$", ["\u0001", "\u2013"], [" ", "\t", "\v", "\f", "\u00a0", "\ufeff", "\n", "\u2029", "\u2003"]),
        (r"\p{Letter}cole", ["étaient des saisons d'école", "L'ecole"], ["L'3cole"]),
        (r"\wcole", ["L'ecole"], ["L'école"]),
        ("[a-z]cole", ["L'ecole"], ["L'école", r"L'\u00e9cole"]),
        (r"^\d+$", ["42"], ["-%#", "৪২"]),
        (r"^\p{digit}+$", ["42", "৪২"], ["-%#"]),
    ],
)
def test_the_facts_of_the_json_schema_test_suite_hold(written: str, matching: list[str], other: list[str]) -> None:
    """Those of `optional/ecmascript-regex.json`, with `pattern` and with `patternProperties`."""
    keys = compile_schema({"patternProperties": {written: True}, "additionalProperties": False}, "x.json")
    for text in matching:
        assert matches(written, text), text
        assert keys.fault({text: 1}) is None, text
    for text in other:
        assert not matches(written, text), text
        assert keys.fault({text: 1}), text


@pytest.mark.parametrize("written", [r"^\S(|(.|\n)*\S)\Z", r"\a", "(", "[b-a]", "a{2,1}", r"\k<y>(?<x>)", "*", "(?x)a"])
def test_a_pattern_outside_ecma_262_is_refused(written: str) -> None:
    assert compile_schema({"format": "regex"}, "x.json").fault(written)
    with pytest.raises(ScorerError, match="is not an ECMA pattern"):
        compile_schema({"pattern": written}, "x.json")


@pytest.mark.parametrize("written", ["^(a|b)*$", r"^\p{L}+$", r"(?<y>)\k<y>", "[^]", r"\cA"])
def test_an_answer_may_be_an_ecma_pattern(written: str) -> None:
    assert compile_schema({"format": "regex"}, "x.json").fault(written) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("(x+x+)+y", "x" * 5000),
        ("^(a|a)*$", "a" * 5000 + "b"),
        ("^(a?){40}a{40}$", "a" * 40),
        ("a*a*a*a*a*b", "a" * 5000),
        (r"^(?:(?:\w+\s?)+,?)+$", "word " * 500 + "!"),
        (r"^(\w+)*\1\1$", "a" * 500 + "!"),
        (r"\s+$", " " * 300_000 + "x"),
        (r"^(?=(.*)*$)y", "x" * 500),
    ],
)
def test_a_search_ends_in_time(written: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern, "SECONDS", 0.3)
    schema = compile_schema({"pattern": written}, "x.json")
    start = time.perf_counter()
    fault = schema.fault(text)
    assert time.perf_counter() - start < 10
    assert fault is not None
    assert (fault.kind, fault.path) == (FormatFailure.PATTERN, "$")


@pytest.mark.slow
def test_all_patterns_of_a_validation_share_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern, "SECONDS", 0.3)
    schema = compile_schema({"items": {"pattern": "(x+x+)+y"}}, "x.json")
    start = time.perf_counter()
    assert schema.fault(["x" * 5000] * 200)
    assert time.perf_counter() - start < 10


def test_a_search_that_was_stopped_leaves_no_process_and_no_stale_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert matches("^(a|b)+$", "ab")
    process = search_process._process
    assert process is not None
    monkeypatch.setattr(pattern, "SECONDS", 0.1)
    assert not matches("(x+x+)+y", "x" * 5000)
    assert process._popen.poll() is not None
    monkeypatch.undo()
    assert [matches("^(a|b)+$", text) for text in ("ab", "ac", "é", "ba")] == [True, False, False, True]


def test_threads_may_search_at_once() -> None:
    schema = compile_schema({"pattern": "^(a|b)+$"}, "x.json")
    wrong: list[str] = []

    def search(text: str) -> None:
        wrong.extend(text for _ in range(50) if (schema.fault(text) is None) != ("c" not in text))

    threads = [threading.Thread(target=search, args=(text,)) for text in ("ab", "abc", "a", "cc")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_fork_has_a_process_of_its_own() -> None:
    assert matches("^(a|b)+$", "ab")
    if not (child := os.fork()):
        os._exit(0 if matches("^(a|b)+$", "ba") and not matches("^(a|b)+$", "c") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("written", "bounded"),
    [
        ("^[A-Z]{3}-[0-9]+$", True),
        (r"^(\d{1,3}\.){3}\d{1,3}$", True),
        (r"^[\w.+-]+@[\w-]+\.[\w.-]+$", True),
        (r"^(?=.*[A-Z])(?=.*\d).{8,}$", True),
        (r"^[(a+)+]\(a+\)+$", True),
        ("^(?:abc)+$", True),
        (r"^\d+(\.\d+)*$", False),
        ("(?:a|b)*", False),
        ("(?:a?)+", False),
        ("(?:a{2,3}){1,}", False),
    ],
)
def test_only_a_choice_in_a_loop_is_unbounded(written: str, bounded: bool) -> None:  # noqa: FBT001
    assert (cost_of(written).steps(20) <= pattern.MOST_STEPS) is bounded
