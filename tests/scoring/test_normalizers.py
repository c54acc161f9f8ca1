from __future__ import annotations

import re
import unicodedata
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.verdicts.evalset.settings import Normalizer
from pytest_finetune.verdicts.scoring.normalizers import NORMALIZERS, PIECE, _pieces, make_normalizer, nfkc


def test_every_normalizer_of_the_settings_exists() -> None:
    assert set(NORMALIZERS) == set(get_args(Normalizer))


@pytest.mark.parametrize(
    ("name", "text", "normal"),
    [
        ("strip", " a b\n", "a b"),
        ("casefold", "STRASSE ß", "strasse ss"),
        ("nfkc", "Ｂｕｇ ﬁ", "Bug fi"),
        ("collapse_whitespace", " a \n\t b　c ", "a b c"),
        ("strip_punctuation", "“**Bug.**”", "Bug"),
        ("strip_punctuation", "`bug` 。", "bug"),
        ("strip_punctuation", "don't!", "don't"),
        ("strip_punctuation", "x5!", "x5!"),
        ("strip_punctuation", "…", "…"),
        ("strip_punctuation", "(**)", "(**)"),
        ("strip_punctuation", '(")', '(")'),
        ("strip_punctuation", "'a'", "a"),
        ("strip_punctuation", "-5", "-5"),
        ("strip_punctuation", "50%", "50%"),
        ("strip_punctuation", "C#", "C#"),
        ("strip_punctuation", ".NET.", ".NET"),
        ("strip_punctuation", "A*", "A*"),
        ("strip_punctuation", "(bug)", "bug"),
        ("strip_punctuation", "5!", "5!"),
        ("strip_punctuation", "5!.", "5!"),
        ("strip_punctuation", "5.", "5"),
        ("strip_punctuation", "(5)", "(5)"),
        ("strip_punctuation", "“(5)”.", "(5)"),
        ("strip_punctuation", "(€1,234.50)", "(€1,234.50)"),
        ("strip_punctuation", "（５）", "（５）"),
        ("strip_punctuation", "[0, n]", "[0, n]"),
        ("strip_punctuation", "(a, b)", "(a, b)"),
        ("strip_punctuation", "{bug}", "{bug}"),
        ("strip_punctuation", "<bug>", "<bug>"),
        ("strip_punctuation", "__init__", "__init__"),
        ("strip_punctuation", "__Bug__", "Bug"),
        ("strip_punctuation", "n!", "n!"),
        ("strip_punctuation", "(n+m)!", "(n+m)!"),
        ("strip_punctuation", "0.3...", "0.3..."),
        ("strip_punctuation", "0.3…", "0.3…"),
        ("strip_punctuation", ".5", ".5"),
        ("strip_punctuation", "±5", "±5"),
        ("strip_punctuation", "§5", "§5"),
        ("strip_punctuation", "5'", "5'"),
        ("nfkc", "10⁵", "10⁵"),
        ("nfkc", "xₐ", "xₐ"),
        ("nfkc", "xᵈ", "xᵈ"),
        ("nfkc", "10①", "10①"),
        ("nfkc", "①②", "①②"),
        ("nfkc", "①", "1"),
        ("nfkc", "H₂Ｏ", "H₂O"),
        ("nfkc", "1½", "1½"),
    ],
)
def test_what_each_normalizer_does(name: str, text: str, normal: str) -> None:
    assert make_normalizer([name])(text) == normal


@pytest.mark.parametrize(("before", "after"), [("(", ")"), ("_", "_"), ("“ ", " ”"), ("", " ."), ("*_", "_*")])
def test_marks_are_dropped_in_linear_time(before: str, after: str) -> None:
    """With every layer copied, this would take minutes."""
    assert NORMALIZERS["strip_punctuation"](before * 100_000 + "A" + after * 100_000) == "A"


def test_normalizers_apply_in_their_order() -> None:
    assert make_normalizer(["strip_punctuation", "casefold"])("'BUG'") == "bug"
    assert make_normalizer([])(" as it is ") == " as it is "


_UNCHANGED = ("<super>", "<sub>", "<fraction>")
_ENCLOSED = [chr(code) for code in range(0x10FFFF) if re.search(r"[0-9]", unicodedata.normalize("NFKC", chr(code)))]
_COMPOSED = st.characters(exclude_characters=_ENCLOSED).filter(
    lambda character: not unicodedata.decomposition(character).startswith(_UNCHANGED)
)


@pytest.mark.parametrize("form", _UNCHANGED)
def test_no_raised_or_lowered_character_and_no_fraction_becomes_another(form: str) -> None:
    raised = [chr(code) for code in range(0x10FFFF) if unicodedata.decomposition(chr(code)).startswith(form)]
    assert "".join(raised) == nfkc("".join(raised))


def test_no_single_character_adds_a_digit_to_a_number() -> None:
    enclosed = [character for character in _ENCLOSED if unicodedata.category(character) != "Nd"]
    assert [character for character in enclosed if nfkc(f"5{character}") != f"5{character}"] == []
    assert [character for character in enclosed if nfkc(f"{character}5") != f"{character}5"] == []


@given(st.text(_COMPOSED, max_size=8).map(lambda text: text * 400))
def test_long_texts_are_composed_as_a_whole_would_be(text: str) -> None:
    assert nfkc(text) == unicodedata.normalize("NFKC", text)


def test_a_long_run_of_combining_marks_is_cut() -> None:
    text = "a" + "\u0301\u0323" * PIECE
    assert [len(piece) for piece in _pieces(text)] == [PIECE, PIECE, 1]
    assert len(nfkc(text)) >= len(text) - 2


@pytest.mark.parametrize("letter", ["a\u0301", "e\u0323\u0301", "\uac00\u11a8", "x\u1100\u1161\u11a8"])
@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_a_long_text_is_cut_where_nothing_is_composed(letter: str, before: str) -> None:
    text = before + letter * 1000
    pieces = list(_pieces(text))
    assert "".join(pieces) == text
    assert all(piece[0] == letter[0] and PIECE - 4 < len(piece) <= PIECE for piece in pieces[1:-1])
    assert nfkc(text) == unicodedata.normalize("NFKC", text)


@given(st.text(), st.sampled_from(sorted(NORMALIZERS)))
def test_a_normal_text_stays_as_it_is(text: str, name: str) -> None:
    """Casefold alone is not idempotent for every letter, so it is left out."""
    once = NORMALIZERS[name](text)
    assert name == "casefold" or NORMALIZERS[name](once) == once
