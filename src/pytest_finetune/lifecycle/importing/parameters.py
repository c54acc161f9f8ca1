"""Request parameters of foreign files as `[request]`: only those that all rows share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import canonical_json
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.settings import RequestSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.lifecycle.importing.foreign import Findings

_CASE = frozenset({"model", "messages", "tools"})
"""What belongs to the case or the model, not to the settings."""

_HANDLING = frozenset(
    {"stream", "stream_options", "store", "metadata", "user", "n", "prompt_cache_key", "safety_identifier"}
)
"""Keys of a request that do not change its answer."""

_RENAMED = {"max_completions_tokens": "max_completion_tokens"}


class SharedParameters:
    """Finds the parameters that all requests of a file share."""

    def __init__(self) -> None:
        self._shared: dict[str, Any] | None = None
        self._differing: set[str] = set()

    def see(self, request: Mapping[str, Any]) -> None:
        """Take the parameters of one request."""
        present = {
            _RENAMED.get(key, key): value
            for key, value in request.items()
            if value is not None and key not in _CASE and key not in _HANDLING
        }
        if self._shared is None:
            self._shared = present
            return
        for key in self._shared.keys() | present.keys():
            if not _same(self._shared.get(key), present.get(key)):
                self._differing.add(key)

    def add_to(self, findings: Findings) -> None:
        """Add what all requests share to the settings, and report what differs."""
        request: dict[str, Any] = {}
        for key, value in (self._shared or {}).items():
            if key in self._differing:
                continue
            if has_null(value):
                findings.not_carried[f"parameter {key}: TOML has no null"] += 1
            elif key in RequestSettings.model_fields and key not in ("extra_body", "response_schema"):
                request[key] = _typed(key, value)
            else:
                request.setdefault("extra_body", {})[key] = value
        for key in sorted(self._differing):
            findings.not_carried[f"parameter {shorten(key, 40)}: it differs between requests"] += 1
        if request:
            findings.settings["request"] = request


def _same(one: object, other: object) -> bool:
    """Whether two JSON values are equal, and `1` is neither `1.0` nor `true`."""
    if type(one) is type(other) and isinstance(one, str | int | float | None):
        return one == other
    return canonical_json(one) == canonical_json(other)


def has_null(value: object) -> bool:
    """Whether a JSON value is null or contains null."""
    if isinstance(value, dict):
        return any(has_null(item) for item in value.values())
    if isinstance(value, list):
        return any(has_null(item) for item in value)
    return value is None


def _typed(key: str, value: object) -> object:
    if key == "response_format" and value in ({"type": "text"}, {"type": "json_object"}):
        return value["type"]
    return float(value) if key in ("temperature", "top_p") and isinstance(value, int) else value
