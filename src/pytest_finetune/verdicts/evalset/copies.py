"""Cases that send the same request: how many there are, and those that no answer can satisfy together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_finetune.base.json_text import canonical_json

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.eval_set import EvalSet

MANY, SHARE = 10, 0.1
"""Copies are named from this many cases with one request on, or if more than this share of a set are copies."""


def number_copies(eval_sets: Sequence[EvalSet]) -> list[EvalSet]:
    """The eval sets of a session, with the number of earlier cases that send the same request, across all sets."""
    if len(eval_sets) == 1:
        # Numbered when it was loaded.
        return list(eval_sets)
    seen: Counter[Hashable] = Counter()
    numbered = []
    for eval_set in eval_sets:
        params = canonical_json(dict(eval_set.params))
        copies = {}
        for case in eval_set.cases:
            request = params, _request_of(case)
            if earlier := seen[request]:
                copies[case.id] = earlier
            seen[request] += 1
        numbered.append(replace(eval_set, copies=copies) if copies else eval_set)
    return numbered


def same_requests(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases of a set that send the same request, one list for each request that is sent more than once."""
    # Nearly all requests differ: only those with equal hashes are kept and compared.
    hashes = [hash(_request_of(case)) for case in cases]
    if len(set(hashes)) == len(hashes):
        return []
    count = Counter(hashes)
    by_request: dict[Hashable, list[Case]] = {}
    for case, each in zip(cases, hashes, strict=True):
        if count[each] > 1:
            by_request.setdefault(_request_of(case), []).append(case)
    return [group for group in by_request.values() if len(group) > 1]


def copies_in(groups: Iterable[Sequence[Case]]) -> dict[str, int]:
    """By case id, how many earlier cases of the set send the same request; only those with at least one."""
    return {case.id: earlier for group in groups for earlier, case in enumerate(group) if earlier}


def copy_warnings(groups: Sequence[Sequence[Case]], number_of_cases: int) -> Iterator[str]:
    """Contradictions in a set, and copies without a common group if there are many: each counts as independent."""
    contradicting = [pair for group in groups if (pair := _contradiction(group))]
    if contradicting:
        one, other = contradicting[0]
        more = f" ({len(contradicting) - 1:,} more such prompts)" if contradicting[1:] else ""
        yield (
            f"cases {one.id!r} (line {one.line}) and {other.id!r} (line {other.line}) send the same request, but have "
            f"no expected answer in common{more}"
        )
    loose = [group for group in groups if len({case.group or (case.id,) for case in group}) > 1]
    copies = sum(len(group) - 1 for group in loose)
    largest = max(loose, key=len, default=())
    if len(largest) >= MANY or copies > number_of_cases * SHARE:
        first, second = largest[:2]
        yield (
            f"{copies:,} of {number_of_cases:,} cases repeat the request of an earlier one, such as {second.id!r} "
            f"(line {second.line}) that of {first.id!r} (line {first.line}); intervals count them as independent: add "
            'a common "group"'
        )


def _request_of(case: Case) -> Hashable:
    """The part of a request that differs between the cases of a set."""
    messages = [
        (message.role, message.content)
        if type(message.content) is str and not message.extra
        else canonical_json(message.to_wire())
        for message in case.messages
    ]
    return tuple(messages), canonical_json(case.tools) if case.tools else ""


def _contradiction(group: Sequence[Case]) -> tuple[Case, Case] | None:
    """Two cases with no expected answer in common; None if there are none, or not all name their answers."""
    first, wanted = group[0], _answers(group[0])
    for other in group[1:]:
        if wanted and (answers := _answers(other)) and wanted.isdisjoint(answers):
            return first, other
    return None


def _answers(case: Case) -> set[str]:
    calls = [canonical_json([(call.name, call.arguments) for call in case.tool_calls])] if case.tool_calls else []
    return {canonical_json(answer) for answer in case.expected}.union(calls)
