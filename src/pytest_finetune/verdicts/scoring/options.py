"""The table `[scorer]`: what a scorer reads from it besides its `type`, checked against the scorer's own model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from pytest_finetune.base.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from pytest_finetune.verdicts.evalset.scorer import Scorer


class OptionFault(NamedTuple):
    """A key of `[scorer]` that the scorer cannot use: the keys that lead to it, the problem and the remedy."""

    path: tuple[str | int, ...]
    problem: str
    hint: str


def option_faults(
    scorer: type[Scorer], options: Mapping[str, Any], *, other_keys: Iterable[str] = ()
) -> Iterator[OptionFault]:
    """What a scorer cannot use of its options; an unknown key is never ignored.

    Args:
        scorer: The scorer.
        options: The keys of its table, without `type` and the settings of several scorers.
        other_keys: Keys that the table may have, too, for the hint to a misspelt one.
    """
    known = scorer.options.model_fields if scorer.options else {}
    unknown = [key for key in options if key not in known]
    for key in unknown:
        yield OptionFault((key,), "unknown key", did_you_mean(key, {"type", *known, *scorer.settings, *other_keys}))
    if scorer.options is None:
        return
    try:
        scorer.options.model_validate({key: value for key, value in options.items() if key in known})
    except ValidationError as error:
        for detail in error.errors():
            yield _fault(detail, scorer.options)


def _fault(detail: ErrorDetails, options: type[BaseModel]) -> OptionFault:
    # pydantic says so where a key itself is at fault.
    path = tuple(key for key in detail["loc"] if key != "[key]")
    if detail["type"] == "extra_forbidden":
        return OptionFault(
            path, "unknown key", did_you_mean(str(path[-1]), _schema_at(options, path[:-1])["properties"])
        )
    description = str(_schema_at(options, path).get("description", ""))
    if detail["type"] == "missing":
        return OptionFault(path[:-1], f"needs {path[-1]}", description or f"add {path[-1]} = …")
    problem, _, hint = detail["msg"].removeprefix("Value error, ").partition("; ")
    return OptionFault(path, problem, hint or description)


def _schema_at(options: type[BaseModel], place: Sequence[str | int]) -> dict[str, Any]:
    """The JSON Schema of what the model has at a place: its keys, its description."""
    whole = options.model_json_schema()
    schema: dict[str, Any] = whole
    for key in place:
        inner = schema.get("properties", {}).get(key), schema.get("additionalProperties"), schema.get("items")
        schema = next(filter(None, inner), {})
        # A table that may be left out is one of several kinds, the other of which is null.
        for kind in (schema, *schema.get("anyOf", ())):
            if "$ref" in kind:
                schema = {**whole["$defs"][kind["$ref"].removeprefix("#/$defs/")], **schema}
    return schema
