"""What a reader of a foreign format yields, and what it reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.lifecycle.importing.python_graders import PythonGrader

RECORDED = "recorded"
"""The value of `--expected` that expects the recorded answer."""


class NotCarried(ValueError):  # noqa: N818 - a fault in a file, not an error of ours
    """A row cannot be carried over; the argument is the reason."""


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """
    An answer in a foreign file.

    Args:
        run: Name of the run that it belongs to; empty if the file has only one.
        body: The answer as the body of a chat completion.
        status: HTTP status that it came with.
        passed: What the source's own graders found; None if the file does not say.
    """

    run: str
    body: Mapping[str, Any]
    status: int = 200
    passed: bool | None = None


@dataclass(frozen=True, slots=True)
class ForeignCase:
    """
    One case: a line of an eval set, and the answers recorded for it.

    Args:
        line: 1-based line of the source.
        case: The line of the eval set, in the shape `messages` or `input`.
        answers: The recorded answers.
        key: Identifies the case where several rows of the source belong to one; empty if each row is a case.
    """

    line: int
    case: dict[str, Any]
    answers: tuple[RecordedAnswer, ...] = ()
    key: str = ""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """
    How a foreign file becomes an eval set.

    Args:
        prompt: Template of the user's message, for files that do not say what is sent; empty without.
        expected: Template of the expected answer, or `recorded`; empty uses the one in the file.
        config: Definition of the eval, as it was created: criteria, prompt and parameters.
        choices: Add the choices of multiple-choice cases to the prompt.
        others: Rows of the file that belongs to the source, such as the requests of a batch, by their id, each as
            `marshal` writes it.
    """

    prompt: str = ""
    expected: str = ""
    config: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    choices: bool = False
    others: Mapping[str, bytes] = field(default_factory=lambda: NOTHING)


@dataclass(slots=True)
class Findings:
    """
    What a reader finds besides the cases; complete when its last case was read.

    Attributes:
        settings: Settings of the eval set.
        schema: JSON Schema of the answers, for the scorer `schema`; None without.
        not_carried: Graders, parameters and columns that were not carried over, with the reason, and how often.
        notes: What the user should know about the result.
        scorer_names: Names of the scorers so far.
        python_graders: Graders whose code is written to files and not run.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    schema: Any = None
    not_carried: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    scorer_names: set[str] = field(default_factory=set)
    python_graders: list[PythonGrader] = field(default_factory=list)

    def unique(self, name: str) -> str:
        """The name, with a number if a scorer has it already."""
        free, number = name, 2
        while free in self.scorer_names:
            free, number = f"{name}-{number}", number + 1
        self.scorer_names.add(free)
        return free

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)


@dataclass(frozen=True, slots=True)
class Format:
    """
    A foreign format.

    Args:
        name: Name in `--format`.
        title: The tool and its file, for people.
        fits: Whether a row has this format.
        read: Reads rows; raises nothing for a row that cannot be carried over, but reports it by `skip`.
        options: The options of the command that it uses; the others are refused.
    """

    name: str
    title: str
    fits: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Iterable[Row], ImportOptions, Findings, Callable[[int, str], None]], Iterator[ForeignCase]]
    options: frozenset[str] = frozenset({"prompt", "expected"})


def fitting(
    rows: Iterable[Row], fits: Callable[[Mapping[str, Any]], bool], skip: Callable[[int, str], None]
) -> Iterator[Row]:
    """The rows that have a format; the others are skipped with their keys."""
    for row in rows:
        if fits(row.value):
            yield row
        else:
            keys = ", ".join(map(repr, row.value)) or "none"
            skip(row.line, f"it has another form than the first row; its keys: {keys}")


def all_passed(values: Iterable[object]) -> bool | None:
    """Whether all of the source's graders passed; None if there are none, or if one did not say true or false."""
    known = list(values)
    if False in [each for each in known if isinstance(each, bool)]:
        return False
    return True if known and all(each is True for each in known) else None


def each_row(
    rows: Iterable[Row], convert: Callable[[Row], ForeignCase], skip: Callable[[int, str], None]
) -> Iterator[ForeignCase]:
    """The cases of rows that are converted one by one; rows that cannot be are skipped with a reason."""
    for row in rows:
        try:
            yield convert(row)
        except NotCarried as reason:
            skip(row.line, str(reason))


def object_of(value: object) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def described(value: Mapping[str, Any], used: Iterable[str]) -> dict[str, Any]:
    """The fields that are not used otherwise and are not null, as `metadata`; empty if there are none."""
    left = {key: item for key, item in value.items() if key not in set(used) and item is not None}
    return {"metadata": left} if left else {}
