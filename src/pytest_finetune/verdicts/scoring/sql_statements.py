"""SQL text into statements in canonical form, by sqlglot. Any text gives statements or a `SqlFault`."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import TokenType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlglot import Dialect
    from sqlglot.tokenizer_core import Token

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


Written = tuple[tuple[TokenType, str], ...]


@dataclass(frozen=True, slots=True)
class ExpectedStatements:
    """The tokens of a text as they are compared before it is parsed, and its statements in canonical form."""

    written: Written
    canonical: tuple[str, ...]


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
    with _faults():
        return _canonical_statements(_tokens(text, dialect), text, dialect)


# They are needed for each answer to a case; reading them takes as long as reading the answer.
@lru_cache(maxsize=8192)
def expected_statements(text: str, dialect: Dialect) -> ExpectedStatements:
    """
    The statements of a text that answers are compared with, remembered.

    Raises:
        SqlFault: As `statements`.
    """
    with _faults():
        tokens = _tokens(text, dialect)
        return ExpectedStatements(_written(tokens, dialect), _canonical_statements(tokens, text, dialect))


def is_any_of(text: str, expected: Iterable[str], dialect: Dialect) -> bool:
    """
    Whether a text has the statements of any of the expected ones, in order.

    A text that differs only in layout, comments and the letter case of keywords is not parsed.

    Raises:
        SqlFault: As `statements`, about the text.
    """
    accepted = [expected_statements(each, dialect) for each in expected]
    with _faults():
        tokens = _tokens(text, dialect)
        written = _written(tokens, dialect)
        if any(each.written == written for each in accepted):
            return True
        found = _canonical_statements(tokens, text, dialect)
    return any(each.canonical == found for each in accepted)


def _tokens(text: str, dialect: Dialect) -> list[Token]:
    if len(text) > MOST_CHARACTERS:
        raise SqlFault(f"longer than {MOST_CHARACTERS:,} characters", undecided=True)
    return dialect.tokenize(text)


def _written(tokens: list[Token], dialect: Dialect) -> Written:
    """The tokens without layout, comments, semicolons at the end, and the letter case of keywords and functions."""
    keywords = _keywords(type(dialect))
    end = len(tokens)
    while end and tokens[end - 1].token_type == TokenType.SEMICOLON:
        end -= 1
    tokens = tokens[:end]
    texts = [token.text.upper() if token.token_type in keywords else token.text for token in tokens]
    if dialect.NORMALIZE_FUNCTIONS:
        for at, token in enumerate(tokens[1:]):
            if token.token_type == TokenType.L_PAREN and tokens[at].token_type == TokenType.VAR:
                texts[at] = texts[at].upper()
    return tuple(zip((token.token_type for token in tokens), texts, strict=True))


@lru_cache(maxsize=64)
def _keywords(dialect: type[Dialect]) -> frozenset[TokenType]:
    """The keywords that are never names of functions: a dialect may tell those apart by their letter case."""
    tokenizer, parser = dialect.tokenizer_class, dialect.parser_class
    words = {kind for word, kind in tokenizer.KEYWORDS.items() if word.replace(" ", "").replace("_", "").isalpha()}
    return frozenset(words - set(parser.FUNC_TOKENS))


def _canonical_statements(tokens: list[Token], text: str, dialect: Dialect) -> tuple[str, ...]:
    return tuple(_canonical(tree, dialect) for tree in _parsed(tokens, text, dialect))


def _parsed(tokens: list[Token], text: str, dialect: Dialect) -> list[exp.Expr]:
    parser = _bounded(dialect.parser_class)(dialect=dialect)
    parser.steps_left = STEPS + STEPS_PER_TOKEN * len(tokens)
    trees = [tree for tree in parser.parse(tokens, text) if tree is not None and not isinstance(tree, exp.Semicolon)]
    if not trees:
        raise SqlFault("has no statement")
    return trees


def _canonical(tree: exp.Expr, dialect: Dialect) -> str:
    if isinstance(tree, exp.Condition | exp.Alias):
        raise SqlFault("is an expression and not a statement")
    # The tree is not needed afterwards, so it is not copied, which takes longer than writing it.
    return str(dialect.generate(_without_choices(tree), copy=False, normalize=True, comments=False))


def _without_choices(tree: exp.Expr) -> exp.Expr:
    """The tree with one spelling for what SQL lets people write in several: `INNER`, `OUTER`, `ASC`, parentheses."""
    for node in list(tree.find_all(exp.Join, exp.Ordered, exp.Paren, exp.Subquery)):
        if isinstance(node, exp.Join):
            if node.args.get("kind") == "INNER" or (node.args.get("kind") == "OUTER" and node.args.get("side")):
                node.set("kind", None)
        elif isinstance(node, exp.Ordered):
            if node.args.get("desc") is False:
                node.set("desc", None)
        elif isinstance(node, exp.Paren):
            if _is_redundant(node):
                node.replace(node.this)
        elif isinstance(node.parent, exp.Subquery) and _is_bare(node):
            node.replace(node.this)
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
def _faults() -> Iterator[None]:
    """Without its log, whatever sqlglot raises becomes a `SqlFault`."""
    logger = logging.getLogger(sqlglot.__name__)
    before, logger.disabled = logger.disabled, True
    try:
        yield
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
    finally:
        logger.disabled = before


def _problem(error: SqlglotError) -> str:
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        return f"{first['description']} at line {first['line']}, column {first['col']}".rstrip()
    return str(error).partition("\n")[0]
