"""JSON Schema validation of any answer: compiled once, nothing fetched, one fault with its JSON path."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.json_path import json_path
from pytest_finetune.base.records import FormatFailure
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.json_schema.document import Document
from pytest_finetune.verdicts.json_schema.faults import fault_of
from pytest_finetune.verdicts.json_schema.formats import formats
from pytest_finetune.verdicts.json_schema.keywords import guarded
from pytest_finetune.verdicts.json_schema.pattern import ChecksUsedUp, FormatTimeout, renew_budget
from pytest_finetune.verdicts.json_schema.quick import quick_check
from pytest_finetune.verdicts.json_schema.search_process import SearchTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jsonschema.protocols import Validator

MOST_ERRORS = 100
"""Errors of one answer among which the one to report is chosen."""

_SLOW = ("pattern", "patternProperties", "format")

_SIMPLE: tuple[Any, ...] = (None, "", 0, [], {})


class Schema:
    """
    A compiled JSON Schema.

    Args:
        validator: The compiled validator.
        warnings: Words in the schema that no validator knows.
        unchecked: Formats that are not checked, because their library is not installed.
        quick: True only for values that the validator accepts too, at a hundredth of its time; None if there is none.

    Attributes:
        may_be_slow: It has keywords whose check may take up to a second.
    """

    __slots__ = ("_quick", "_validator", "may_be_slow", "unchecked", "warnings")

    def __init__(
        self,
        validator: Validator,
        warnings: tuple[str, ...],
        unchecked: tuple[str, ...] = (),
        quick: Callable[[Any], bool] | None = None,
    ) -> None:
        self._validator, self.warnings, self.unchecked, self._quick = validator, warnings, unchecked, quick
        text = json.dumps(validator.schema, default=dict)
        self.may_be_slow = any(f'"{keyword}"' in text for keyword in _SLOW)

    @property
    def document(self) -> Any:
        """The schema as it was written."""
        return self._validator.schema

    def fault(self, value: Any, *, renew: bool = True) -> FormatFault | None:
        """
        What is wrong with a parsed JSON value, and where; None when it is valid.

        Args:
            value: The parsed JSON value.
            renew: Start a new time limit; otherwise the value shares that of the previous validation.
        """
        if self._quick is not None and self._quick(value):
            return None
        if renew:
            renew_budget()
        try:
            errors = list(islice(self._validator.iter_errors(value), MOST_ERRORS))
            return fault_of(errors) if errors else None
        except RecursionError:
            return _too_deep()
        except SearchTimeout as timeout:
            # It ends the whole validation, so that no `not` and no alternative can make the answer valid.
            if isinstance(timeout, ChecksUsedUp):
                return FormatFault(FormatFailure.OTHER, "the schema takes too many steps for it", "$", undecided=True)
            what = "format" if isinstance(timeout, FormatTimeout) else "pattern"
            problem = f"the {what} {timeout.args[0]!r} took too long"
            return FormatFault(FormatFailure.PATTERN, problem, "$", undecided=True)
        except BaseException as error:
            if not _is_panic(error):
                raise
            return _too_deep()


def _too_deep() -> FormatFault:
    return FormatFault(FormatFailure.OTHER, "nested too deeply to validate", "$", undecided=True)


def load_schema(path: Path) -> Schema:
    """
    The JSON Schema in a file, in the dialect that its `$schema` names, or else 2020-12.

    Raises:
        ScorerError: The file cannot be read, is not strict JSON, not a schema, or refers out of itself.
    """
    try:
        contents = parse_json(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ScorerError(
            f"the schema cannot be read: {reason}", str(path), "name a file next to the eval set"
        ) from None
    except UnicodeDecodeError:
        raise ScorerError("the schema is not UTF-8", str(path), "save it as UTF-8") from None
    except JsonFault as fault:
        raise ScorerError(f"the schema is not JSON: {fault.problem}", str(path)) from None
    return compile_schema(contents, str(path))


def compile_schema(contents: Any, where: str, *, may_lack_libraries: bool = False) -> Schema:
    """
    Compile a parsed JSON Schema.

    Args:
        contents: The parsed schema.
        where: What to name in errors.
        may_lack_libraries: Leave formats whose library is not installed unchecked, which `unchecked` then names. For
            advice only: a score needs them.

    Raises:
        ScorerError: It is not a schema, or refers out of itself.
    """
    dialect = _dialect(contents, where)
    renew_budget()
    try:
        dialect.check_schema(contents, format_checker=_without_patterns(dialect))
        document = Document(contents, where, dialect, may_lack_libraries=may_lack_libraries)
        warnings = document.warnings()
        validator = guarded(dialect)(contents, registry=document.registry, format_checker=formats(dialect))
        renew_budget()
        for value in _SIMPLE:
            validator.is_valid(value)
    except SchemaError as error:
        place = f"{where}: {json_path(error.absolute_path)}"
        raise ScorerError(f"not a JSON Schema: {shorten(error.message, 160)}", place) from None
    except ChecksUsedUp:
        problem = "the schema takes too many steps even for a simple value"
        raise ScorerError(problem, where, "nest fewer alternatives") from None
    except RecursionError:
        raise ScorerError(*_endless(where)) from None
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise ScorerError(*_endless(where)) from None
    quick = quick_check(contents, dialect.__name__)
    return Schema(validator, warnings, tuple(sorted(document.unchecked)), quick)


def _endless(where: str) -> tuple[str, str, str]:
    return "the schema refers to itself without end", where, "break the cycle of $ref"


def _is_panic(error: BaseException) -> bool:
    # The persistent map of `referencing` is written in Rust: where the stack ends inside it, it panics. PyO3 makes that
    # a BaseException, whose class cannot be imported.
    return type(error).__name__ == "PanicException"


def _dialect(contents: Any, where: str) -> Any:
    if not isinstance(contents, dict | bool):
        raise ScorerError("a JSON Schema is an object, true or false", where)
    named = contents.get("$schema") if isinstance(contents, dict) else None
    unknown: Any = None
    found = validator_for({"$schema": named}, default=unknown) if named else Draft202012Validator
    if found is unknown or "allOf" not in found.VALIDATORS:
        hint = 'use "https://json-schema.org/draft/2020-12/schema", or draft 4, 6, 7 or 2019-09'
        raise ScorerError(f"unknown dialect: $schema is {named!r}", where, hint)
    return found


def _without_patterns(dialect: Any) -> Any:
    """The format checks of a schema itself; its patterns are ECMA's and tried out by their own engine."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    checker.checkers = {name: check for name, check in formats(dialect).checkers.items() if name != "regex"}
    return checker
