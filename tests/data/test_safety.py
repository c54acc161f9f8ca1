"""Which text counts as a secret or as personal data, and that long texts can be searched."""

from __future__ import annotations

import random

import pytest

from pytest_finetune.lifecycle.data.encoding import Encoding
from pytest_finetune.lifecycle.data.personal import PersonalData
from pytest_finetune.lifecycle.data.safety import REMEDIES
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


@pytest.mark.slow
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
        ("账号DE02120300000000202051，谢谢", ["DE02120300000000202051"]),
        ("git clone git@github.com:org/repo.git", []),
        ("on 2023-10-15 10:30 from 192.168.100.200", []),
        ("550e8400-e29b-41d4-a716-446655440000", []),
        ("ISBN 978-3-16-148410-0, 1700000000000 ms", []),
    ],
)
def test_personal_data_is_found_in_any_script(text, expected):
    assert [data for _, data in PersonalData().find(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "card 5555 5555 5555 4444, or 378282246310005, or 4000 0025 0000 3155",
        "BE71 0961 2345 6769 and GB33BUKB20201555555555",
        "aws_secret_access_key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'",
        "AKIAI44QH8DHBEXAMPLE",
        "export TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "set OPENAI_API_KEY to sk-your-api-key-goes-here-1234",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.abc",
        "redis://default:<password>@cache.internal and ftp://me:secret@files.example.org",
        "https://{user}:{password}@host/path",
        "header@3x.jpg, sprite@2x.webp, me@localhost",
        "call (415) 555-0187, 07700 900461 or +33 6 39 98 12 34",
        "41.8781136000 -87.6297982000",
    ],
)
def test_published_examples_and_placeholders_are_not_reported(text):
    assert not list(PersonalData(("US", "GB", "FR")).find(text))
    assert not list(Secrets().find(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("AKIAIOSFODNN7EXAMPLE, then AKIAQ4N7SVXT2LJ6WZPD", ["AKIAQ4N7SVXT2LJ6WZPD"]),
        ("from https://user:pass@example.com to https://ops:w1nter24@db.internal", ["://ops:w1nter24@"]),
        ("例如11010519491231002X和440524188001010014，还有110105198803124525", ["110105198803124525"]),
        ("4242424242424242 is a test card, 5425233430109903 may be one of somebody", ["5425233430109903"]),
        ("GB29NWBK60161331926819 or DE02120300000000202051", ["DE02120300000000202051"]),
        ("not +1 212 555 0100 but +1 212 736 5000", ["+1 212 736 5000"]),
        ("icon@2x.png from ann@mail.co", ["ann@mail.co"]),
        (
            "aws my_secret_key='q8Zr2LwX0vB7nTsK4yHd9MfPcJ1uGaE5oRiVt6Qb'",
            ["aws my_secret_key='q8Zr2LwX0vB7nTsK4yHd9MfPcJ1uGaE5oRiVt6Qb'"],
        ),
        (
            "for example aws token: 'q8Zr2LwX0vB7nTsK4yHd9MfPcJ1uGaE5oRiVt6Qb'",
            ["aws token: 'q8Zr2LwX0vB7nTsK4yHd9MfPcJ1uGaE5oRiVt6Qb'"],
        ),
    ],
)
def test_real_data_next_to_a_published_example_is_reported(text, found):
    assert [data for finder in (PersonalData(), Secrets()) for _, data in finder.find(text)] == found


def test_decimals_are_not_phone_numbers():
    draw = random.Random(13)
    texts = [f"{draw.uniform(-1000, 1000) / 10 ** draw.randrange(4):.{draw.randint(8, 14)}f}" for _ in range(3000)]
    finder = PersonalData()
    assert [text for text in texts if list(finder.find(text))] == []
    assert [data for _, data in finder.find("212.736.5000")] == ["212.736.5000"]


@pytest.mark.parametrize("code", ["email_address", "phone_number"])
def test_the_replacement_that_a_remedy_names_is_not_reported_itself(code):
    replacement = REMEDIES[code].partition("such as ")[2] or REMEDIES[code].partition("with ")[2]
    assert replacement
    assert not list(PersonalData().find(replacement))


@pytest.mark.parametrize("text", ["订单已经发货，请查收", "今天天气很好", "機器學習模型", "ありがとうございます"])
def test_utf8_that_was_read_as_gbk_is_found_and_what_it_was_is_shown(text):
    garbled = text.encode().decode("gb18030", errors="ignore")
    [(code, problem)] = Encoding().find(f"回复: {garbled}")
    assert code == "mojibake"
    assert text[:2] in problem
    assert not list(Encoding().find(f"回复: {text}"))


def test_characters_that_were_lost_before_the_text_was_read_as_gbk_are_found():
    lost = b"caf\xe9 cr\xe8me".decode(errors="replace").replace("\ufffd", "\ufffd\ufffd").encode().decode("gbk")
    assert [code for code, _ in Encoding().find(lost)] == ["replacement_character"]


def test_common_chinese_characters_in_any_order_are_not_taken_for_another_encoding():
    common = [bytes((high, low)).decode("gb2312") for high in range(0xB0, 0xD7) for low in range(0xA1, 0xFF)]
    draw = random.Random(7)
    find = Encoding().find
    assert not [text for _ in range(5000) if list(find(text := "".join(draw.choices(common, k=draw.randint(3, 12)))))]
