"""What `--finetune-redact` shows instead of a text: enough to tell two texts apart, nothing to read."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_finetune.records import Failure

OWN_WORDS = frozenset({"connection", "timeout", "budget"})
"""Kinds of failure whose message is this project's own; any other may repeat what was asked or answered."""

_KIND = re.compile(r"(?:(\w+): )?(?:HTTP [0-9]{3})?")


def hidden(text: str) -> str:
    """
    A text's fingerprint and length: `sha256:0123456789ab, 34 characters`.

    Equal texts have equal fingerprints in every report. The fingerprint of a text that can be guessed, such as a
    label, can be found by trying.
    """
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"sha256:{digest}, {len(text):,} character{'' if len(text) == 1 else 's'}"


def failure_words(failure: Failure, *, redact: bool) -> str:
    """`kind: message` of a failure; redacted, a message that others had a hand in is left out but for the status."""
    return stop_words(f"{failure.kind}: {failure.message}", redact=redact)


def stop_words(told: str, *, redact: bool) -> str:
    """As `failure_words`, of a failure that is text already, with its kind or without."""
    kind = _KIND.match(told)
    if not redact or kind is None or kind[1] in OWN_WORDS:
        return told
    return kind[0].removesuffix(": ") or "the reason is in the record"
