"""Rows for reinforcement fine-tuning: a prompt without an answer, and columns that a grader reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.verdicts.shapes.chat import modern
from pytest_finetune.verdicts.shapes.prompt_completion import prompt_in
from pytest_finetune.verdicts.shapes.row import DESCRIBING, ChatRow, RowFault, Shape

if TYPE_CHECKING:
    from pytest_finetune.verdicts.shapes.row import Value

REFERENCES = ("reference_answer", "ground_truth", "reward_model", "solution", "rubric")
"""Columns that show that a row without an answer is meant so; `--shape reinforcement` allows any."""

_PROMPT = frozenset({"messages", "prompt", "tools", "functions", "parallel_tool_calls"})


def read(value: Value) -> ChatRow:
    """The prompt of a row, and the columns that the grader reads: all others."""
    messages, tools = modern(value) if "messages" in value else (prompt_in(value), value.get("tools"))
    if messages[-1].get("role") == "assistant":
        raise RowFault("the last message is an answer", "rows for reinforcement fine-tuning end with the prompt")
    unread = _PROMPT | DESCRIBING
    reference = {key: item for key, item in value.items() if key not in unread and item is not None}
    if not reference:
        raise RowFault("nothing for a grader to compare with", "add a column such as reference_answer")
    return ChatRow(REINFORCEMENT.name, messages, tools, value.get("parallel_tool_calls"), reference=reference)


REINFORCEMENT = Shape("reinforcement", (("messages", "prompt"), REFERENCES), _PROMPT | {*REFERENCES}, read)
