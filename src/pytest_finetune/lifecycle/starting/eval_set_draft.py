"""The files of a first eval set: cases, commented settings, and a schema for JSON answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.starting.editor_schemas import FOLDER
from pytest_finetune.lifecycle.starting.kinds import (
    draft_schema,
    is_short,
    json_value,
    kind_of,
    labels_in,
    message_text,
)
from pytest_finetune.verdicts.stats import rate_interval
from pytest_finetune.verdicts.stats.power import POWER, cases_to_show_rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_finetune.lifecycle.starting.kinds import AnswerKind

BAR, CONFIDENCE = 0.9, 0.95
"""The proposed gate: accuracy, and the level of its interval where there are enough cases."""

_TYPICAL = 0.96
"""Accuracy at which a proposed gate must be able to pass, so that it demands what a good model reaches."""

_ABOUT = {
    "label": "Each answer is one of the labels.",
    "json": "Each answer is a JSON object that satisfies the schema and equals the expected one.",
    "tool_call": "Each answer calls the expected functions with the expected arguments.",
    "sql": "Each answer is the expected query, up to layout and names.",
    "text": "Each answer is the expected text.",
}
_SHARED_WORDS = "Each answer shares most of its words with the expected text."


@dataclass(frozen=True, slots=True)
class EvalSetDraft:
    """
    A first eval set.

    Args:
        kind: What the model answers with.
        files: Content of each file by its name; the cases are the last.
        cases: Number of cases.
    """

    kind: AnswerKind
    files: Mapping[str, bytes]
    cases: int


def draft_eval_set(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    kind: AnswerKind | None = None,
    *,
    seen: Sequence[Mapping[str, Any]] = (),
) -> EvalSetDraft:
    """
    Draft an eval set from chat rows of training data.

    Args:
        name: Of the set, without a suffix.
        rows: Rows whose last message is the answer.
        kind: What the model answers with; None finds it in the answers.
        seen: More rows, which become no cases: labels and the schema come from all of them.

    Raises:
        DataError: There is no row, or the answers are not of the kind.
    """
    if not rows:
        raise DataError("there is no row to start from", name, "use a file with at least one answer")
    answers = [row["messages"][-1] for row in (*rows, *seen)]
    kind = kind or kind_of(answers)
    _refuse_other_kind(name, kind, answers)
    files: dict[str, bytes] = {}
    schema = ""
    if kind == "json":
        schema = f"{name}.schema.json"
        content = draft_schema([json_value(message_text(answer)) for answer in answers])
        files[schema] = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
    files[f"{name}.toml"] = "".join(f"{line}\n" for line in _settings(kind, answers, schema, len(rows))).encode()
    lines = [json.dumps(_case(row, kind), ensure_ascii=False) for row in rows]
    files[f"{name}.jsonl"] = "".join(f"{line}\n" for line in lines).encode()
    return EvalSetDraft(kind, files, len(rows))


def _refuse_other_kind(name: str, kind: AnswerKind, answers: Sequence[Mapping[str, Any]]) -> None:
    for number, answer in enumerate(answers, 1):
        text = message_text(answer)
        if kind == "tool_call":
            problem = "" if answer.get("tool_calls") else "calls no tool"
        elif kind == "json":
            problem = "" if json_value(text) is not None else "is not strict JSON"
        else:
            problem = "" if text.strip() else "has no text"
        if problem:
            raise DataError(f"the answer of row {number} {problem}", name, "choose another --kind, or fix the row")


def _settings(kind: AnswerKind, answers: Sequence[Mapping[str, Any]], schema: str, cases: int) -> Iterator[str]:
    texts = [message_text(answer) for answer in answers]
    by_words = kind == "text" and not is_short(texts)
    yield f"#:schema {FOLDER}/settings.json"
    yield f"# {_SHARED_WORDS if by_words else _ABOUT[kind]} All settings: docs/eval-sets.md of pytest-finetune"
    if by_words:
        yield "[scorer]"
        yield 'type = "f1"                      # also rouge_l, chrf, bleu, fuzzy, or a function of your own'
        yield "threshold = 0.6                  # words in common from which an answer passes"
    else:
        yield f'scorer = "{"exact" if kind == "text" else kind}"'
    if kind == "label":
        yield 'normalize = ["strip", "casefold"] # white space around a label and capitals do not matter'
        yield f"labels = {json.dumps(labels_in(texts), ensure_ascii=False)}"
    if schema:
        yield f'schema = "{schema}"  # drafted from the answers: check it'
    yield from _gates(kind, cases)


def _gates(kind: AnswerKind, cases: int) -> Iterator[str]:
    yield from ("", "[[gates]]                        # a model ships only if every gate passes")
    yield from ('metric = "accuracy"', f"min = {BAR}")
    needed = cases_to_show_rate(BAR, _TYPICAL, confidence=CONFIDENCE) or 0
    power = f"a model at {_TYPICAL} passes with a power of {POWER * 100:g} % from {needed} cases on"
    if cases >= enough_cases():
        yield f"confidence = {CONFIDENCE}                # the whole interval must clear the bar: {power}"
    else:
        yield f"# confidence = {CONFIDENCE}              # add this: {power}; here are {cases}"
    if kind in ("json", "tool_call", "label"):
        yield from ("", "[[gates]]                        # the required form, right or wrong")
        yield from ('metric = "valid_rate"', "min = 0.98")


def enough_cases() -> int:
    """The number of cases from which a gate with confidence passes a good model about as often as not."""
    return next(n for n in range(10, 10_000, 10) if rate_interval(_TYPICAL * n, n, confidence=CONFIDENCE).low >= BAR)


def _case(row: Mapping[str, Any], kind: AnswerKind) -> Mapping[str, Any]:
    """An eval line: in the short form if the row is one question with a text before the answer."""
    *prompt, answer = row["messages"]
    roles = [message["role"] for message in prompt]
    simple = all(message.keys() == {"role", "content"} and isinstance(message["content"], str) for message in prompt)
    if kind == "tool_call" or not simple or roles not in (["user"], ["system", "user"]) or "tools" in row:
        return {"messages": [*prompt, {name: answer[name] for name in answer if name != "weight"}]} | {
            name: row[name] for name in ("tools",) if name in row
        }
    system = {"system": prompt[0]["content"]} if roles[0] == "system" else {}
    text = message_text(answer)
    return {**system, "input": prompt[-1]["content"], "expected": json_value(text) if kind == "json" else text}
