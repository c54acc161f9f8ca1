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

    from sqlglot import Dialect

MOST_CHARACTERS = 100_000
"""Longer texts are not parsed."""

STEPS = 20_000
STEPS_PER_TOKEN = 200
"""Tokens the parser may read, backtracking included: nested types take exponential time: `DATE (DATE (…`."""


class SqlFault(ValueError):  # noqa: N818 - a fault in a text, not an error of ours
    """
    A text is not SQL, or cannot be read in bounded time.

    Args:
        problem: One clause for people.
        undecided: Reading was given up: the text may be SQL.
    """

    def __init__(self, problem: str, *, undecided: bool = False) -> None:
        super().__init__(problem)
        self.undecided = undecided


class _StepsUsedUp(Exception):  # noqa: N818 - named after what happened; not a ParseError, which the parser catches
    pass


def statements(text: str, dialect: Dialect) -> tuple[str, ...]:
    """
    The statements of a text, each with keywords, unquoted names and white space in one form, without comments.

    Args:
        text: Any text.
        dialect: How it is written.

    Raises:
        SqlFault: The text has no statement, or something that is not a statement.
    """
    if len(text) > MOST_CHARACTERS:
        raise SqlFault(f"longer than {MOST_CHARACTERS:,} characters", undecided=True)
    with _silence():
        try:
            return tuple(_canonical(tree, dialect) for tree in _parsed(text, dialect))
        except SqlFault:
            raise
        except _StepsUsedUp:
            raise SqlFault("takes too long to parse", undecided=True) from None
        except RecursionError:
            raise SqlFault("nested too deeply", undecided=True) from None
        except SqlglotError as error:
            raise SqlFault(_problem(error)) from None
        except Exception as error:
            # The parser is written for SQL by people and may raise anything for a model's answer.
            raise SqlFault(f"cannot be parsed: {type(error).__name__}") from error


# They are needed for each answer to a case; reading them takes as long as reading the answer.
@lru_cache(maxsize=8192)
def expected_statements(text: str, dialect: Dialect) -> tuple[str, ...]:
    """As `statements`, remembered, for the texts that answers are compared with."""
    return statements(text, dialect)


def _parsed(text: str, dialect: Dialect) -> list[exp.Expr]:
    tokens = dialect.tokenize(text)
    parser = _bounded(dialect.parser_class)(dialect=dialect)
    parser.steps_left = STEPS + STEPS_PER_TOKEN * len(tokens)
    trees = [tree for tree in parser.parse(tokens, text) if tree is not None and not isinstance(tree, exp.Semicolon)]
    if not trees:
        raise SqlFault("has no statement")
    return trees


def _canonical(tree: exp.Expr, dialect: Dialect) -> str:
    if isinstance(tree, exp.Condition | exp.Alias):
        raise SqlFault("is an expression and not a statement")
    tree = _without_choices(tree)
    return str(tree.sql(dialect=dialect, normalize=True, comments=False))


def _without_choices(tree: exp.Expr) -> exp.Expr:
    """The tree with one spelling for what SQL lets people write in several: `INNER`, `OUTER`, `ASC`, parentheses."""
    for join in list(tree.find_all(exp.Join)):
        if join.args.get("kind") == "INNER" or (join.args.get("kind") == "OUTER" and join.args.get("side")):
            join.set("kind", None)
    for ordered in list(tree.find_all(exp.Ordered)):
        if ordered.args.get("desc") is False:
            ordered.set("desc", None)
    for pair in list(tree.find_all(exp.Paren)):
        if _is_redundant(pair):
            pair.replace(pair.this)
    for query in list(tree.find_all(exp.Subquery)):
        if isinstance(query.parent, exp.Subquery) and _is_bare(query):
            query.replace(query.this)
    return tree.this if isinstance(tree, exp.Subquery) and _is_bare(tree) else tree


_LISTS = (exp.Select, exp.Where, exp.Having, exp.Alias, exp.Ordered, exp.Group, exp.Join, exp.If, exp.Case, exp.Paren)
"""Around these, parentheses separate nothing; what is in them has its own key words or commas."""

_WHOLE = (exp.Column, exp.Literal, exp.Boolean, exp.Null, exp.Func)
"""What is one thing however it is surrounded; operations that are functions too are binary."""

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.Like, exp.ILike, exp.In, exp.Between)
_SUMS, _PRODUCTS = (exp.Add, exp.Sub), (exp.Mul, exp.Div, exp.Mod)
_LEVELS: tuple[tuple[type, ...], ...] = ((exp.Or,), (exp.And,), (exp.Not,), _COMPARISONS, _SUMS, _PRODUCTS)
"""Operations from the loosest to the tightest, as every dialect has them."""


def _is_redundant(pair: exp.Paren) -> bool:
    """
    Whether a pair of parentheses changes nothing about how operations bind.

    In doubt it stays: then two statements are as different as they are written.
    """
    inner, around = pair.this, pair.parent
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, _WHOLE) and not isinstance(inner, exp.Binary):
        return not isinstance(around, exp.Dot | exp.Bracket)
    level, outer = _level(inner), _level(around)
    if level is None or outer is None or isinstance(around, exp.In | exp.Between | exp.Is):
        return level is not None and isinstance(around, _LISTS)
    if level == outer:
        # `a AND (b AND c)` is `(a AND b) AND c`; `a - (b - c)` is not, and comparisons in a row have no common order.
        return isinstance(inner, exp.Connector) or (
            _LEVELS[level] in (_SUMS, _PRODUCTS) and around is not None and around.this is pair
        )
    return level > outer


def _level(node: object) -> int | None:
    return next((index for index, kinds in enumerate(_LEVELS) if type(node) in kinds), None)


def _is_bare(query: exp.Expr) -> bool:
    """A query in parentheses without a name, an order or a limit of its own."""
    return all(not value for key, value in query.args.items() if key != "this")


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
