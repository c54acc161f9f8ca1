"""
What a JSON Schema must be before it judges answers: whole in one file, free of bad patterns, plain in its words.

Nothing is ever fetched: a `$ref` out of the file is refused when the schema is read.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

import jsonschema_specifications  # type: ignore[import-untyped]
import referencing.exceptions
from jsonschema import FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import specification_with

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.json_path import json_path
from pytest_finetune.verdicts.json_schema.formats import INSTALL_FORMATS, formats, lacks_library
from pytest_finetune.verdicts.json_schema.pattern import compiled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from referencing._core import Resolver

META_SCHEMAS = ("https://json-schema.org/", "http://json-schema.org/")
"""Where the meta-schemas live, which come with the library."""

_ONE = (
    *("additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"),
    *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
)
_LIST = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_NAMED = ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_PLAIN_WORDS = (
    *("$anchor", "$comment", "$defs", "$dynamicAnchor", "$id", "$recursiveAnchor", "$schema", "$vocabulary"),
    *("contentEncoding", "contentMediaType", "contentSchema", "default", "definitions", "deprecated", "description"),
    *("else", "examples", "id", "maxContains", "minContains", "readOnly", "then", "title", "writeOnly"),
)


_FOREIGN_WORDS = frozenset(
    (
        *("nullable", "discriminator", "example", "xml", "externalDocs"),
        *("errorMessage", "instanceof", "transform", "enumNames", "enumDescriptions", "markdownDescription"),
        *("markdownEnumDescriptions", "defaultSnippets", "deprecationMessage", "patternErrorMessage"),
        *("propertyOrdering", "propertyOrder", "options", "strict", "name", "note", "notes", "constraints"),
    )
)
"""Words that OpenAPI, Ajv, editors and model servers add: ignored as any unknown word, but never a misspelling."""

_FOREIGN_FORMATS = frozenset({"uuid1", "uuid3", "uuid4", "uuid5", "uuid6", "uuid7", "uuid8"})
"""Formats that pydantic writes, so close to others that they would be taken for misspellings."""

_MISSPELT = 0.75
"""Similarity from which an unknown word is taken for a misspelt keyword: Type and const(ant) are, max(imum) is not."""


class Document:
    """
    A schema document under examination.

    Args:
        contents: The parsed schema.
        where: What to name in errors: the file, or the tool.
        dialect: The validator class of the document's dialect.
        may_lack_libraries: Whether formats may stay unchecked because their library is not installed.

    Attributes:
        unchecked: The formats that are not checked for this reason; complete after `warnings`.
    """

    def __init__(self, contents: Any, where: str, dialect: Any, *, may_lack_libraries: bool = False) -> None:
        self.unchecked: set[str] = set()
        self._may_lack_libraries = may_lack_libraries
        self._where, self._dialect, self._formats = where, dialect, formats(dialect).checkers
        self._words = {*dialect.VALIDATORS, *_PLAIN_WORDS}
        specification = specification_with(str(dialect.META_SCHEMA.get("$id") or dialect.META_SCHEMA.get("id")))
        resource: Resource[Any] = specification.create_resource(contents)
        self._specification = specification
        registry: Any = Registry
        self.registry = registry(retrieve=_refuse).combine(jsonschema_specifications.REGISTRY)
        self._seen: set[int] = set()
        self._resolver = self.registry.with_resource(resource.id() or "", resource).crawl().resolver_with_root(resource)
        self._contents = contents

    def warnings(self) -> tuple[str, ...]:
        """
        Words that no validator knows, which it ignores.

        Raises:
            ScorerError: A keyword is misspelt, a reference leads nowhere or out of the document, or a pattern cannot be
                used.
        """
        return tuple(self._walk(self._contents, self._resolver, ()))

    def _walk(self, schema: Any, resolver: Resolver[Any], path: tuple[str | int, ...]) -> Iterator[str]:
        if not isinstance(schema, dict) or id(schema) in self._seen:
            return
        self._seen.add(id(schema))
        if path:
            resolver = resolver.in_subresource(self._specification.create_resource(schema))
        yield from self._doubts(schema, path)
        self._examine_patterns(schema, path)
        for word in _REFERENCES:
            if isinstance(reference := schema.get(word), str):
                yield from self._follow(reference, resolver, (*path, word))
        for step, child in _children(schema):
            yield from self._walk(child, resolver, (*path, *step))

    def _doubts(self, schema: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[str]:
        place = f"{self._where}: {json_path(path)}"
        for word in schema:
            if word not in self._words and not word.startswith("x-"):
                if word not in _FOREIGN_WORDS and (meant := _misspelt(word, self._words)):
                    hint = f"did you mean {meant!r}? A keyword of your own begins with x-"
                    self._fail(f"unknown keyword {word!r}", path, hint)
                yield f"{place}: unknown keyword {word!r} is ignored"
        name = schema.get("format")
        if isinstance(name, str) and name not in self._formats:
            if lacks_library(self._dialect, name):
                self.unchecked.add(name)
                if not self._may_lack_libraries:
                    problem = f"format {name!r} cannot be checked, its library is not installed"
                    self._fail(problem, path, INSTALL_FORMATS)
            else:
                if name not in _FOREIGN_FORMATS and (meant := _misspelt(name, self._formats)):
                    self._fail(f"unknown format {name!r}", path, f"did you mean {meant!r}?")
                yield f"{place}: unknown format {name!r} is not checked"

    def _examine_patterns(self, schema: dict[str, Any], path: tuple[str | int, ...]) -> None:
        patterns = [*schema.get("patternProperties", ()), *([schema["pattern"]] if "pattern" in schema else [])]
        for pattern in patterns:
            try:
                compiled(pattern)
            except ValueError as error:
                self._fail(f"{pattern!r} is not an ECMA pattern: {error}", path, "fix the pattern")
        if patterns and "patternProperties" in schema and "unevaluatedProperties" in schema:
            hint = "use additionalProperties: patterns under unevaluatedProperties run without a time limit"
            self._fail("patternProperties is next to unevaluatedProperties", path, hint)

    def _follow(self, reference: str, resolver: Resolver[Any], path: tuple[str | int, ...]) -> Iterator[str]:
        try:
            resolved = resolver.lookup(reference)
        except (referencing.exceptions.Unresolvable, ValueError):
            if reference.startswith("#"):
                self._fail(f"{reference!r} leads nowhere", path, "name an existing definition")
            hint = "put the definition into this document, under $defs"
            self._fail(f"{reference!r} leads out of this document, and nothing is ever fetched", path, hint)
        if not isinstance(resolved.contents, dict | bool):
            self._fail(f"{reference!r} does not lead to a schema", path, "refer to a schema")
        if id(resolved.contents) not in self._seen and not reference.startswith(META_SCHEMAS):
            self._dialect.check_schema(resolved.contents, format_checker=FormatChecker(formats=()))
            yield from self._walk(resolved.contents, resolved.resolver, path)

    def _fail(self, problem: str, path: tuple[str | int, ...], hint: str) -> NoReturn:
        raise ScorerError(problem, f"{self._where}: {json_path(path)}", hint)


def _children(schema: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    for word in _ONE:
        yield (word,), schema.get(word)
    for word in _LIST:
        if isinstance(schemas := schema.get(word), list):
            yield from (((word, index), child) for index, child in enumerate(schemas))
    for word in _NAMED:
        if isinstance(schemas := schema.get(word), dict):
            yield from (((word, name), child) for name, child in schemas.items())


def _misspelt(word: str, known: Iterable[str]) -> str:
    """The keyword that a word differs from by its case or a few letters; empty if there is none."""
    by_letters = {each.lower().lstrip("$"): each for each in sorted(known)}
    close = get_close_matches(word.lower().lstrip("$"), by_letters, n=1, cutoff=_MISSPELT)
    return by_letters[close[0]] if close else ""


def _refuse(uri: str) -> Resource[Any]:
    raise referencing.exceptions.NoSuchResource(uri)
