"""Finds the shape of a row by its columns, and refuses columns that the shape does not use."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.verdicts.shapes.alpaca import ALPACA
from pytest_finetune.verdicts.shapes.chat import CHAT
from pytest_finetune.verdicts.shapes.input_output import INPUT_OUTPUT
from pytest_finetune.verdicts.shapes.preferences import OPENAI_PREFERENCE, TRL_PREFERENCE
from pytest_finetune.verdicts.shapes.prompt_completion import PROMPT_COMPLETION
from pytest_finetune.verdicts.shapes.reinforcement import REFERENCES, REINFORCEMENT
from pytest_finetune.verdicts.shapes.row import DESCRIBING, RowFault
from pytest_finetune.verdicts.shapes.sharegpt import SHAREGPT
from pytest_finetune.verdicts.shapes.xlam import XLAM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.verdicts.shapes.row import ChatRow, Shape

SHAPES = (
    CHAT,
    INPUT_OUTPUT,
    ALPACA,
    SHAREGPT,
    XLAM,
    PROMPT_COMPLETION,
    OPENAI_PREFERENCE,
    TRL_PREFERENCE,
    REINFORCEMENT,
)
NAMES = {shape.name: shape for shape in SHAPES}
"""The shapes by their names in `--shape`."""

_QUESTIONS = (
    "question",
    "question_stem",
    "instruction",
    "query",
    "prompt",
    "input",
    "problem",
    "user",
    "text",
    "title",
    "dialogue",
    "document",
    "article",
    "passage",
    "premise",
    "goal",
    "ctx",
)
_TEXTS = frozenset({"text", "content", "message", "value", "body"})
_CONVERSATIONS = frozenset({"chat", "conversation", "dialog", "text_chat", "transcript"})
_CONTEXTS = (
    "context",
    "passage",
    "article",
    "document",
    "support",
    "hypothesis",
    "options",
    "choices",
    "endings",
)
_ONE_OPTION = re.compile(r"(op|option_?|choice_?|sol|ending_?|distractor_?)?[a-e0-9]", re.ASCII | re.IGNORECASE)
"""The column of one option of a question with several: `A`, `opa`, `option_1`, …"""

_ANSWERS = (
    "answer",
    "response",
    "output",
    "completion",
    "reply",
    "solution",
    "assistant",
    "label_text",
    "label",
    "target",
    "sql",
    "summary",
    "highlights",
    "answerkey",
    "correct_answer",
    "final_decision",
    "answer_idx",
    "answers",
    "cop",
)
"""
What other projects call the columns of a prompt, of what belongs to it, and of an answer; the first one is used.

