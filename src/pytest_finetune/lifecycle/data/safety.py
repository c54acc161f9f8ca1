"""Every text of a row looked through for personal data, secrets and broken characters; no finding shows a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_path import step
from pytest_finetune.base.secret_masking import abbreviated
from pytest_finetune.lifecycle.data.encoding import Encoding
from pytest_finetune.lifecycle.data.personal import REGIONS, PersonalData
from pytest_finetune.lifecycle.data.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.lifecycle.data.structure import Say

REMEDIES = {
    "email_address": "replace it, say by name@example.com",
    "phone_number": "replace it with a fictitious one, such as +1 212 555 0100",
    "resident_id": "replace it: a model can repeat what it was trained on",
    "payment_card": "replace it: a model can repeat what it was trained on",
    "bank_account": "replace it: a model can repeat what it was trained on",
    "api_key": "take it out, and revoke it if it ever was in use",
    "private_key": "take it out, and revoke it if it ever was in use",
    "mojibake": "read the source again in its own encoding",
    "replacement_character": "read the source again in its own encoding",
}
_NAMES = {
    "email_address": "an e-mail address",
    "phone_number": "a phone number",
    "resident_id": "a Chinese resident id",
    "payment_card": "a payment card number",
    "bank_account": "a bank account number",
    "api_key": "a key or password",
    "private_key": "a private key",
}
_REMEMBERED = 10_000
_SHORT_KEY = 9


class Safety:
    """
    Looks through rows; texts without anything, such as the one system prompt of all rows, are looked at once.

    Args:
        regions: Countries whose phone numbers are known without their country code.

    Raises:
        DataError: A library of the extra `[data]` is not installed.
    """

    def __init__(self, regions: Sequence[str] = REGIONS) -> None:
        self._personal, self._secrets, self._encoding = PersonalData(regions), Secrets(), Encoding()
        self._clean: set[str] = set()

    def check(self, value: Any, say: Say) -> list[str]:
        """Note what a JSON value holds; the secrets themselves are given back, so that no other finding shows them."""
        held: list[str] = []
        for path, text in _texts(value, "$"):
            if text in self._clean:
                continue
            before = len(held)
            held.extend(self._told(path, text, say))
            if len(held) == before and len(text) < _REMEMBERED:
                if len(self._clean) >= _REMEMBERED:
                    self._clean.clear()
                self._clean.add(text)
        return [secret for secret in dict.fromkeys(held) if secret]

    def _told(self, path: str, text: str, say: Say) -> Iterator[str]:
        """Everything that a text holds, as the secret itself, or empty where what was found is none."""
        for finder in (self._personal, self._secrets):
            for code, secret in finder.find(text):
                say(code, f"{_NAMES[code]}: {abbreviated(secret)}", REMEDIES[code], path=path)
                yield secret
        for code, problem in self._encoding.find(text):
            say(code, problem, REMEDIES[code], path=path)
            yield ""


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """All texts of a JSON value with their paths, a key with that of its object; no deeper than a row can be."""
    if type(value) is str:
        if value:
            yield path, value
    elif type(value) is dict:
        for key, item in value.items():
            if len(key) > _SHORT_KEY:
                yield path, key
            yield from _texts(item, path + step(key))
    elif type(value) is list:
        for index, item in enumerate(value):
            yield from _texts(item, path + step(index))
