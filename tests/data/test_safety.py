"""Which text counts as a secret or as personal data, and that long texts can be searched."""

from __future__ import annotations

import pytest

from pytest_finetune.lifecycle.data.personal import PersonalData
from pytest_finetune.lifecycle.data.secrets import Secrets

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
KEY = "sk-proj-a1b2c3d4e5f6g7h8i9j0k1l2m3n4"


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (f"Bearer {TOKEN}", [TOKEN]),
        (f"the key {KEY}, and again {KEY}", [KEY, KEY]),
        (f"密钥{KEY}是我的", [KEY]),
        ("a.eyJust.kidding.with.everybody", []),
        ("risk-management-of-2020-and-later-years", []),
        ("sk-learn-pipelines-and-transformers", []),
        ("https://bob:hunter22@db.internal/x", ["://bob:hunter22@"]),
    ],
)
def test_keys_are_found_and_ordinary_words_are_not(text, secrets):
    assert [secret for _, secret in Secrets().find(text)] == secrets


@pytest.mark.parametrize("piece", ["a", "sk-", "eyJ", "eyJa.", ".eyJ0123456789.eyJ0123456789", "://a:", "1-", "AKIA"])
def test_a_word_of_a_megabyte_can_be_searched(piece):
    text = piece * (1_000_000 // len(piece))
    for finder in (Secrets(), PersonalData()):
        assert sum(len(secret) for _, secret in finder.find(text)) <= len(text)


def test_many_keys_in_one_text_are_each_found_once():
    keys = [f"AKIA{number:016d}" for number in range(20_000)]
    assert [secret for _, secret in Secrets().find(" ".join(keys))] == keys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("联系bob@gmail.com谢谢", ["bob@gmail.com"]),
        ("Bob.O'Neil+x@mail.co.uk", ["Bob.O'Neil+x@mail.co.uk"]),
        ("账号DE89370400440532013000，谢谢", ["DE89370400440532013000"]),
        ("git clone git@github.com:org/repo.git", []),
        ("on 2023-10-15 10:30 from 192.168.100.200", []),
        ("550e8400-e29b-41d4-a716-446655440000", []),
        ("ISBN 978-3-16-148410-0, 1700000000000 ms", []),
    ],
)
def test_personal_data_is_found_in_any_script(text, expected):
    assert [data for _, data in PersonalData().find(text)] == expected
