"""The shape of each row of a training file; faults of a whole file are reported once, with a count."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.secret_masking import abbreviated_in
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.chat_rows import unused_hint
from pytest_finetune.lifecycle.data.codes import make_finding
from pytest_finetune.lifecycle.data.structure import ROW_KEYS, check_form
from pytest_finetune.lifecycle.data.tools_form import ToolsForm
from pytest_finetune.verdicts.shapes import NAMES, find_shape, read_with_media, unknown_hint, unused_columns
from pytest_finetune.verdicts.shapes.chat import CHAT, is_legacy, modern
from pytest_finetune.verdicts.shapes.reinforcement import REFERENCES, REINFORCEMENT
from pytest_finetune.verdicts.shapes.row import RowFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.lifecycle.data.finding import FindingLog
    from pytest_finetune.lifecycle.data.structure import ReportFinding
    from pytest_finetune.verdicts.shapes.row import ChatRow, Shape

_OTHER_METHODS = frozenset({"openai-preference", "reinforcement"})
"""Shapes that OpenAI trains on, by other methods than supervised fine-tuning."""

_CORRECT = "correct the row, or remove it"

# Different sets of columns that are counted; bounds memory.
_MOST_UNKNOWN = 1000


class ShapeCheck:
    """
    Checks the shape and structure of the rows of one file.

    Args:
        file: Name of the file in findings.
        shape: Name of the rows' shape; empty finds it by their columns.
    """

    def __init__(self, file: str, shape: str) -> None:
        self._file, self._shape = file, shape
        self._tools = ToolsForm()
        self._rows = 0
        self._counts: dict[tuple[str, str], Counter[str]] = {}
        self._first: dict[tuple[str, str, str], int] = {}
        self._hints: dict[str, str] = {}
        self._columns: dict[str, list[str]] = {}
        self._of_columns: dict[frozenset[str], Shape] = {}

    def read(self, line: int, value: dict[str, Any], report: ReportFinding, secrets: Sequence[str]) -> ChatRow | None:
        """
        Check one row and return its chat; None if it cannot be read.

        Args:
            line: 1-based line number.
            value: The row.
            report: Receives the findings of this row.
            secrets: The secrets in this row, which are masked.
        """
        self._rows += 1
        try:
            shape = self._named_shape(value) if self._shape else self._found_shape(value)
        except RowFault as fault:
            self._note_unknown(line, fault, report, secrets)
            self._columns.setdefault(abbreviated_in(fault.problem, secrets), list(value)[:_MOST_UNKNOWN])
            return None
        for column in unused_columns(value, shape):
            self._note("unused_column", shape.name, abbreviated_in(column, secrets), line)
        if shape is CHAT:
            return self._read_chat(line, value, report, secrets)
        self._note("other_shape", shape.name, "", line)
        return self._read_other(value, shape, report)

    def _named_shape(self, value: dict[str, Any]) -> Shape:
        """
        The shape that the user named.

        Raises:
            RowFault: The row has none of its columns.
        """
        shape = NAMES[self._shape]
        needed = {name for each in shape.needs for name in ([each] if isinstance(each, str) else each)}
        if value and value.keys().isdisjoint(needed):
            names = ", ".join(map(repr, value))
            hint = "leave out --shape: the shape is then found by the columns"
            raise RowFault(f"not of the shape {shape.name}; its keys: {names}", hint)
        return shape

    def _found_shape(self, value: dict[str, Any]) -> Shape:
        """
        The shape of a row by its columns; of a row that lacks a value, the shape that rows with its columns have.

        Columns next to messages are reported as unused, unless they are two answers.
        """
        columns = frozenset(value)
        has_two_answers = value.get("chosen") is not None and value.get("rejected") is not None
        try:
            found = CHAT if value.get("messages") is not None and not has_two_answers else find_shape(value)
        except RowFault:
            if shape := self._shape_with(columns):
                return shape
            raise
        if found is CHAT and not _ends_with_answer(value):
            found = _shape_without_answer(value)
            if found is CHAT:
                return self._of_columns.get(columns) or self._shape_with(columns) or found
        if unused_columns(value, found):
            return self._of_columns.get(columns, found)
        if len(self._of_columns) < _MOST_UNKNOWN:
            self._of_columns.setdefault(columns, found)
        return found

    def _shape_with(self, columns: frozenset[str]) -> Shape | None:
        """The shape of the rows above that have all of these columns; None if there are none, or of several shapes."""
        shapes = {shape.name: shape for known, shape in self._of_columns.items() if columns <= known}
        return next(iter(shapes.values())) if len(shapes) == 1 and columns else None

    def close(self, log: FindingLog) -> None:
        """Report what concerns the whole file."""
        for (code, shape), counts in self._counts.items():
            if code in ("unrecognized_key", "unused_column"):
                self._log_columns(code, shape, counts, log)
                continue
            # A command for all rows does not help where others are of a known shape, or are more.
            others_fit = counts.total() < self._rows
            for name, count in sorted(counts.items()):
                line = self._first[code, shape, name]
                is_mixed = others_fit or count < max(counts.values())
                problem, hint = self._words(code, shape, name, count, is_mixed=is_mixed)
                hint = self._hints.get(name, hint)
                if code != "other_shape" or not (shape == self._shape and shape in _OTHER_METHODS):
                    log.add(make_finding(code, self._file, line, problem, hint))

    def _words(self, code: str, shape: str, name: str, count: int, *, is_mixed: bool) -> tuple[str, str]:
        """Problem and hint; in a mixed file only some rows have this shape."""
        rows = f"{count:,} row{'s' * (count != 1)}"
        if code == "missing_messages_list":
            return _words_of_unknown(name, rows, self._columns.get(name, ()), is_mixed=is_mixed)
        verb = "is" if count == 1 else "are"
        if shape in _OTHER_METHODS:
            problem = f"{rows} {verb} for another method than supervised fine-tuning: {shape}"
            if is_mixed and count * 2 < self._rows:
                return problem, "move them to a file of their own"
            return problem, f"if you train with that method, say so: --shape {shape}"
        dropped = "".join(f" --drop {column}" for column in self._counts.get(("unused_column", shape), ()))
        first = "convert, once its unused columns are dealt with" if dropped else "convert"
        return (
            f"{rows} {verb} not in chat format but in the shape {shape}",
            f"{first}: pytest-finetune data prepare FILE -o NEW.jsonl{dropped}",
        )

    def _log_columns(self, code: str, shape: str, counts: Counter[str], log: FindingLog) -> None:
        """Report the columns that a shape does not have, all of them with one command."""
        if code == "unrecognized_key" and ("other_shape", REINFORCEMENT.name) in self._counts:
            # Columns for the grader, of rows that end with an answer by mistake.
            counts = Counter({name: count for name, count in counts.items() if name not in REFERENCES})
            if not counts:
                return
        listed = ", ".join(f"{shorten(name)!r} ({count:,} row{'s' * (count != 1)})" for name, count in counts.items())
        problem = f"column{'s' * (len(counts) != 1)} that the shape {shape} does not have: {listed}"
        line = min(self._first[code, shape, name] for name in counts)
        hint = "remove before uploading: pytest-finetune data prepare FILE -o NEW.jsonl"
        if code == "unused_column":
            hint = unused_hint(list(counts))
        log.add(make_finding(code, self._file, line, problem, hint))

    def _note_unknown(self, line: int, fault: RowFault, report: ReportFinding, secrets: Sequence[str]) -> None:
        """Count a row of an unknown shape with those that have the same columns."""
        known = self._counts.setdefault(("missing_messages_list", ""), Counter())
        problem = abbreviated_in(fault.problem, secrets)
        if fault.problem.startswith("two") or self._shape:
            self._hints[problem] = fault.hint
        if problem not in known and len(known) >= _MOST_UNKNOWN:
            report("missing_messages_list", fault.problem, fault.hint)
        else:
            self._note("missing_messages_list", "", problem, line)

    def _note(self, code: str, shape: str, name: str, line: int) -> None:
        self._counts.setdefault((code, shape), Counter())[name] += 1
        self._first.setdefault((code, shape, name), line)

    def _read_chat(
        self, line: int, value: dict[str, Any], report: ReportFinding, secrets: Sequence[str]
    ) -> ChatRow | None:
        unused = unused_columns(value, CHAT)
        for key, item in value.items():
            if key not in ROW_KEYS and key not in unused and item is not None:
                self._note("unrecognized_key", CHAT.name, abbreviated_in(key, secrets), line)
        check_form(value, report)
        try:
            messages, tools = modern(value)
        except RowFault as fault:
            if value.get("functions") is not None and value.get("tools") is not None:
                report("invalid_tools", fault.problem, fault.hint, path="$.functions")
            return None
        is_modern = value.get("functions") is None and not any(map(is_legacy, value["messages"]))
        self._tools.check(messages, tools, report if is_modern else _renamed(report))
        try:
            return CHAT.read(value)
        except RowFault:
            # Reported by `check_form`.
            return None

    def _read_other(self, value: dict[str, Any], shape: Shape, report: ReportFinding) -> ChatRow | None:
        try:
            row = read_with_media(value, shape)
        except RowFault as fault:
            report("missing_content", fault.problem, fault.hint or _CORRECT)
            return None
        except KeyError as missing:
            report("missing_content", f"no column {missing.args[0]!r}, which {shape.name} needs", _CORRECT)
            return None
        unplaced = _without_path(report)
        check_form({"messages": row.messages}, unplaced, has_answer=not row.reference)
        self._tools.check(row.messages, row.tools, unplaced)
        if row.rejected and row.rejected == row.messages[-1:]:
            report("nothing_to_learn", "both answers are the same", "remove the row, or prefer one of two answers")
        return row


def _ends_with_answer(value: dict[str, Any]) -> bool:
    messages = value["messages"]
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and last.get("role") == "assistant"


def _shape_without_answer(value: dict[str, Any]) -> Shape:
    """Reinforcement if the columns show it; otherwise a chat whose answer is missing."""
    try:
        found = find_shape(value)
    except RowFault:
        return CHAT
    return found if found.name == "reinforcement" else CHAT


def _words_of_unknown(name: str, rows: str, columns: Sequence[str], *, is_mixed: bool) -> tuple[str, str]:
    """Problem and hint for rows with the same columns, of which no shape is known."""
    hint = 'write {"messages": […]}, or move these rows to a file of their own' if is_mixed else unknown_hint(columns)
    return f"{name} ({rows})", hint


def _without_path(report: ReportFinding) -> ReportFinding:
    """Reports without JSON paths, which would be those of a converted row."""

    def unplaced(code: str, problem: str, hint: str, *, path: str = "", other: str = "") -> None:  # noqa: ARG001
        if code == "tool_call_unanswered":
            # Its id was made from its place.
            problem = "a call was not answered before the next message"
        report(code, problem, hint, other=other)

    return unplaced


def _renamed(report: ReportFinding) -> ReportFinding:
    """Reports with the paths of a row with functions instead of tools."""
    known = set[str]()

    def renamed(code: str, problem: str, hint: str, *, path: str = "", other: str = "") -> None:
        # A call of a wrong name is also the reason why its answer finds no call.
        known.add(code)
        if code == "tool_answer_unmatched":
            if "unknown_tool" in known:
                return
            problem, hint = "no open call has the name of this answer", "use the name of the function that was called"
        was = path.replace(".tool_calls[0].function", ".function_call").replace(".tool_calls[0]", ".function_call")
        was = was.replace("$.tools", "$.functions").replace(".tool_call_id", ".name")
        report(code, problem.replace("tools[", "functions["), hint, path=was, other=other)

    return renamed
