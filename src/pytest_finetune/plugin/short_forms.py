"""
The short forms of options, `--model` for `--finetune-model`.

A short form gives way to any plugin or conftest.py that defines an option of the same name. pytest reports such a clash
as soon as the second of two options is added, so ours are added last: once the initial conftest files are loaded.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import argparse

_LONG = "--finetune-"

SHORT_FORMS = (
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


def long_form(short: str) -> str:
    """`--finetune-model` of `--model`."""
    return _LONG + short.removeprefix("--")


def release_short_forms(parser: pytest.Parser) -> None:
    """
    Let conftest.py files that are loaded during collection define options with the names of our short forms.

    The command line has been parsed by then, so nothing needs them any more.
    """
    # pytest before 9.2 builds a new argparse parser for each parsing, so a late option clashes with nothing.
    argparser = getattr(parser, "optparser", None)
    known = {} if argparser is None else argparser._option_string_actions  # noqa: SLF001
    for short in SHORT_FORMS:
        if long_form(short) in getattr(known.get(short), "option_strings", ()):
            del known[short]


def forget_values(known: argparse.Namespace, args: list[str]) -> None:
    """
    Remove the values of our options from the paths in which pytest looks for initial conftest files.

    pytest parses the command line once before our options are declared, so `m` in `--model m` looks like a path, and
    pytest would not look for conftest files in `testpaths`.

    Args:
        known: The namespace of the early parsing.
        args: The whole command line.
    """
    values = {value for name, value in pairwise(args) if name in SHORT_FORMS or name.startswith(_LONG)}
    known.file_or_dir = [path for path in known.file_or_dir if path not in values or Path(path).exists()]


def refuse_options_without_model(config: pytest.Config, taken: list[str]) -> None:
    """
    Refuse options that only mean something with `--model`.

    Args:
        config: The configuration of a session without `--model`.
        taken: The short forms that another plugin or a conftest.py defines.

    Raises:
        pytest.UsageError: The command line has such an option, or `addopts` has one that promises an evaluation.
    """
    ours = {long_form(short): short for short in SHORT_FORMS if short not in taken}
    typed = [str(arg).partition("=")[0] for arg in config.invocation_params.args]
    useless = [name for name in typed if name in ours.values() or name.startswith(_LONG)]
    useless += [long_form(name) for name in _HARMFUL_WITHOUT_MODEL if getattr(config.option, f"finetune_{name}")]
    bare = [name.removeprefix(_LONG).removeprefix("--") for name in useless]
    shown = [ours.get(_LONG + name, _LONG + name) for name in dict.fromkeys(bare) if name not in _USED_WITHOUT_MODEL]
    if shown:
        needs = "needs a model" if len(shown) == 1 else "need a model"
        model = ours.get("--finetune-model", "--finetune-model")
        raise pytest.UsageError(f"{', '.join(shown)} {needs} to evaluate\n  hint: add {model}=SPEC")


def taken_names(parser: pytest.Parser) -> set[str]:
    """The names of all options that have been declared so far."""
    # pytest has no public API for this.
    groups = {id(group): group for group in [parser._anonymous, *parser._groups]}.values()  # noqa: SLF001
    return {name for group in groups for option in group.options for name in option.names()}
