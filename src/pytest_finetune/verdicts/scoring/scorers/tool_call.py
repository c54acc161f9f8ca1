"""
`tool_call`: the answer calls the expected functions, in order, with equal arguments.

Where the definitions of the tools are known, arguments are also validated against their `parameters`. A case whose
expected answer is text expects no call.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_finetune.base.diff import json_diff
from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.json_compare import differences, field_counts, leaves
from pytest_finetune.base.json_path import json_path
from pytest_finetune.base.json_shape import shape, type_name
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.json_schema.pattern import renew_budget
from pytest_finetune.verdicts.scoring.answers import missing_answer, refused, truncated
from pytest_finetune.verdicts.scoring.json_values import DEEP, difference_text, leaf_equality, schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion, ToolCall
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.json_schema.validation import Schema


@dataclass(frozen=True, slots=True)
class ToolCallScorer(Scorer):
    """
    Calls, compared by name, order and arguments.

    Args:
        same: Whether two leaves of arguments are equal.
        schema: What the arguments of every call must satisfy; None asks for a JSON object only.
        tools: Definitions for cases that bring none of their own.
    """

    same: Callable[[Any, Any], bool]
    schema: Schema | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    name = "tool_call"
    settings: ClassVar = frozenset({"normalize", "schema"})
    metrics: ClassVar = frozenset({"field_accuracy", "valid_rate", "format_stability"})
    holds_json: ClassVar = True
    blocking: ClassVar = True
    explains_by_path: ClassVar = True
    _parameters: dict[str, Schema] = field(default_factory=dict)

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        Reads `schema`, the tools of `[request]`, and `normalize` for strings where it is set.

        Raises:
            ScorerError: The schema file cannot be used.
        """
        return cls(leaf_equality(settings), schema_of(settings, folder), tuple(settings.request.tools or ()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Doubts about the schema."""
        return self.schema.warnings if self.schema else ()

    def check(self, case: Case) -> str | None:
        """Expected calls must be known to the tools and satisfy their parameters; or a text must be expected."""
        if not case.tool_calls:
            return None if case.expected else "no expected tool calls"
        try:
            self._read(case, case.tool_calls)
        except FormatFault as fault:
            return f"expected tool calls: {fault.path}: {fault.problem}"
        except ScorerError as error:
            return f"{error.where}: {error.problem}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if the calls are the expected ones, no more and no fewer."""
        expected = {key: parse_json(call.arguments) for key, call in _keyed(case.tool_calls)}
        try:
            if not completion.tool_calls:
                return _without_calls(case, completion, expected)
            if fault := refused(completion):
                return fault.score((0, _leaves(expected)))
            return self._compare(expected, self._read(case, completion.tool_calls))
        except FormatFault as unread:
            return (truncated(completion) or unread).score((0, _leaves(expected)))
        except RecursionError:
            return FormatFault(FormatFailure.NOT_JSON, DEEP).score((0, _leaves(expected)))

    def explain(self, case: Case, completion: Completion) -> list[str]:
        """One line per argument that differs; the texts' difference if no call is expected."""
        if not case.tool_calls:
            return Scorer.explain(self, case, completion)
        return json_diff(_call_values(case.tool_calls), _call_values(completion.tool_calls))

    def _compare(self, expected: dict[str, Any], got: dict[str, Any]) -> Score:
        if not expected:
            names = ", ".join(got)
            return Score(passed=False, detail=f"expected no call, got {shorten(names)}", shape=shape(got))
        found = list(differences(expected, got, self.same))
        counts = field_counts(expected, found)
        if found:
            first = found[0]
            return Score(passed=False, path=first.path, detail=difference_text(first), fields=counts, shape=shape(got))
        if list(expected) != list(got):
            detail = f"calls in another order: expected {', '.join(expected)}; got {', '.join(got)}"
            return Score(passed=False, path="$", detail=shorten(detail, 200), fields=counts, shape=shape(got))
        return Score(passed=True, fields=counts, shape=shape(got))

    def _read(self, case: Case, calls: Iterable[ToolCall]) -> dict[str, Any]:
        """
        Arguments by call, in order; a function's second call is keyed `name#2`.

        Raises:
            FormatFault: A function is unknown, or its arguments are not as its parameters ask.
        """
        tools = {tool["function"]["name"]: tool["function"] for tool in case.tools or self.tools if _is_function(tool)}
        # All calls of an answer share one time limit.
        renew_budget()
        return {key: self._arguments(key, call, tools) for key, call in _keyed(calls)}

    def _arguments(self, key: str, call: ToolCall, tools: Mapping[str, Mapping[str, Any]]) -> Any:
        place = json_path([key])
        if tools and call.name not in tools:
            raise FormatFault(FormatFailure.NOT_IN_ENUM, f"there is no tool {shorten(call.name)!r}", place)
        try:
            arguments = parse_json(call.arguments)
        except JsonFault as unread:
            raise FormatFault(unread.kind, f"arguments are not JSON: {unread.problem}", place) from None
        if not isinstance(arguments, dict):
            raise FormatFault(FormatFailure.WRONG_TYPE, f"arguments are {type_name(arguments)}, not object", place)
        for schema in (self.schema, self._parameters_of(tools.get(call.name, {}))):
            if schema and (fault := schema.fault(arguments, renew=False)):
                raise FormatFault(fault.kind, fault.problem, place + fault.path[1:])
        return arguments

    def _parameters_of(self, tool: Mapping[str, Any]) -> Schema | None:
        if "parameters" not in tool:
            return None
        text = json.dumps(tool["parameters"], sort_keys=True)
        if text not in self._parameters:
            from pytest_finetune.verdicts.json_schema.validation import compile_schema

            self._parameters[text] = compile_schema(tool["parameters"], f"parameters of tool {tool['name']!r}")
        return self._parameters[text]


def _keyed(calls: Iterable[ToolCall]) -> Iterable[tuple[str, ToolCall]]:
    """Each call with a key of its own: the function's name, and from its second call on `name#2`."""
    seen: Counter[str] = Counter()
    used: set[str] = set()
    for call in calls:
        key = call.name
        while key in used:
            # A model may call a function `f#2`, so counting alone does not keep keys apart.
            seen[call.name] += 1
            key = f"{call.name}#{seen[call.name] + 1}"
        used.add(key)
        yield key, call


def _is_function(tool: Mapping[str, Any]) -> bool:
    function = tool.get("function")
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _leaves(expected: dict[str, Any]) -> int:
    return leaves(expected) if expected else 0


def _without_calls(case: Case, completion: Completion, expected: dict[str, Any]) -> Score:
    if fault := missing_answer(completion):
        raise fault
    if not case.tool_calls:
        return Score(passed=True)
    if fault := truncated(completion):
        raise fault
    detail = f"expected a call of {', '.join(expected)}, got the text {shorten(completion.text)!r}"
    return Score(passed=False, path="$", detail=shorten(detail, 200), fields=(0, _leaves(expected)))


def _call_values(calls: Iterable[ToolCall]) -> dict[str, Any]:
    """Arguments by call; those that are not JSON stay text."""
    return {key: _value_or_text(call.arguments) for key, call in _keyed(calls)}


def _value_or_text(text: str) -> Any:
    try:
        return parse_json(text)
    except JsonFault:
        return text
