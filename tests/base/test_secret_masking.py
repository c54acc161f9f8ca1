"""The API key is masked in everything that a server returns; text that only resembles a key is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.records import Completion, ToolCall
from pytest_finetune.base.secret_masking import MASK, is_secret, masked, masked_completion, without_keys

KEY = "sk-proj-Ab1Cd2Ef3Gh4Ij5Kl6"


@pytest.mark.parametrize(
    ("key", "secret"),
    [(KEY, True), ("token-abc123", True), ("abc123", True), ("a" * 24, True)]
    + [
        (word, False)
        for word in ("", "EMPTY", "none", "not-needed", "placeholder", "sk-no-key-required", "123456", "a1b2")
    ],
)
def test_a_secret_is_long_or_has_digits(key, secret):
    assert is_secret(key) is secret


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"key {KEY}, and {KEY}", f"key {MASK}, and {MASK}"),
        (f"cut {KEY[:14]}...", f"cut {MASK}..."),
        (f"...{KEY[-14:]} cut", f"...{MASK} cut"),
        ("sk-proj- is how keys begin", "sk-proj- is how keys begin"),
        ("", ""),
    ],
)
def test_the_key_and_its_ends_are_masked(text, clean):
    assert masked(text, KEY) == clean


@given(st.text(), st.text(), st.integers(10, len(KEY)))
def test_no_part_of_the_key_remains(before, after, length):
    for piece in (KEY[:length], KEY[-length:]):
        assert piece not in masked(before + piece + after, KEY)


def test_every_text_of_an_answer_is_masked():
    answer = Completion(KEY, f"f{KEY}", KEY, (ToolCall(KEY, f'{{"a": "{KEY}"}}'),), refusal=KEY)
    assert KEY not in repr(masked_completion(answer, KEY))
    assert masked_completion(answer, KEY).text == MASK


def test_an_answer_without_the_key_is_the_same_object():
    answer = Completion("bug")
    assert masked_completion(answer, KEY) is answer


def test_everything_like_a_key_is_masked_in_an_error():
    assert without_keys("sk-other-key and Bearer abc.def") == f"sk-{MASK} and Bearer {MASK}"
