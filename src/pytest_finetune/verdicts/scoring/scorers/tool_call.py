"""
`tool_call`: the answer calls the expected functions, in order or not, with equal arguments.

Where the definitions of the tools are known, arguments are also validated against their `parameters`. A case whose
expected answer is text expects no call.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_finetune.base.diff import json_diff
from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.json_compare import differences, field_counts, leaves
from pytest_finetune.base.json_path import json_path
from pytest_finetune.base.json_shape import schema_type, shape
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.strict_json import JsonFault
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.field_paths import paths_of
from pytest_finetune.verdicts.json_schema.pattern import renew_budget
from pytest_finetune.verdicts.scoring.answers import missing_answer, refused, truncated
from pytest_finetune.verdicts.scoring.calls import (
    call_values,
    expected_arguments,
    keyed,
    paired,
    parsed_arguments,
    without_parameters,
)
from pytest_finetune.verdicts.scoring.fields import FieldRules, FieldsOptions, accept_fault
from pytest_finetune.verdicts.scoring.json_values import (
    DEEP,
    difference_text,
    field_rules,
    settings_schema,
    wrong_paths,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.json_compare import Judge
    from pytest_finetune.base.records import Case, Completion, ToolCall
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.json_schema.validation import Schema
    from pytest_finetune.verdicts.scoring.options import OptionFault


class ToolCallOptions(FieldsOptions):
    """What the scorer reads from `[scorer]`."""

    unordered: bool = False


@dataclass(frozen=True, slots=True)
class ToolCallScorer(Scorer):
    """
    Calls, compared by name, order and arguments.

    Args:
        rules: Whether two leaves of arguments are equal, and how single arguments are compared.
        schema: What the arguments of every call must satisfy; None asks for a JSON object only.
        tools: Definitions for cases that bring none of their own.
        unordered: The calls may come in any order.
    """

    rules: FieldRules
    schema: Schema | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    unordered: bool = False
    name = "tool_call"
    settings: ClassVar = frozenset({"normalize", "schema"})
    options: ClassVar = ToolCallOptions
    accepts: ClassVar = True
    metrics: ClassVar = frozenset({"field_accuracy", "valid_rate", "format_stability"})
    holds_json: ClassVar = True
    blocking: ClassVar = True
    explains_by_path: ClassVar = True
    _parameters: dict[str, Schema] = field(default_factory=dict)

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        Reads `schema`, `fields`, `unordered`, the tools of `[request]`, and `normalize` for strings where it is set.

        Raises:
            ScorerError: The schema file cannot be used, or a library is missing.
        """
        options = ToolCallOptions.model_validate(settings.scorer_options)
        rules = field_rules(settings, options, calls=True)
        return cls(rules, settings_schema(settings, folder), tuple(settings.request.tools or ()), options.unordered)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Doubts about the schema."""
        return self.schema.warnings if self.schema else ()

    def check(self, case: Case) -> str | None:
        """Expected calls must be known to the tools and satisfy their parameters; or a text must be expected."""
        if not case.tool_calls:
            if case.accept:
                return "accept has no effect where no call is expected"
            return None if case.expected else "no expected tool calls"
        try:
            calls = self._read(case, case.tool_calls)
        except FormatFault as fault:
            return f"expected tool calls: {fault.path}: {fault.problem}"
        except ScorerError as error:
            return f"{error.where}: {error.problem}"
        found = dict(paths_of(calls))
        return self.rules.unusable(found) or accept_fault(case.accept, found)

    def faults(self, cases: Sequence[Case]) -> Iterator[OptionFault]:
        """Arguments that no expected call has."""
        if not self.rules.fields:
            return iter(())
        return self.rules.faults({path for case in cases for path, _ in paths_of(expected_arguments(case.tool_calls))})

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if the calls are the expected ones, no more and no fewer."""
        expected = expected_arguments(case.tool_calls)
        try:
            if not completion.tool_calls:
                return _without_calls(case, completion, expected)
            if fault := refused(completion):
                return fault.score((0, _leaves(expected)))
            return self._compare(case, expected, self._read(case, completion.tool_calls))
        except FormatFault as unread:
            return (truncated(completion) or unread).score((0, _leaves(expected)))
        except RecursionError:
            return FormatFault(FormatFailure.NOT_JSON, DEEP).score((0, _leaves(expected)))

    def explain(self, case: Case, completion: Completion) -> list[str]:
        """One line per argument that differs; the texts' difference if no call is expected."""
        if not case.tool_calls:
            return Scorer.explain(self, case, completion)
        judge = self.rules.judge(case.accept)
        return json_diff(call_values(case.tool_calls), call_values(completion.tool_calls), judge)

    def _compare(self, case: Case, expected: dict[str, Any], got: dict[str, Any]) -> Score:
        if not expected:
            names = ", ".join(got)
            return Score(passed=False, detail=f"expected no call, got {shorten(names)}", shape=shape(got))
        judge = self.rules.judge(case.accept)
        if self.unordered:
            got = paired(expected, got, lambda key: self._equals(key, expected[key], judge))
        found = list(differences(expected, got, self.rules.same, judge=judge))
        counts = field_counts(expected, found)
        if found:
            first, wrong = found[0], wrong_paths(found)
            detail = difference_text(first)
            return Score(passed=False, path=first.path, detail=detail, fields=counts, wrong=wrong, shape=shape(got))
        if list(expected) != list(got):
            detail = f"calls in another order: expected {', '.join(expected)}; got {', '.join(got)}"
            return Score(passed=False, path="$", detail=shorten(detail, 200), fields=counts, shape=shape(got))
        return Score(passed=True, fields=counts, shape=shape(got))

    def _equals(self, key: str, ours: Any, judge: Judge | None) -> Callable[[Any], bool]:
        """Whether arguments are those of an expected call."""
        place = json_path([key])
        return lambda theirs: next(differences(ours, theirs, self.rules.same, place, judge), None) is None

    def _read(self, case: Case, calls: Iterable[ToolCall]) -> dict[str, Any]:
        """
        Arguments by call, in order; a function's second call is keyed `name#2`.

        Raises:
            FormatFault: A function is unknown, or its arguments are not as its parameters ask.
        """
        tools = {tool["function"]["name"]: tool["function"] for tool in case.tools or self.tools if _is_function(tool)}
        # All calls of an answer share one time limit.
        renew_budget()
        bare = without_parameters(case, tools)
        return {key: self._arguments(key, call, tools, bare) for key, call in keyed(calls)}

    def _arguments(self, key: str, call: ToolCall, tools: Mapping[str, Mapping[str, Any]], bare: frozenset[str]) -> Any:
        place = json_path([key])
        if tools and call.name not in tools:
            raise FormatFault(FormatFailure.NOT_IN_ENUM, f"there is no tool {shorten(call.name)!r}", place)
        try:
            arguments = parsed_arguments(call, bare=call.name in bare)
        except JsonFault as unread:
            raise FormatFault(unread.kind, f"arguments are not JSON: {unread.problem}", place) from None
        if not isinstance(arguments, dict):
            raise FormatFault(FormatFailure.WRONG_TYPE, f"arguments are {schema_type(arguments)}, not object", place)
        for schema in (self.schema, self._parameters_of(tools.get(call.name, {}))):
            if schema and (fault := schema.fault(arguments, renew=False)):
                raise FormatFault(fault.kind, fault.problem, place + fault.path[1:])
        return arguments

    def _parameters_of(self, tool: Mapping[str, Any]) -> Schema | None:
        if "parameters" not in tool:
            return None
        text = json.dumps(tool["parameters"])
        if text not in self._parameters:
            from pytest_finetune.verdicts.json_schema.validation import compile_schema

            self._parameters[text] = compile_schema(tool["parameters"], f"parameters of tool {tool['name']!r}")
        return self._parameters[text]


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
