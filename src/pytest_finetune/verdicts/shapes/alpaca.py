"""Alpaca: `instruction`, an optional `input` that it applies to, and `output`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.verdicts.shapes.row import ChatRow, RowFault, Shape, assistant, system_in, text_in, user

if TYPE_CHECKING:
    from pytest_finetune.verdicts.shapes.row import Message, Value


def read(value: Value) -> ChatRow:
    """The chat of a row; earlier turns are pairs in `history`, as LLaMA-Factory has them."""
    given = [column for column in ("instruction", "input") if value.get(column) not in (None, "")]
    # Some files have all of the prompt in `input`.
    prompt = "\n\n".join(text_in(value, column) for column in given or ["instruction"])
    answer = value.get("output")
    is_value = isinstance(answer, dict | list)
    text = compact_json(answer) if is_value else text_in(value, "output")
    messages = [*system_in(value, "system"), *_history(value), user(prompt), assistant(text)]
    return ChatRow(ALPACA.name, messages, is_value=is_value)


def _history(value: Value) -> list[Message]:
    turns = value.get("history") or []
    if not (isinstance(turns, list) and all(_is_pair(turn) for turn in turns)):
        raise RowFault("history is not a list of pairs of prompt and answer")
    return [message for prompt, answer in turns for message in (user(prompt), assistant(answer))]


def _is_pair(turn: object) -> bool:
    return isinstance(turn, list) and len(turn) == 2 and all(isinstance(each, str) for each in turn)  # noqa: PLR2004


ALPACA = Shape(
    "alpaca", ("instruction", "output"), frozenset({"instruction", "input", "output", "system", "history"}), read
)
