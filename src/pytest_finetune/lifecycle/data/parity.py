"""Parity of training, validation, eval and production: the same system prompt, tools and response format."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.chat_example import system_prompt
from pytest_finetune.lifecycle.data.codes import found
from pytest_finetune.lifecycle.data.duplicates import EVAL, TRAINING
from pytest_finetune.verdicts.evalset.formats import canonical_json
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.lifecycle.data.answers import ReadAnswer
    from pytest_finetune.lifecycle.data.chat_example import Example
    from pytest_finetune.lifecycle.data.finding import FindingLog
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.json_schema.validation import Schema

MOST_PROMPTS = 1000
"""Different system prompts, or lists of tools, of one file; beyond, they are data and no setting, and not compared."""


_HINT = "ask as the model was trained to be asked"


@dataclass(frozen=True, slots=True)
class Asked:
    """
    How a version was asked in the run that it was promoted by.

    Args:
        request: The settings that decide the body of a request, by name.
        systems: Its system prompts; the empty one where there was none.
        tools: Its lists of tools as canonical JSON; the empty one where there was none.
    """

    request: Mapping[str, Any]
    systems: frozenset[str]
    tools: frozenset[str]


@dataclass(frozen=True, slots=True)
class Production:
    """
    What production sends, as far as it is known.

    Args:
        name: The file of a kept request.
        promoted: The version of the registry that is in production.
        hashes: Of the settings and of the schemas, by eval set, from the evidence that it was promoted by.
        asked: How it was asked then, by eval set; those are left out of whose record nothing is left.
        system: Its system prompt, empty for none; None where it is not known.
        tools: Its tools as canonical JSON, empty for none; None where they are not known.
        response_format: Its response format as canonical JSON, empty for none; None where it is not known.
    """

    name: str
    promoted: str = ""
    hashes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    asked: Mapping[str, Asked] = field(default_factory=dict)
    system: str | None = None
    tools: str | None = None
    response_format: str | None = None


def read_production(path: Path) -> Production:
    """
    What one request of production shows.

    Args:
        path: A file with the JSON body of one `POST /chat/completions`.

    Raises:
        DataError: It cannot be read, or is no such body.
    """
    try:
        body, name = parse_json(path.read_bytes().removeprefix(UTF8_BOM).decode()), str(path)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path), "check the path and the rights") from error
    except (UnicodeDecodeError, JsonFault) as fault:
        raise DataError("is not strict JSON in UTF-8", str(path), "keep one request body in it") from fault
    messages = body.get("messages") if type(body) is dict else None
    if type(messages) is not list or not all(type(message) is dict for message in messages):
        raise DataError("this is no chat request", name, 'keep a whole request body: {"messages": […], "tools": …}')
    return Production(
        name,
        system=system_prompt(messages),
        tools=_canonical(body.get("tools")),
        response_format=_canonical(body.get("response_format")),
    )


class _Seen:
    """What one file sends along with its questions, each with the first line that shows it."""

    def __init__(self) -> None:
        self.systems: dict[str, int] = {}
        self.tools: dict[str, int] = {}

    def add(self, example: Example) -> None:
        for known, value in ((self.systems, example.system), (self.tools, example.tools)):
            if len(known) <= MOST_PROMPTS:
                known.setdefault(value, example.line)


class _Format:
    """The form of answer that an eval set asks for, and how many training answers have it."""

    def __init__(self, eval_set: EvalSet) -> None:
        self.name = eval_set.name
        self.wanted = eval_set.params.get("response_format")
        self.schema = _schema(self.wanted)
        self.other, self.total, self.first, self.why = 0, 0, "", ""

    def see(self, example: Example, read: ReadAnswer | None) -> None:
        self.total += 1
        fault = "no JSON object" if read is None or type(read.value) is not dict else ""
        if not fault and self.schema is not None and read is not None and (broken := self.schema.fault(read.value)):
            fault = f"{broken.path}: {shorten(broken.problem, 120)}"
        if fault:
            self.other += 1
            if not self.first:
                self.first, self.why = f"{example.file}:{example.line}", fault


class Honesty:
    """
    Compares what goes along with the questions of all files.

    Args:
        eval_sets: The eval sets, as they were loaded.
        production: What production sends; None where nothing is known of it.
    """

    def __init__(self, eval_sets: Sequence[EvalSet], production: Production | None) -> None:
        self._eval_sets, self._production = eval_sets, production
        self._formats = [
            each for each in map(_Format, eval_sets) if _kind(each.wanted) in ("json_object", "json_schema")
        ]
        self._seen: dict[str, tuple[int, _Seen]] = {}

    def see(self, example: Example, side: int, read: ReadAnswer | None) -> None:
        """Take one example in."""
        seen = self._seen.setdefault(example.file, (side, _Seen()))[1]
        seen.add(example)
        # An answer of tool calls has the form of its tools.
        if side == TRAINING and example.answer is not None:
            for each in self._formats:
                each.see(example, read)

    def close(self, log: FindingLog) -> None:
        """Tell what differs."""
        trained = [seen for side, seen in self._seen.values() if side == TRAINING]
        systems = {system for seen in trained for system in seen.systems}
        tools = {offered for seen in trained for offered in seen.tools}
        for file, (side, seen) in self._seen.items():
            if side == TRAINING or not trained:
                continue
            for problem, line in _unknown(seen.systems, systems, _system):
                log.add(found("system_prompt_differs", file, line, problem, _HINT))
            for problem, line in _unknown(seen.tools, tools, _tools):
                log.add(found("tools_differ", file, line, problem, _HINT))
        for each in self._formats:
            if each.other:
                problem = (
                    f"asks for a response_format of {_kind(each.wanted)}, and {each.other:,} of {each.total:,} "
                    f"training answers do not fit, the first being {each.first}: {each.why}"
                )
                hint = "train on the form that is asked for, or ask for the form that is trained"
                log.add(found("response_format_differs", each.name, 0, problem, hint, other=each.first))
        if self._production is not None:
            self._compare_with(self._production, log)

    def _compare_with(self, production: Production, log: FindingLog) -> None:
        hint = "train and evaluate what production sends, or change what it sends together with the model"
        for eval_set in self._eval_sets:
            for problem in _changed(eval_set, production):
                log.add(found("production_differs", eval_set.name, 0, problem, hint))
            wanted = _canonical(eval_set.params.get("response_format"))
            if production.response_format is not None and wanted != production.response_format:
                said = f"asks for {_shown(wanted)}, and {production.name} for {_shown(production.response_format)}"
                log.add(found("production_differs", eval_set.name, 0, f"the response format: {said}", hint))
        for file, (side, seen) in self._seen.items():
            where = "eval set" if side == EVAL else "file"
            for name, sent, shown in (
                ("system prompt", production.system, seen.systems),
                ("tools", production.tools, seen.tools),
            ):
                if sent is not None and len(shown) <= MOST_PROMPTS and sent not in shown:
                    problem = f"no line of this {where} has the {name} that {production.name} sends"
                    log.add(found("production_differs", file, 0, problem, hint))
            asked = production.asked.values()
            for name, known, shown in (
                ("system prompts", {system for each in asked for system in each.systems}, seen.systems),
                ("tools", {tools for each in asked for tools in each.tools}, seen.tools),
            ):
                if known and max(len(known), len(shown)) <= MOST_PROMPTS and known.isdisjoint(shown):
                    problem = f"no line of this {where} has any of the {name} that {production.promoted} was asked with"
                    log.add(found("production_differs", file, 0, problem, hint))


def _changed(eval_set: EvalSet, production: Production) -> Iterator[str]:
    """What is another in an eval set than when production was promoted by it, as far as requests go."""
    settings, schemas = production.hashes.get(eval_set.name, ("", ""))
    if not settings:
        return
    asked = production.asked.get(eval_set.name)
    if settings != eval_set.settings_sha256 and asked is None:
        yield f"its settings, of requests, scores or gates, are not those that {production.promoted} was promoted by"
    if asked is not None:
        now = request_of(eval_set.settings)
        for name in sorted(key for key in now if now[key] != asked.request.get(key)):
            was, is_now = (shorten(json.dumps(each.get(name)), 60) for each in (asked.request, now))
            yield f"{name} is {is_now}, and {production.promoted} was asked with {was}"
    if schemas != eval_set.schema_sha256:
        yield f"its schemas are not those that {production.promoted} was promoted by"


def request_of(settings: EvalSettings) -> dict[str, Any]:
    """The settings that decide the body of a request, by name; null for what they leave out."""
    temperature = {"stability.temperature": settings.stability.temperature}
    return settings.request.model_dump(mode="json") | temperature


def _unknown(mine: Mapping[str, int], trained: set[str], describe: Callable[[str], str]) -> Iterator[tuple[str, int]]:
    """What is wrong and the first line of it, for everything that no training row has."""
    if len(mine) <= MOST_PROMPTS and len(trained) <= MOST_PROMPTS:
        for value, line in mine.items():
            if value not in trained:
                yield f"{describe(value)}, which no training row has", line


def _system(text: str) -> str:
    return f"the system prompt is {shorten(text, 60)!r}" if text else "there is no system prompt"


def _tools(text: str) -> str:
    return f"the tools are {', '.join(_names(json.loads(text)))}, defined as here" if text else "there are no tools"


def _names(tools: Any) -> list[str]:
    functions = [tool.get("function") for tool in tools if type(tool) is dict] if type(tools) is list else []
    return [shorten(str(each.get("name"))) for each in functions if type(each) is dict] or ["of no known kind"]


def _kind(response_format: Any) -> str:
    return str(response_format.get("type")) if type(response_format) is dict else ""


def _schema(response_format: Any) -> Schema | None:
    wrapped = response_format.get("json_schema") if type(response_format) is dict else None
    if type(wrapped) is not dict or "schema" not in wrapped:
        return None
    from pytest_finetune.verdicts.json_schema.validation import compile_schema

    return compile_schema(wrapped["schema"], "response_format")


def _canonical(value: Any) -> str:
    return canonical_json(value) if value else ""


def _shown(canonical: str) -> str:
    return shorten(canonical, 60) if canonical else "none"
