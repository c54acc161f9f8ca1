"""
Names that a project may use for something else: of options, of ini values, of the mark and its fixture.

An option has a long form, `--finetune-model`, and perhaps a short form, `--model`. Each gives way to any plugin or
conftest.py that defines an option of the same name. pytest reports such a clash as soon as the second of two options is
added, so ours are added last: once the initial conftest files are loaded.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    import argparse

    _IniType = Literal["string", "bool", "args", "linelist", "paths"]

_LONG, _SPARE = "--finetune-", "--pytest-finetune-"
"""The spare prefix is for an option whose other names are all taken."""

_SHORT_FORMS = (
    "--model",
    "--model-base-url",
    "--repeats",
    "--resume",
    "--baseline",
    "--promote",
    "--concurrency",
    "--max-cost",
    "--stop-when-decided",
)
"""Each is short for `--finetune-…`."""

_USED_WITHOUT_MODEL = {"check", "train", "validation", "check-fail-on", "redact", "no-progress"}
"""Options, without their prefix, that have a meaning in a session without `--model`."""

_HARMFUL_WITHOUT_MODEL = ("promote", "resume", "baseline")
"""Refused without `--model` even in `addopts`; the others may be set there for the sessions that have a model."""


class OptionNames:
    """
    The names that our options and ini values have in a session.

    Args:
        parser: Has all options of other plugins and of the initial conftest files.

    Attributes:
        taken: Names of ours that others define, each with the name that our option has instead.
    """

    def __init__(self, parser: pytest.Parser) -> None:
        self.taken: dict[str, str] = {}
        self._parser = parser
        self._theirs = _declared(parser)
        self._ours: dict[str, list[str]] = {}
        self._ini: dict[str, object] = {}

    def free(self, name: str) -> list[str]:
        """
        Choose the names of an option.

        Args:
            name: Its short form, or else its long form.

        Raises:
            pytest.UsageError: All are taken.
        """
        bare = _bare(name)
        wanted = list(dict.fromkeys([name, _LONG + bare]))
        ours = [each for each in wanted if each not in self._theirs] or [_SPARE + bare]
        if not self._theirs.isdisjoint({ours[0], destination(bare)}):
            names = f"{', '.join(wanted)} and {_SPARE}{bare} or its `dest`"
            raise pytest.UsageError(f"{names}: defined by another plugin or a conftest.py\n  hint: rename one there")
        self.taken |= {each: ours[0] for each in wanted if each in self._theirs}
        self._ours[bare] = ours
        return ours

    def add_ini(self, name: str, text: str, kind: _IniType, *, default: object) -> None:
        """Declare an ini value, unless another plugin or a conftest.py has declared it."""
        known = self._parser._inidict  # noqa: SLF001 - pytest has no public API for this
        if name in known or name in getattr(self._parser, "_ini_aliases", {}):
            self._ini[name] = "theirs"
        else:
            self._parser.addini(name, text, type=kind, default=default)
            self._ini[name] = known[name]

    def refuse_ini_of_others(self) -> None:
        """
        Refuse to read ini values that mean something else to another plugin or a conftest.py.

        Raises:
            pytest.UsageError: There are some.
        """
        known = self._parser._inidict  # noqa: SLF001 - pytest has no public API for this
        theirs = [name for name, declared in self._ini.items() if known.get(name) is not declared]
        if theirs:
            names = f"ini {', '.join(theirs)}: also"
            hint = "rename it there; pytest-finetune reads it"
            raise pytest.UsageError(f"{names} declared by another plugin or a conftest.py\n  hint: {hint}")

    def release(self) -> None:
        """
        Let conftest.py files that are loaded during collection define options with our names.

        The command line has been parsed by then, so nothing needs them any more.
        """
        ours = {name for names in self._ours.values() for name in names}
        group = self._parser.getgroup("finetune")
        group.options[:] = [option for option in group.options if ours.isdisjoint(option.names())]
        # pytest before 9.2 builds a new argparse parser for each parsing, so a late option clashes with nothing.
        argparser = getattr(self._parser, "optparser", None)
        known = {} if argparser is None else argparser._option_string_actions  # noqa: SLF001
        for name in ours:
            known.pop(name, None)

    def refuse_without_model(self, config: pytest.Config) -> None:
        """
        Refuse options that only mean something with `--model`, in a session without.

        Raises:
            pytest.UsageError: The command line has such an option, or `addopts` has one that promises an evaluation.
        """
        typed = {str(arg).partition("=")[0] for arg in config.invocation_params.args}
        harmful = {name for name in _HARMFUL_WITHOUT_MODEL if getattr(config.option, destination(name))}
        useless = [
            ours[0]
            for bare, ours in self._ours.items()
            if bare in harmful or (bare not in _USED_WITHOUT_MODEL and typed.intersection(ours))
        ]
        if useless:
            needs = "needs a model" if len(useless) == 1 else "need a model"
            model = self._ours["model"][0]
            raise pytest.UsageError(f"{', '.join(useless)} {needs} to evaluate\n  hint: add {model}=SPEC")


NAMES = pytest.StashKey[OptionNames]()


def forget_values(known: argparse.Namespace, args: list[str]) -> None:
    """
    Remove the values of our options from the paths in which pytest looks for initial conftest files.

    pytest parses the command line once before our options are declared, so `m` in `--model m` looks like a path, and
    pytest would not look for conftest files in `testpaths`.

    Args:
        known: The namespace of the early parsing.
        args: The whole command line.
    """
    values = {value for name, value in pairwise(args) if name in _SHORT_FORMS or name.startswith((_LONG, _SPARE))}
    known.file_or_dir = [path for path in known.file_or_dir if path not in values or Path(path).exists()]


def destination(bare: str) -> str:
    """The name in `config.option` of an option without its prefix; ours alone, unlike `finetune_model`."""
    return f"pytest_finetune_{bare.replace('-', '_')}"


def _bare(name: str) -> str:
    return name.removeprefix(_LONG).removeprefix("--")


def _declared(parser: pytest.Parser) -> set[str]:
    """The names of all options that have been declared so far, and their `dest`."""
    # pytest has no public API for this.
    groups = {id(group): group for group in [parser._anonymous, *parser._groups]}.values()  # noqa: SLF001
    return {name for group in groups for option in group.options for name in (*option.names(), option.dest)}


def takes_case(metafunc: pytest.Metafunc) -> bool:
    """Whether a function has the mark `eval_set` and our fixture `eval_case`, not a fixture or parameter of its own."""
    fixtures = metafunc.definition._fixtureinfo.name2fixturedefs.get("eval_case", ())  # noqa: SLF001 - no public API
    is_ours = bool(fixtures) and fixtures[-1].func.__module__ == "pytest_finetune.plugin"
    return is_ours and metafunc.definition.get_closest_marker("eval_set") is not None
