"""Parity of training, validation, eval and production: the same system prompt, tools and response format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.codes import make_finding
from pytest_finetune.lifecycle.data.duplicates import EVAL, TRAINING
from pytest_finetune.lifecycle.data.production import Production, canonical_or_empty, changes_since_promotion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pytest_finetune.lifecycle.data.answers import ReadAnswer
    from pytest_finetune.lifecycle.data.canonical import Example
    from pytest_finetune.lifecycle.data.finding import FindingLog
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.json_schema.validation import Schema

MOST_PROMPTS = 1000
"""Different system prompts, or lists of tools, in one file; with more they vary by row, and are not compared."""

_HINT = "train, evaluate and serve with the same prompts and tools"


class _Seen:
    """The system prompts and lists of tools of one file, each with its first line."""

    def __init__(self) -> None:
        self.systems: dict[str, int] = {}
        self.tools: dict[str, int] = {}

    def add(self, example: Example) -> None:
        for known, value in ((self.systems, example.system), (self.tools, example.tools)):
            if len(known) <= MOST_PROMPTS:
                known.setdefault(value, example.line)


class _Format:
    """The response format of an eval set, and how many training answers do not match it."""

    def __init__(self, eval_set: EvalSet) -> None:
        self.name = eval_set.name
        self.wanted = eval_set.params.get("response_format")
        self.schema = _schema(self.wanted)
        self.other, self.total, self.first, self.why = 0, 0, "", ""

    def add(self, example: Example, read: ReadAnswer | None) -> None:
        self.total += 1
        fault = "not a JSON object" if read is None or type(read.value) is not dict else ""
        if not fault and self.schema is not None and read is not None and (broken := self.schema.fault(read.value)):
            fault = f"{broken.path}: {shorten(broken.problem, 120)}"
        if fault:
            self.other += 1
            if not self.first:
                self.first, self.why = f"{example.file}:{example.line}", fault


class ParityCheck:
    """
    Compares system prompts, tools and response formats of all files and of production.

    Args:
        eval_sets: The loaded eval sets.
        production: What production sends; None if unknown.
    """

    def __init__(self, eval_sets: Sequence[EvalSet], production: Production | None) -> None:
        self._eval_sets, self._production = eval_sets, production
        self._formats = [
            each for each in map(_Format, eval_sets) if _kind(each.wanted) in ("json_object", "json_schema")
        ]
        self._seen: dict[str, tuple[int, _Seen]] = {}

    def add(self, example: Example, side: int, read: ReadAnswer | None) -> None:
        """Record the system prompt, tools and response format of one example."""
        seen = self._seen.setdefault(example.file, (side, _Seen()))[1]
        seen.add(example)
        # The response format does not apply to tool calls.
        if side == TRAINING and example.answer is not None:
            for each in self._formats:
                each.add(example, read)

    def close(self, log: FindingLog) -> None:
        """Report the differences."""
        trained = [seen for side, seen in self._seen.values() if side == TRAINING]
        systems = {system for seen in trained for system in seen.systems}
        tools = {offered for seen in trained for offered in seen.tools}
        for file, (side, seen) in self._seen.items():
            if side == TRAINING or not trained:
                continue
            for problem, line in _unknown(seen.systems, systems, _system):
                log.add(make_finding("system_prompt_differs", file, line, problem, _HINT))
            for problem, line in _unknown(seen.tools, tools, _tools):
                log.add(make_finding("tools_differ", file, line, problem, _HINT))
        for each in self._formats:
            if each.other:
                problem = (
                    f"the response_format is {_kind(each.wanted)}, but {each.other:,} of {each.total:,} training "
                    f"answers do not match it; the first is {each.first}: {each.why}"
                )
                hint = "make the training answers and the response_format of the eval set match"
                log.add(make_finding("response_format_differs", each.name, 0, problem, hint, other=each.first))
        if self._production is not None:
            self._compare_with(self._production, log)

    def _compare_with(self, production: Production, log: FindingLog) -> None:
        hint = "train and evaluate with what production sends, or change production together with the model"
        for eval_set in self._eval_sets:
            for problem in changes_since_promotion(eval_set, production):
                log.add(make_finding("production_differs", eval_set.name, 0, problem, hint))
            wanted = canonical_or_empty(eval_set.params.get("response_format"))
            if production.response_format is not None and wanted != production.response_format:
                problem = (
                    f"the response_format is {_shown(wanted)}; "
                    f"in {production.name} it is {_shown(production.response_format)}"
                )
                log.add(make_finding("production_differs", eval_set.name, 0, problem, hint))
        for file, (side, seen) in self._seen.items():
            where = "eval set" if side == EVAL else "file"
            # The value of a production request must occur in the file; of those of a promotion run, one is enough.
            for name, sent, shown in (
                ("system prompt", production.system, seen.systems),
                ("tools", production.tools, seen.tools),
            ):
                if sent is not None and len(shown) <= MOST_PROMPTS and sent not in shown:
                    problem = f"no line of this {where} has the {name} of {production.name}"
                    log.add(make_finding("production_differs", file, 0, problem, hint))
            requests = production.requests.values()
            for name, known, shown in (
                ("system prompts", {system for each in requests for system in each.systems}, seen.systems),
                ("tools", {tools for each in requests for tools in each.tools}, seen.tools),
            ):
                if known and max(len(known), len(shown)) <= MOST_PROMPTS and known.isdisjoint(shown):
                    problem = (
                        f"no line of this {where} has any of the {name} that {production.promoted} was promoted with"
                    )
                    log.add(make_finding("production_differs", file, 0, problem, hint))


def _unknown(mine: Mapping[str, int], trained: set[str], describe: Callable[[str], str]) -> Iterator[tuple[str, int]]:
    """A problem and its first line, for each value that no training row has."""
    if len(mine) <= MOST_PROMPTS and len(trained) <= MOST_PROMPTS:
        for value, line in mine.items():
            if value not in trained:
                yield describe(value), line


def _system(text: str) -> str:
    if not text:
        return "there is no system prompt, but every training row has one"
    return f"no training row has the system prompt {shorten(text, 60)!r}"


def _tools(text: str) -> str:
    if not text:
        return "there are no tools, but every training row has some"
    return f"no training row defines these tools in the same way: {', '.join(_names(json.loads(text)))}"


def _names(tools: object) -> list[str]:
    functions = [tool.get("function") for tool in tools if type(tool) is dict] if type(tools) is list else []
    return [shorten(str(each.get("name"))) for each in functions if type(each) is dict] or ["of unknown type"]


def _kind(response_format: object) -> str:
    return str(response_format.get("type")) if type(response_format) is dict else ""


def _schema(response_format: object) -> Schema | None:
    wrapped = response_format.get("json_schema") if type(response_format) is dict else None
    if type(wrapped) is not dict or "schema" not in wrapped:
        return None
    from pytest_finetune.verdicts.json_schema.validation import compile_schema

    return compile_schema(wrapped["schema"], "response_format")


def _shown(canonical: str) -> str:
    return shorten(canonical, 60) if canonical else "none"
