"""Tool calls as JSON values: arguments by call, so that calls are compared as objects are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.strict_json import JsonFault, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_finetune.base.records import Case, ToolCall


def keyed(calls: Iterable[ToolCall]) -> Iterator[tuple[str, ToolCall]]:
    """
    Each call with a key of its own: the function's name, and from its second call on `name#2`.

    A name with `#` in it always has a number after it: a function that is called `f#2` is not the second call of `f`.
    """
    seen: Counter[str] = Counter()
    for call in calls:
        seen[call.name] += 1
        number = seen[call.name]
        yield (f"{call.name}#{number}" if number > 1 or "#" in call.name else call.name), call


def function_of(key: str) -> str:
    """The function's name in a key of `keyed`."""
    return key.rpartition("#")[0] or key


def parsed_arguments(call: ToolCall, *, bare: bool) -> Any:
    """
    The arguments of a call; with `bare`, nothing at all is `{}`: servers write no arguments either way.

    Raises:
        JsonFault: They are not strict JSON.
    """
    return {} if bare and not call.arguments.strip() else parse_json(call.arguments)


def without_parameters(case: Case, tools: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Functions without parameters, by the definitions; where there are none, those expected without arguments."""
    if tools:
        return frozenset(name for name, tool in tools.items() if not _has_parameters(tool))
    return frozenset(call.name for call in case.tool_calls if call.arguments.strip() in ("", "{}"))


def expected_arguments(calls: Iterable[ToolCall]) -> dict[str, Any]:
    """The arguments of expected calls, which have been checked, by call."""
    return {key: parsed_arguments(call, bare=True) for key, call in keyed(calls)}


def call_values(calls: Iterable[ToolCall]) -> dict[str, Any]:
    """Arguments by call; those that are not JSON stay text."""
    return {key: _value_or_text(call) for key, call in keyed(calls)}


def paired(
    expected: Mapping[str, Any], got: Mapping[str, Any], same_as: Callable[[str], Callable[[Any], bool]]
) -> dict[str, Any]:
    """
    The answer's calls under the keys of the expected calls that they equal, whatever their order.

    Calls that equal none take the keys of their function that are left, in order, and then keys that nothing expects.
    """
    pairs = _matched(expected, got, same_as)
    left = [theirs for theirs in got if theirs not in pairs.values()]
    for ours in expected:
        same_name = next((theirs for theirs in left if function_of(theirs) == function_of(ours)), None)
        if ours not in pairs and same_name is not None:
            pairs[ours] = same_name
            left.remove(same_name)
    found = {ours: got[pairs[ours]] for ours in expected if ours in pairs}
    used = Counter(map(function_of, expected))
    for theirs in left:
        name = function_of(theirs)
        used[name] += 1
        found[f"{name}#{used[name]}" if used[name] > 1 or "#" in name else name] = got[theirs]
    return found


def _matched(
    expected: Mapping[str, Any], got: Mapping[str, Any], same_as: Callable[[str], Callable[[Any], bool]]
) -> dict[str, str]:
    """
    As many pairs of equal calls as there can be, by the key of the expected one.

    With tolerances a call may equal several expected ones, so that taking the first that fits could leave another call
    without one. Augmenting paths (Kuhn's algorithm) find all pairs.
    """
    near = {ours: _equal_calls(ours, got, same_as(ours)) for ours in expected}
    taken: dict[str, str] = {}

    def place(ours: str, tried: set[str]) -> bool:
        for theirs in near[ours]:
            if theirs not in tried:
                tried.add(theirs)
                if theirs not in taken or place(taken[theirs], tried):
                    taken[theirs] = ours
                    return True
        return False

    for ours in expected:
        place(ours, set())
    return {ours: theirs for theirs, ours in taken.items()}


def _equal_calls(ours: str, got: Mapping[str, Any], same: Callable[[Any], bool]) -> list[str]:
    return [theirs for theirs in got if function_of(theirs) == function_of(ours) and same(got[theirs])]


def _has_parameters(tool: Mapping[str, Any]) -> bool:
    parameters = tool.get("parameters")
    return isinstance(parameters, dict) and bool(parameters.get("properties") or parameters.get("required"))


def _value_or_text(call: ToolCall) -> Any:
    try:
        return parsed_arguments(call, bare=True)
    except JsonFault:
        return call.arguments
