"""Keys and passwords in text: the patterns of detect-secrets, and those of keys that it does not know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_finetune.data.libraries import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

DETECTORS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "openai": "OpenAIDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
"""Those of the library's detectors that know a key by its looks; the others take long words for secrets."""

_NEWER = (
    re.compile(r"\bsk-(?:ant-|proj-|svcacct-|admin-|or-)?[A-Za-z0-9_-]{20,}"),
    re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
    re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    re.compile(r"\bnpm_[A-Za-z0-9]{36}"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{50,}"),
)
_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-[23]")
_LONG_WORD = re.compile(r"[\w+/=.-]{20}|://[^\s/@]+@", re.ASCII)


class Secrets:
    """
    Finds keys.

    Raises:
        DataError: detect-secrets is not installed.
    """

    def __init__(self) -> None:
        detectors = [getattr(needed(f"detect_secrets.plugins.{module}"), name)() for module, name in DETECTORS.items()]
        self._patterns = [*_NEWER, *(pattern for detector in detectors for pattern in detector.denylist)]

    def find(self, text: str) -> Iterator[tuple[str, str]]:
        """Code and the secret itself; one that two patterns know is told once."""
        if "-----BEGIN " in text or "PuTTY" in text:
            for match in _PRIVATE.finditer(text):
                yield "private_key", match[0]
        # Keys are long words, and prose has few; whoever has none needs no look at twenty patterns.
        if not _LONG_WORD.search(text):
            return
        taken: list[tuple[int, int]] = []
        for pattern in self._patterns:
            for match in pattern.finditer(text):
                start, end = match.span()
                if not any(start < other_end and other_start < end for other_start, other_end in taken):
                    taken.append((start, end))
                    yield "api_key", match[0]
