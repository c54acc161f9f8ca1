"""Keys and passwords in text: the patterns of detect-secrets, and those of keys that it does not know."""

from __future__ import annotations

import re
from bisect import bisect
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.libraries import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

DETECTORS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "mailchimp": "MailchimpDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
"""
Those of the library's detectors that know a key by its looks; the others take long words for secrets.

Its patterns of OpenAI's keys and of JSON Web Tokens take a time that grows with the square of a word's length, and the
latter leaves the signature out: both have one of ours below.
"""

# Letters and digits of other scripts are no part of a key, which may stand right behind them.
_OURS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"(?<![\w-])sk-(?=[A-Za-z_-]{0,60}\d)[\w-]{20,}",
        r"(?<![\w-])eyJ[\w-]{10,2000}\.eyJ[\w-]{10,20000}\.[\w-]*",
        r"\bAIza[\w-]{35}",
        r"\bhf_[A-Za-z0-9]{30,}",
        r"\bnpm_[A-Za-z0-9]{36}",
        r"\bgithub_pat_\w{50,}",
    )
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
        self._patterns = [*_OURS, *(pattern for detector in detectors for pattern in detector.denylist)]

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
                at = bisect(taken, match.span())
                before, after = taken[at - 1 : at], taken[at : at + 1]
                if not (before and match.start() < before[0][1]) and not (after and after[0][0] < match.end()):
                    taken.insert(at, match.span())
                    yield "api_key", match[0]
