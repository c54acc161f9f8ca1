"""Pydantic's errors in the settings of an eval set as problems and hints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.verdicts.evalset.gate_settings import GATE_KEYS, ONE_RULE
from pytest_finetune.verdicts.evalset.settings import (
    AnswerSettings,
    EvalSettings,
    ModelSettings,
    RequestSettings,
    ScorerSettings,
    StabilitySettings,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_MODEL_TABLE = 3
"""Length of the path to a key right under `[models."PATTERN"]`."""

_TOP = "the top of the file, above any [table]"
_TABLES: dict[str, list[str]] = {
    _TOP: [field.alias or name for name, field in EvalSettings.model_fields.items() if name != "scorer_options"],
    "[[scorers]]": [field.alias or name for name, field in ScorerSettings.model_fields.items()],
    "[request]": list(RequestSettings.model_fields),
    "[answer]": list(AnswerSettings.model_fields),
    "[models]": list(ModelSettings.model_fields),
    "[stability]": list(StabilitySettings.model_fields),
    "[[gates]]": list(dict.fromkeys(key for keys in GATE_KEYS.values() for key in keys)),
}


def explained(details: list[ErrorDetails]) -> tuple[str, str]:
    """Problem and hint for the errors at one place."""
    first = details[0]
    if first["type"] == "extra_forbidden":
        return _misplaced(first["loc"]) or ("unknown key", _key_hint(first["loc"]))
    if first["type"] == "no_rule":
        return first["msg"], _misspelt_rule(first["input"])
    if first["type"] == "misfit":
        return first["ctx"]["problem"], first["ctx"]["hint"]
    if first["type"] == "missing" and (kind := _gate_kind(first["loc"])):
        return f"{kind} needs {first['loc'][-1]}", 'name the baseline: against = "production"'
    if first["type"] == "literal_error" and len(details) == 1:
        known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        return f"unknown value {first['input']!r}", did_you_mean(str(first["input"]), known)
    messages = [detail["msg"].removeprefix("Value error, ") for detail in details]
    problem, _, hint = "; or ".join(dict.fromkeys(messages)).partition("; did you mean ")
    return problem, f"did you mean {hint}" if hint else ""


def _misspelt_rule(gate: object) -> str:
    """The first key of a gate without a rule that no gate has, with the key that may be meant."""
    known = {key for keys in GATE_KEYS.values() for key in keys}
    unknown = [key for key in gate if key not in known] if isinstance(gate, dict) else []
    return f"unknown key {unknown[0]!r}; {did_you_mean(unknown[0], sorted(known))}" if unknown else ""


def _gate_kind(place: tuple[str | int, ...]) -> str:
    """The rule of the gate that an error is about, as written; empty outside gates."""
    return next((str(key).strip("[]") for key in place if key in GATE_KEYS), "")


def _misplaced(place: tuple[str | int, ...]) -> tuple[str, str] | None:
    """A key of another kind of gate, and the kinds that it goes with."""
    key, kind = str(place[-1]), _gate_kind(place)
    others = [tag.strip("[]") for tag, keys in GATE_KEYS.items() if key in keys]
    if not kind or not others:
        return None
    is_rule = any(key in other.split(" or ") for other in others)
    return f"does not go with {kind}", ONE_RULE if is_rule else f"{key} goes with {' or '.join(others)}"


def _key_hint(place: tuple[str | int, ...]) -> str:
    """Where an unknown key belongs: a neighbour of nearly the same name, or another table."""
    key, table = str(place[-1]), _TOP
    if place[0] == "models":
        # After the pattern come the tables that a whole set has, too.
        table = "[models]" if len(place) == _MODEL_TABLE else f"[{place[_MODEL_TABLE - 1]}]"
    elif place[1:]:
        table = next((name for name in (f"[{place[0]}]", f"[[{place[0]}]]") if name in _TABLES), _TOP)
    for other, keys in _TABLES.items():
        if other != table and key in keys:
            return f"{key} belongs to {other}"
    hint = did_you_mean(key, _TABLES[table])
    if table == _TOP and not hint.startswith("did you mean"):
        return f'{hint}; the settings of a scorer are in [scorer], with type = "…"'
    return hint
