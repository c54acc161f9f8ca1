"""Templates of OpenAI's Evals API: `{{ item.question }}`, `{{ item.order.id }}`, `{{ sample.output_text }}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.lifecycle.importing.foreign import NotCarried

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_PATH = re.compile(r"item((?:\.[^.\[\]\s]+|\[[0-9]+\]|\['[^']+'\]|\[\"[^\"]+\"\])+)")
_STEP = re.compile(r"\.([^.\[\]\s]+)|\[([0-9]+)\]|\['([^']+)'\]|\[\"([^\"]+)\"\]")


def render(template: str, item: Mapping[str, Any]) -> str:
    """
    The text of a template; a value that is not text is written as compact JSON.

    Raises:
        NotCarried: The item lacks a variable, or the template has one that does not belong to the item.
    """

    def text(match: re.Match[str]) -> str:
        value = _look_up(match[1], item)
        return value if isinstance(value, str) else compact_json(value)

    return _VARIABLE.sub(text, template)


def value_of(template: str, item: Mapping[str, Any]) -> object:
    """
    The JSON value of a template that is one variable, else its text.

    Raises:
        NotCarried: As `render`.
    """
    match = _VARIABLE.fullmatch(template.strip())
    return _look_up(match[1], item) if match else render(template, item)


def variables(template: str) -> set[str]:
    """The top-level keys of the item that a template reads."""
    found = (_PATH.fullmatch(each) for each in _VARIABLE.findall(template))
    return {_first_step(match[1]) for match in found if match}


def is_answer(template: object) -> bool:
    """Whether a template is the answer's text, and nothing else."""
    match = _VARIABLE.fullmatch(template.strip()) if isinstance(template, str) else None
    return match is not None and match[1] == "sample.output_text"


def _first_step(path: str) -> str:
    step = _STEP.match(path)
    return next((part for part in step.groups() if part), "") if step else ""


def _look_up(name: str, item: Mapping[str, Any]) -> object:
    path = _PATH.fullmatch(name)
    if path is None:
        raise NotCarried(f"the template variable {name!r} is not one of the item")
    value: object = item
    for step in _STEP.finditer(path[1]):
        key, index = step[1] or step[3] or step[4], step[2]
        if key is not None and isinstance(value, dict) and key in value:
            value = value[key]
        elif index is not None and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            raise NotCarried(f"the row has no {name!r}")
    if value is None:
        raise NotCarried(f"{name} is null")
    return value
