"""Clean training data, and faults to plant into it, each with the location where `data check` must find it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.verdicts.json_schema.validation import compile_schema

SYSTEM = "Classify the ticket."
LABELS = ("bug", "feature", "question", "other")
LINE = 40
"""The default line of a planted fault; the rows around it are clean."""

TOOL = {
    "type": "function",
    "function": {
        "name": "find_order",
        "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
    },
}
OTHER_TOOL = {"type": "function", "function": {"name": "cancel_order", "parameters": {"type": "object"}}}
OBJECT_FORMAT = '[request]\nresponse_format = "json_object"\n'


def sentence(seed: int, words: int = 9) -> str:
    """Random words by seed; two seeds give unrelated texts."""
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9))) for _ in range(words))


def row(question: str, answer: Any, *, system: str = SYSTEM, **more: Any) -> dict[str, Any]:
    """A training row."""
    reply = {"role": "assistant", "content": answer}
    return {
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}, reply],
        **more,
    }


def clean_rows(count: int = 120) -> list[Any]:
    """Rows without findings: balanced labels, one nearly empty input, one long one."""
    rows = [row(sentence(number), LABELS[number % len(LABELS)]) for number in range(count)]
    rows[3], rows[7] = row("?", "other"), row(sentence(7, 60), "other")
    return rows


def tool_row(*calls: dict[str, Any], tools: Any = (TOOL,), then: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """A row whose answer is tool calls, followed by these messages."""
    reply = {"role": "assistant", "content": None, "tool_calls": list(calls)}
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": sentence(900)},
        reply,
        *then,
    ]
    return {"messages": messages, "tools": list(tools) if isinstance(tools, tuple) else tools}


def call(arguments: str = '{"number": 7}', name: str = "find_order", **more: Any) -> dict[str, Any]:
    """A tool call."""
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


@dataclass(frozen=True)
class Plant:
    """
    Files with one fault in them.

    Args:
        code: The code that must be found.
        at: What stands at `LINE` of the training file: a row, or the bytes of a line; None leaves it clean.
        file: The file that the finding names.
        line: Its line; 0 for the whole file.
        path: Its JSON path.
        training: All rows, where one faulty line is not enough.
        raw: The bytes of the training file, where rows are not enough.
        validation, evals: Rows of the other files; no file where there are none.
        toml: The settings of the eval set.
        options: How it is checked.
    """

    code: str
    at: Any = None
    file: str = "train.jsonl"
    line: int = LINE
    path: str = ""
    training: list[Any] | None = None
    raw: bytes | None = None
    validation: list[Any] = field(default_factory=list)
    evals: list[Any] = field(default_factory=list)
    toml: str = ""
    options: CheckOptions = field(default_factory=CheckOptions)

    def write(self, folder: Any) -> dict[str, Any]:
        """Write the files; the arguments of `check`."""
        rows = clean_rows() if self.training is None else self.training
        if self.at is not None:
            rows[LINE - 1] = self.at
        training = lines(rows) if self.raw is None else self.raw
        (folder / "train.jsonl").write_bytes(training)
        found: dict[str, Any] = {"training": [folder / "train.jsonl"], "options": self.options, "root": folder}
        for name, rows in (("validation", self.validation), ("evals", self.evals)):
            if rows:
                (folder / f"{name}.jsonl").write_bytes(lines(rows))
                found[name] = [folder / f"{name}.jsonl"]
        if self.toml:
            (folder / "evals.toml").write_text(self.toml, "utf-8")
        return found


def lines(rows: list[Any]) -> bytes:
    """Rows as the bytes of a JSONL file."""
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in rows)


def ask(text: str) -> dict[str, Any]:
    """A clean row with this text in its question."""
    return row(f"{sentence(901)} {text} {sentence(902, 3)}", "other")


def message(**fields: Any) -> dict[str, Any]:
    """A row whose user message has these fields, those of None left out."""
    planted = row(sentence(901), "other")
    user = planted["messages"][1] | fields
    planted["messages"][1] = {key: value for key, value in user.items() if value is not ...}
    return planted


def picture(number: int) -> dict[str, Any]:
    """A content part with a picture."""
    return {"type": "image_url", "image_url": {"url": f"https://example.com/charts/{number}.png"}}


def pictured(image: Any) -> dict[str, Any]:
    """A row whose question has a picture with this `image_url`."""
    return message(content=[{"type": "text", "text": sentence(901)}, {"type": "image_url", "image_url": image}])


def without_answer(*roles: str) -> dict[str, Any]:
    """A row of messages of these roles."""
    return {"messages": [{"role": role, "content": sentence(910 + at)} for at, role in enumerate(roles)]}


def weighted(weight: Any) -> dict[str, Any]:
    """A row whose first answer has a weight, and whose second one has not."""
    planted = row(sentence(901), "other")
    planted["messages"][1:1] = [
        {"role": "user", "content": sentence(903)},
        {"role": "assistant", "content": "bug", "weight": weight},
    ]
    return planted


def replaced(rows: dict[int, Any], count: int = 120) -> list[Any]:
    """Clean rows, with other rows at these 1-based lines."""
    planted = clean_rows(count)
    for line, each in rows.items():
        planted[line - 1] = each
    return planted


def labelled(counts: dict[str, int]) -> list[Any]:
    """This many rows of each label, with one nearly empty input and one long one."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    rows = [row(sentence(number), label) for number, label in enumerate(labels)]
    rows[0], rows[1] = row("?", labels[0]), row(sentence(1, 60), labels[1])
    return rows


def json_rows(odd: str) -> list[Any]:
    """Rows with JSON answers, but for the one at `LINE`."""
    rows = [row(sentence(number), json.dumps({"item": None, "count": number})) for number in range(120)]
    rows[3], rows[7] = row("?", '{"item": null}'), row(sentence(7, 60), '{"item": null}')
    rows[LINE - 1] = row(sentence(901), odd)
    return rows


def case(question: str = sentence(950), expected: str = "bug", *, system: str = SYSTEM, **more: Any) -> dict[str, Any]:
    """A line of an eval set."""
    return {"id": "case-1", **row(question, expected, system=system), **more}


def nearly(text: str) -> str:
    """The text with one letter changed."""
    return text[:10] + ("x" if text[10] != "x" else "y") + text[11:]


ITEM = compile_schema({"type": "object", "required": ["item"]}, "test")
KEY = "sk-proj-" + "a1B2c3D4e5" * 4
