"""Searches every text of a row for personal data, secrets and broken characters, and masks them in findings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_finetune.base.json_path import step
from pytest_finetune.base.secret_masking import abbreviated
from pytest_finetune.lifecycle.data.encoding import Encoding
from pytest_finetune.lifecycle.data.personal import REGIONS, PersonalData
from pytest_finetune.lifecycle.data.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.lifecycle.data.structure import ReportFinding

REMEDIES = {
    "email_address": "replace it, for example with name@example.com",
    "phone_number": "replace it with a fictitious one, such as +1 212 555 0100",
    "resident_id": "replace it: a model can repeat its training data",
    "payment_card": "replace it: a model can repeat its training data",
    "bank_account": "replace it: a model can repeat its training data",
    "api_key": "remove it, and revoke it if it was ever in use",
    "private_key": "remove it, and revoke it if it was ever in use",
    "mojibake": "read the source again with the right encoding",
    "replacement_character": "read the source again with the right encoding",
}
_NAMES = {
    "email_address": "an email address",
    "phone_number": "a phone number",
    "resident_id": "a Chinese resident id",
    "payment_card": "a payment card number",
    "bank_account": "a bank account number",
    "api_key": "a key or password",
    "private_key": "a private key",
}
_CONTROL_TOKEN = re.compile(
    r"<\|(?:endoftext|endofprompt|fim_(?:prefix|middle|suffix|pad)|im_(?:start|end|sep)|(?:begin|end)_of_text"
    r"|(?:start|end)_header_id|eo[tm]_id|python_tag|start_of_role|end_of_role|system|user|assistant|end)\|>"
)
"""
Control tokens of OpenAI's, Qwen's, Llama's, Granite's and Phi's vocabularies.

OpenAI refuses a training file for `<|fim_suffix|>` in a text (johny-b/llmcomp#59); LLaMA-Factory for `<|im_start|>`
(hiyouga/LlamaFactory#354); servers whose tokenizer reads the rendered prompt take them as the end of a message.
"""

# Clean texts that are remembered, and the characters that each may have: together they bound memory.
_REMEMBERED = 10_000
# Characters: keys up to this length, such as role and content, are not checked; every row has several.
_SHORT_KEY = 9


class Safety:
    """
    Checks rows; a clean text that many rows share, such as their system prompt, is checked once.

    Args:
        regions: Countries whose national phone numbers, without a country code, are detected.

    Raises:
        DataError: A library of the extra `[data]` is not installed.
    """

    def __init__(self, regions: Sequence[str] = REGIONS) -> None:
        self._personal, self._secrets, self._encoding = PersonalData(regions), Secrets(), Encoding()
        self._clean: set[str] = set()

    def check(self, value: object, report: ReportFinding) -> list[str]:
        """Report what a JSON value contains; return the secrets themselves, so that other findings can mask them."""
        held: list[str] = []
        for path, text in _texts(value, "$"):
            if text in self._clean:
                continue
            before = len(held)
            held.extend(self._check_text(path, text, report))
            if len(held) == before and len(text) < _REMEMBERED:
                if len(self._clean) >= _REMEMBERED:
                    self._clean.clear()
                self._clean.add(text)
        return [secret for secret in dict.fromkeys(held) if secret]

    def _check_text(self, path: str, text: str, report: ReportFinding) -> Iterator[str]:
        """Report what one text contains; yield for each finding its secret, or "" if it has none."""
        for finder in (self._personal, self._secrets):
            for code, secret in finder.find(text):
                report(code, f"{_NAMES[code]}: {abbreviated(secret)}", REMEDIES[code], path=path)
                yield secret
        if "<|" in text:
            for token in dict.fromkeys(_CONTROL_TOKEN.findall(text)):
                problem = f"the text has the control token {token}"
                report("control_token", problem, "remove it, or write it in another way", path=path)
                yield ""
        for code, problem in self._encoding.find(text):
            report(code, problem, REMEDIES[code], path=path)
            yield ""


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    """All texts of a JSON value with their paths; a key has the path of its object. Recursion is as deep as a row."""
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
