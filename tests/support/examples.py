"""How many examples a property test tries."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> settings:
    """`count` examples in a profile that tries 100 per test, and in proportion in any other: `quick` tries a tenth."""
    return settings(max_examples=max(1, count * settings.default.max_examples // 100))
