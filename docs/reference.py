"""docs/reference.md: every option, setting, scorer, metric and code, from the code that reads it."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import click
from _pytest.config.argparsing import Parser

import pytest_finetune
from pytest_finetune.cli import main
from pytest_finetune.lifecycle.data.codes import CODES
from pytest_finetune.lifecycle.starting.editor_schemas import settings_schema
from pytest_finetune.plugin.options import add_options
from pytest_finetune.verdicts.evalset.gate_metrics import METRICS, RATES
from pytest_finetune.verdicts.evalset.scorer import SCORER_METRICS
from pytest_finetune.verdicts.evalset.scorer_names import built_in_scorers
from pytest_finetune.verdicts.scoring import scorer_class, scorers_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_GATES = {"BarGate": "min or max", "DropGate": "max_drop", "FlipsGate": "max_flips", "MustPassGate": "must_pass"}


def reference() -> str:
    """The page."""
    parts = [
        "# Reference\n\nMade from the code by `python docs/generate.py`.",
        *_pytest_options(),
        *_commands(),
        *_settings(),
        *_scorers(),
        *_codes(),
        *_api(),
    ]
    return "\n\n".join(parts) + "\n"


def _pytest_options() -> Iterator[str]:
    parser = Parser(_ispytest=True)
    add_options(parser)
    (group,) = [group for group in parser._groups if group.name == "finetune"]  # noqa: SLF001 - pytest lists them nowhere else
    rows = []
    for option in group.options:
        given = option.attrs()
        value = given.get("metavar") or " or ".join(given.get("choices") or ())
        rows.append((" ".join(f"`{name}`" for name in option.names()), value, given["help"] % given))
    yield "## Options of pytest"
    yield _table(("option", "value", "meaning"), rows)
    yield "Exit codes: 0 all gates passed; 1 a gate or test failed; 2 stopped early; 4 error in settings or eval sets."
    yield "## Settings of pytest"
    ini = [(f"`{name}`", kind or "string", text) for name, (text, kind, _) in parser._inidict.items()]  # noqa: SLF001 - as above
    yield _table(("key", "type", "meaning"), [row for row in ini if row[0].startswith("`finetune_")])


def _commands() -> Iterator[str]:
    yield "## Commands"
    for path, command in _walk(main, ("pytest-finetune",)):
        if isinstance(command, click.Group):
            continue
        text, _, codes = inspect.cleandoc(command.help or "").partition("\b\nExit codes:\n")
        arguments = [
            each.make_metavar(click.Context(command)) for each in command.params if isinstance(each, click.Argument)
        ]
        yield f"### `{' '.join((*path, *arguments))}`"
        yield text.partition("\n\n")[0]
        options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
        rows = [
            (" ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts)), each.help or "") for each in options
        ]
        yield _table(("option", "meaning"), rows)
        listed = [re.sub(r"\s+", " ", line.strip()).partition(" ")[::2] for line in codes.splitlines() if line.strip()]
        yield "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in listed) + "."


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if found := command.get_command(context, name):
                yield from _walk(found, (*path, name))


def _settings() -> Iterator[str]:
    schema = settings_schema(installed=())
    named = schema["definitions"]
    yield "## Settings of an eval set"
    yield "`NAME.toml`; an unknown key is an error. [Eval sets](eval-sets.md) explains them."
    tables = {
        "top of the file": {key: each for key, each in schema["properties"].items() if "$ref" not in each},
        "`[request]`": named["RequestSettings"]["properties"],
        "`[answer]`": named["AnswerSettings"]["properties"],
        "`[stability]`": named["StabilitySettings"]["properties"],
        **{f"`[[gates]]` with {rule}": named[kind]["properties"] for kind, rule in _GATES.items()},
    }
    for title, properties in tables.items():
        yield f"### {title}"
        yield _table(
            ("key", "type", "default", "meaning"),
            [
                (
                    f"`{key}`",
                    _type(each),
                    f"`{each['default']}`" if each.get("default") not in (None, "", [], {}) else "",
                    each.get("description", ""),
                )
                for key, each in properties.items()
            ],
        )
    yield "### Metrics"
    yield _table(
        ("metric", "range", "scorers"),
        [
            (
                f"`{name}`",
                "0 to 1" if name in RATES else "",
                ", ".join(scorers_with(name)) if name in SCORER_METRICS else "all",
            )
            for name in METRICS
        ],
    )


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return (
            "one of the [metrics](#metrics)"
            if schema["enum"] == list(METRICS)
            else " or ".join(map(str, schema["enum"]))
        )
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "value")).replace("object", "table")


def _scorers() -> Iterator[str]:
    yield "## Scorers"
    yield "[Eval sets](eval-sets.md#scorers) explains them."
    yield "`normalize`, `labels`, `schema` and `dialect` may also be at the top of the file."
    rows = []
    for name in built_in_scorers():
        scorer = scorer_class(name)
        own = sorted(scorer.options.model_fields) if scorer.options else []
        keys = ", ".join(f"`{key}`" for key in (*sorted(scorer.settings), *own))
        rows.append((f"`{name}`", _first(scorer), keys, ", ".join(f"`{each}`" for each in sorted(scorer.metrics))))
    yield _table(("scorer", "meaning", "settings", "its metrics"), rows)


def _codes() -> Iterator[str]:
    yield "## Findings of `data check`"
    yield _table(
        ("code", "group", "severity", "meaning"),
        [(f"`{code.name}`", code.group, code.severity.name.lower(), code.meaning) for code in CODES.values()],
    )


def _api() -> Iterator[str]:
    yield "## Python API"
    yield "`from pytest_finetune import …`; [api.md](api.md) shows their use."
    names = [(f"`{name}`", _first(getattr(pytest_finetune, name))) for name in pytest_finetune.__all__]
    yield _table(("name", "meaning"), names)


def _first(value: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
