"""The fields of a line that every shape has: id, tags, accept, metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_path import normal_path
from pytest_finetune.base.json_text import type_name
from pytest_finetune.base.records import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.verdicts.evalset.reading import Faults

MAX_ID_LENGTH = 200


def read_id(value: Any, faults: Faults) -> str:
    """The line's own id, or nothing where it has none."""
    if value is None:
        return ""
    if type(value) not in (str, int):
        faults.add(f"id is {type_name(value)}", "an id is text or a whole number")
        return ""
    name = str(value)
    if problem := _id_problem(name):
        faults.add(f"id {_shortened(name)} {problem}", "an id names a test: keep it short, printable, without '::'")
    return name


def read_tags(value: Any, faults: Faults) -> tuple[str, ...]:
    """The tags, each once."""
    if value is None:
        return ()
    if type(value) is not list or not all(type(tag) is str and tag and tag.isprintable() for tag in value):
        faults.add("tags is not a list of printable words", 'write "tags": ["critical", "en"]')
        return ()
    return tuple(dict.fromkeys(value))


def read_group(value: Any, faults: Faults) -> str:
    """The group of the case; empty if it has none."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        hint = 'write "group": "invoice-7", the same for cases that belong together'
        faults.add("group is not a text or a whole number", hint)
        return ""
    return str(value)


def read_accept(value: Any, faults: Faults) -> Mapping[str, Any]:
    """Other right values by their normal path."""
    if value is None:
        return NOTHING
    hint = 'write other right values by their path: {"$.city": ["Oslo", "Christiania"]}'
    if problem := _accept_problem(value):
        faults.add(f"accept {problem}", hint)
        return NOTHING
    try:
        return {normal_path(path): tuple(values) for path, values in value.items()}
    except ValueError as error:
        faults.add(f"accept: {error}", hint)
        return NOTHING


def read_metadata(metadata: Any, faults: Faults) -> Mapping[str, Any]:
    """The metadata as it is, if it is an object."""
    if metadata is None:
        return NOTHING
    if type(metadata) is not dict:
        faults.add(f"metadata is {type_name(metadata)}", 'write an object: {"source": "…"}')
        return NOTHING
    return metadata


def _accept_problem(value: Any) -> str:
    if type(value) is not dict:
        return f"is {type_name(value)}"
    return next(
        (f"at {path} is not a list of values" for path, each in value.items() if type(each) is not list or not each), ""
    )


def _id_problem(name: str) -> str:
    if not name:
        return "is empty"
    if not name.isprintable():
        return "holds a character that cannot be printed"
    if name != name.strip():
        return "begins or ends with a blank"
    if "::" in name:
        return "holds '::', which parts the names of tests"
    return f"is longer than {MAX_ID_LENGTH} characters" if len(name) > MAX_ID_LENGTH else ""


def _shortened(name: str) -> str:
    shown = 40
    return repr(name if len(name) <= shown else name[: shown - 1] + "…")