A row with a role and a text is one message, and a text with a conversation has several.
"""

_PLAIN_CHAT = CHAT.uses | DESCRIBING
_PLAIN_QUESTIONS = frozenset({"input-output", "alpaca", "prompt-completion"})
_MEDIA = frozenset({"images", "image", "videos", "video", "audios", "audio"})
# A reference next to an answer is nothing that the model learns from; a question may be one of many things.
_OPTIONS = frozenset({"options", "choices"})
CONTEXTS = _OPTIONS | {"context"}
"""Columns that belong to the question; a shape without them would lose them."""

_KNOWN = frozenset().union(*(shape.uses for shape in SHAPES), _MEDIA, {"context"}) - {*REFERENCES, "question"}


def find_shape(value: Mapping[str, Any]) -> Shape:
    """
    The shape of a row, found by its columns; one that is null is absent.

    Raises:
        RowFault: It has no known shape, or several.
    """
    # Nearly all rows, in large files above all.
    if value.get("messages") is not None and value.keys() <= _PLAIN_CHAT:
        return CHAT
    columns = {column for column, item in value.items() if item is not None}
    found = [shape for shape in SHAPES if shape.fits(columns)] or [shape for shape in SHAPES if shape.fits({*value})]
    # A reference next to an answer does not make a row one for reinforcement fine-tuning.
    if len(found) > 1 and REINFORCEMENT in found:
        found = [REINFORCEMENT] if found[:-1] == [CHAT] and _is_open(value["messages"]) else found[:-1]
    # Alpaca has the columns of input-output, and one more.
    whole = [shape for shape in found if not any(_is_part(shape, other) for other in found)]
    if _repeats_chosen(value):
        whole = [shape for shape in whole if shape is not CHAT]
    if len(whole) == 1:
        return whole[0]
    if whole:
        seen = " and ".join(dict.fromkeys(repr(_first_need(shape, value)) for shape in whole))
        drops = (f"for {shape.name} add {_drops(value, shape)}" for shape in whole)
        command = "pytest-finetune data prepare FILE -o NEW.jsonl"
        raise RowFault(f"two shapes at once: {seen}", f"keep the columns of one: {command}; {', '.join(drops)}")
    names = ", ".join(map(repr, value)) or "none"
    raise RowFault(f"unknown shape; its keys: {names}", unknown_hint(list(value)))


def unknown_hint(columns: Sequence[str]) -> str:
    """What to do with a row whose shape is unknown, by the names of its columns."""
    by_name = {column.lower(): column for column in columns}
    asked, answer = (next((by_name[each] for each in known if each in by_name), "") for known in (_QUESTIONS, _ANSWERS))
    if not columns:
        return 'write {"messages": […]}, or remove the row'
    if "role" in by_name and not by_name.keys().isdisjoint(_TEXTS):
        return 'each row is one message: write those of a conversation into one row, {"messages": […]}'
    if {*by_name} - _PLAIN_CHAT - {"system"} <= _CONVERSATIONS or (len(columns) == 1 and asked in ("text", "")):
        # No option divides a text.
        return 'divide each text into the user\'s messages and the answers: write {"messages": […]}'
    if len(columns) == 1 or (asked and not answer and {*columns} <= {*_QUESTIONS, *_CONTEXTS}):
        return "add a column with the answer, or remove the row"
    joined = [asked or "…", *_contexts([each for each in columns if asked and each not in (asked, answer)])]
    mapped = f"--map input={'+'.join(joined)} --map output={answer or '…'}"
    first = "name the columns" if {*columns} <= {*joined, answer} else "name the columns, and join others with +"
    return f"{first}: pytest-finetune data prepare FILE -o NEW.jsonl {mapped}"


def _contexts(columns: Sequence[str]) -> list[str]:
    """The columns that belong to a question: texts that it is about, and its options."""
    by_name = {column.lower(): column for column in columns}
    options = [column for column in columns if _ONE_OPTION.fullmatch(column)]
    return [by_name[each] for each in _CONTEXTS if each in by_name] + (options if len(options) > 1 else [])


def read_row(value: Mapping[str, Any], shape: str = "") -> ChatRow:
    """
    Read a row.

    Args:
        value: The row.
        shape: Name of its shape; empty finds it by the columns.

    Raises:
        RowFault: The shape is unknown, or the row cannot be read by it.
    """
    found = NAMES[shape] if shape else find_shape(value)
    missing = [each for each in found.needs if isinstance(each, str) and each not in value]
    if missing:
        names = ", ".join(map(repr, value)) or "none"
        raise RowFault(f"no column {missing[0]!r}, which {found.name} needs: the record has {names}")
    return read_with_media(value, found)


def read_with_media(value: Mapping[str, Any], shape: Shape) -> ChatRow:
    """
    Read a row of a known shape, and keep the pictures, sound and video that the shape does not read.

    Raises:
        RowFault: The row cannot be read by the shape.
    """
    row = shape.read(value)
    media = {column: value[column] for column in sorted(_MEDIA - shape.uses) if value.get(column)}
    return replace(row, media=media) if media else row


def unused_columns(value: Mapping[str, Any], shape: Shape) -> list[str]:
    """The columns with a value that some shape reads, or that hold pictures or sound, but that this shape does not."""
    if shape is REINFORCEMENT or value.keys() <= shape.uses:
        return []
    known = (_KNOWN | shape.refuses) - shape.uses - DESCRIBING
    if shape.name in _PLAIN_QUESTIONS and not _OPTIONS.isdisjoint(value):
        known |= {column for column in _OPTIONS - shape.uses if not _is_shown(value.get(column), value, shape)}
    if shape is TRL_PREFERENCE and _repeats_chosen(value):
        known -= {"messages"}
    found = [column for column, item in value.items() if column in known and item not in (None, "", [], {})]
    return [column for column in found if not (shape is CHAT and _is_in_messages(value[column], value.get("messages")))]


def _repeats_chosen(value: Mapping[str, Any]) -> bool:
    """Whether messages are only another copy of the chosen answer's, as in the UltraFeedback data."""
    return value.get("messages") is not None and value["messages"] == value.get("chosen")


def _is_shown(item: object, value: Mapping[str, Any], shape: Shape) -> bool:
    """Whether the texts of a column are in those that the shape reads, as the options often are in the question."""
    shown = "\n".join(text for column in shape.uses for text in _texts(value.get(column)))
    return all(text in shown for text in _texts(item))


def _texts(item: object) -> list[str]:
    if isinstance(item, dict | list):
        return [text for each in (item.values() if isinstance(item, dict) else item) for text in _texts(each)]
    return [item] if isinstance(item, str) else []


def _is_in_messages(item: object, messages: object) -> bool:
    """Whether a column is only a copy of a message, as `prompt` is in the No Robots data."""
    texts = [each.get("content") for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
    return isinstance(item, str) and item in texts


def _drops(value: Mapping[str, Any], shape: Shape) -> str:
    return " ".join(f"--drop {column}" for column in unused_columns(value, shape))


def _is_part(shape: Shape, other: Shape) -> bool:
    return shape is not other and _needed(shape) <= other.uses and not _needed(other) <= shape.uses


def _needed(shape: Shape) -> set[str]:
    return {each if isinstance(each, str) else each[0] for each in shape.needs}


def _first_need(shape: Shape, value: Mapping[str, Any]) -> str:
    names = [name for each in shape.needs for name in ([each] if isinstance(each, str) else each)]
    return next(name for name in names if name in value)


def _is_open(messages: object) -> bool:
    """Whether messages end without an answer."""
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and last.get("role") != "assistant"
