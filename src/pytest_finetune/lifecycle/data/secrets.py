"""Finds API keys and passwords in text, with the patterns of detect-secrets and some for keys that it lacks."""

from __future__ import annotations

import re
from bisect import bisect
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.data.libraries import needed
from pytest_finetune.lifecycle.data.published import is_example_key, is_example_login

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
The detectors that recognize a key by its format; the library's other detectors take any long word for a secret.

Its patterns for OpenAI keys and JSON Web Tokens take quadratic time on long words, and the latter omits the signature,
so that both are replaced by patterns in `_OURS`.
"""

# ASCII only: a key may directly follow a letter of another script, as in Chinese text.
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
_SHORTEST_VALUE = 20
_HOST = re.compile(r"[\w.-]*", re.ASCII)
_LONG_WORD = re.compile(r"[\w+/=.-]{20}|://[^\s/@]+@", re.ASCII)


class Secrets:
    """
    Finds API keys, passwords in URLs, and private keys.

    Raises:
        DataError: detect-secrets is not installed.
    """

    def __init__(self) -> None:
        detectors = [getattr(needed(f"detect_secrets.plugins.{module}"), name)() for module, name in DETECTORS.items()]
        self._patterns = [*_OURS, *(pattern for detector in detectors for pattern in detector.denylist)]

    def find(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield the code and the secret itself; overlapping matches of two patterns are reported once."""
        if "-----BEGIN " in text or "PuTTY" in text:
            for match in _PRIVATE.finditer(text):
                yield "private_key", match[0]
        # Keys are long words, which most texts do not have: one search saves about twenty.
        if not _LONG_WORD.search(text):
            return
        taken: list[tuple[int, int]] = []
        for pattern in self._patterns:
            for match in pattern.finditer(text):
                if _is_example(match):
                    continue
                at = bisect(taken, match.span())
                before, after = taken[at - 1 : at], taken[at : at + 1]
                if not (before and match.start() < before[0][1]) and not (after and after[0][0] < match.end()):
                    taken.insert(at, match.span())
                    yield "api_key", match[0]


def _is_example(match: re.Match[str]) -> bool:
    if not match[0].startswith("://"):
        # Some patterns begin with the name of the key, which says nothing about its value; short groups are prefixes.
        values = [group for group in match.groups() if group and len(group) >= _SHORTEST_VALUE]
        return is_example_key(values[-1] if values else match[0])
    host = _HOST.match(match.string, match.end())
    return is_example_login(match[0].removesuffix("@").rpartition(":")[2], host[0] if host else "")
