"""Planted faults with remedies of their own: other kinds of files, unknown columns, tool calls, preferences."""

from __future__ import annotations

import io
import json
import zipfile

from planted_faults import Plant, ask, call, clean_rows, lines, row, sentence, tool_row, weighted

from pytest_finetune.lifecycle.data.check_options import CheckOptions

CALLS = "$.messages[2].tool_calls"
PREFERENCES = CheckOptions(shape="openai-preference")
REINFORCEMENT = CheckOptions(shape="reinforcement")


def zipped() -> bytes:
    """The clean rows in a zip archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train.jsonl", lines(clean_rows()))
    return archive.getvalue()


def preference(number: int) -> dict[str, object]:
    """A row in OpenAI's format for preferences."""
    good, bad = ({"role": "assistant", "content": sentence(number + seed, 4)} for seed in (4000, 5000))
    prompt = {"messages": [{"role": "user", "content": sentence(3000 + number)}]}
    return {"input": prompt, "preferred_output": [good], "non_preferred_output": [bad]}


def preferences(**odd: object) -> list[object]:
    """Such rows, one of which has these columns instead."""
    rows: list[object] = [preference(number) for number in range(120)]
    rows[39] = preference(39) | odd
    return rows


def graded(**odd: object) -> list[object]:
    """Rows for reinforcement fine-tuning, one of which has these columns instead."""
    rows: list[dict[str, object]] = [
        {"messages": [{"role": "user", "content": sentence(6000 + number)}], "reference_answer": str(number)}
        for number in range(120)
    ]
    rows[39] = {key: item for key, item in (rows[39] | odd).items() if item is not None}
    return [*rows]


def columns(**values: object) -> list[object]:
    """Rows of an unknown shape, with these columns after the question."""
    return [{"question": sentence(number), **values, "number": number} for number in range(120)]


ANSWER = {"role": "assistant", "content": sentence(4039, 4)}
ASKED = {"role": "user", "content": sentence(7001)}
MORE_PLANTS = [
    Plant("file_type", raw=zipped(), line=0),
    Plant("file_type", raw=lines(clean_rows()).decode().encode("utf-16"), line=0),
    Plant("file_type", raw="".join(json.dumps(each, indent=1) + "\n" for each in clean_rows()).encode(), line=0),
    Plant("invalid_json", at=b'{"a": ' * 150 + b"1" + b"}" * 150),
    Plant("invalid_weight", at=weighted("1"), path="$.messages[2].weight"),
    Plant("missing_messages_list", training=columns(reply="bug", topic="a"), line=1),
    Plant("missing_messages_list", training=columns(options={"A": "bug", "B": "other"}, answer="B"), line=1),
    Plant("missing_messages_list", training=columns(A="bug", B="other", answer="B"), line=1),
    Plant("missing_messages_list", training=clean_rows(), line=1, options=CheckOptions(shape="alpaca")),
    Plant(
        "invalid_tool_calls",
        at=tool_row(call() | {"function": {"name": "find_order", "arguments": {"number": 7}}}),
        path=CALLS,
    ),
    Plant("invalid_tool_calls", at=tool_row(call() | {"function": {"arguments": "{}"}}), path=CALLS),
    Plant(
        "invalid_tool_calls",
        at=row(sentence(901), "other")
        | {"messages": [ASKED, {"role": "assistant", "content": "other", "tool_calls": []}]},
        path="$.messages[1].tool_calls",
    ),
    Plant("replacement_character", at=ask("锟斤拷 on the corner"), path="$.messages[1].content"),
    Plant("missing_content", training=preferences(preferred_output=[ASKED, ANSWER]), options=PREFERENCES),
    Plant("nothing_to_learn", training=preferences(non_preferred_output=[ANSWER]), options=PREFERENCES),
    Plant("missing_content", training=graded(messages=[ASKED, ANSWER]), options=REINFORCEMENT),
    Plant("missing_content", training=graded(reference_answer=None), options=REINFORCEMENT),
]
