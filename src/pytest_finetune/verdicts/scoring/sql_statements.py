"""SQL text into statements in canonical form, by sqlglot. Any text gives statements or a `SqlFault`."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CHARACTERS = 100_000
"""Longer texts are not parsed."""

STEPS = 20_000
STEPS_PER_TOKEN = 200
"""Tokens the parser may read, backtracking included: nested types take exponential time: `DATE (DATE (…`."""


class SqlFault(ValueError):  # noqa: N818 - a fault in a text, not an error of ours
    """A text is not SQL, or cannot be read in bounded time; its argument is one clause for people."""


class _StepsUsedUp(Exception):  # noqa: N818 - named after what happened; not a ParseError, which the parser catches
    pass


def statements(text: str, dialect: Any) -> tuple[str, ...]:
    """
    The statements of a text, each with keywords, unquoted names and white space in one form, without comments.

    Args:
        text: Any text.
        dialect: A `sqlglot.Dialect`.

    Raises:
        SqlFault: The text has no statement, or something that is not a statement.
    """
    if len(text) > MOST_CHARACTERS:
        raise SqlFault(f"longer than {MOST_CHARACTERS:,} characters")
    with _silence():
        try:
            return tuple(_canonical(tree, dialect) for tree in _parsed(text, dialect))
        except SqlFault:
            raise
        except _StepsUsedUp:
            raise SqlFault("takes too long to parse") from None
        except RecursionError:
            raise SqlFault("nested too deeply") from None
        except SqlglotError as error:
            raise SqlFault(_problem(error)) from None
        except Exception as error:
            # The parser is written for SQL by people and may raise anything for a model's answer.
            raise SqlFault(f"cannot be parsed: {type(error).__name__}") from error


def _parsed(text: str, dialect: Any) -> list[Any]:
    tokens = dialect.tokenize(text)
    parser = _bounded(dialect.parser_class)(dialect=dialect)
    parser.steps_left = STEPS + STEPS_PER_TOKEN * len(tokens)
    trees = [tree for tree in parser.parse(tokens, text) if tree is not None and not isinstance(tree, exp.Semicolon)]
    if not trees:
        raise SqlFault("has no statement")
    return trees


def _canonical(tree: Any, dialect: Any) -> str:
    if isinstance(tree, exp.Condition | exp.Alias):
        raise SqlFault("is an expression and not a statement")
    return str(tree.sql(dialect=dialect, normalize=True, comments=False))


@lru_cache(maxsize=64)
def _bounded(parser_class: Any) -> Any:
    """The dialect's parser, with a limit on its steps."""

    class Bounded(parser_class):  # type: ignore[misc]
        steps_left = STEPS

        def _advance(self, *times: int) -> None:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise _StepsUsedUp
            super()._advance(*times)

    return Bounded


@contextmanager
def _silence() -> Iterator[None]:
    logger = logging.getLogger(sqlglot.__name__)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _problem(error: SqlglotError) -> str:
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        return f"{first['description']} at line {first['line']}, column {first['col']}".rstrip()
    return str(error).partition("\n")[0]
