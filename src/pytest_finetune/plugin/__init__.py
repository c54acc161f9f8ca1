"""What pytest loads in every session: options, a mark, two fixtures. All else is imported only with `--model`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_finetune.plugin.options import add_options
from pytest_finetune.plugin.short_forms import (
    forget_values,
    long_form,
    refuse_options_without_model,
    release_short_forms,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_finetune.base.records import Case, Completion

MARK = "eval_set(path): run this function once per case of an eval set, with the fixtures eval_case and eval_completion"

_TAKEN = pytest.StashKey[list[str]]()
"""The short forms of our options that another plugin or a conftest.py defines."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the command line now if a conftest.py loads this plugin, which is too late for the hook below."""
    if any(name.endswith("conftest.py") for name, _ in pluginmanager.list_name_plugin()):
        add_options(parser)
        pluginmanager.register(_Outermost(), "finetune-outermost")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, None, None]:
    """Declare the command line after the initial conftest files have declared theirs."""
    forget_values(early_config.known_args_namespace, args)
    try:
        yield
    finally:
        # --help works even where a conftest.py does not.
        early_config.stash[_TAKEN] = add_options(parser)
        early_config.pluginmanager.register(_Outermost(), "finetune-outermost")
    if any("model" in arg for arg in args):
        from pytest_finetune.plugin.misspelt_options import refuse_misspelt_options

        refuse_misspelt_options(parser, args)


class _Outermost:
    """Registered after the initial conftest files, so that its wrapper is around theirs."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, int | None, int | None]:
        """Promote last, after everything that could make the session fail."""
        if not config.option.finetune_promote:
            return (yield)
        from pytest_finetune.plugin.promotion import PROMOTION

        try:
            status = yield
        except BaseException as error:
            if promotion := config.stash.get(PROMOTION, None):
                promotion.refuse(error)
            raise
        promotion = config.stash.get(PROMOTION, None)
        return promotion.finish(status or 0) if promotion else status


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that others may implement."""
    from pytest_finetune.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Refuse `--looponfail`, with which this process has no session to evaluate in."""
    if config.option.finetune_model:
        from pytest_finetune.plugin.other_plugins import refuse_looponfail

        refuse_looponfail(config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set up the evaluation if `--model` is given; faults in eval sets are reported before any request is sent."""
    config.addinivalue_line("markers", MARK)
    if config.option.help:
        return
    release_short_forms(config._parser)  # noqa: SLF001 - no hook at this time is given the parser
    if config.option.finetune_model:
        from pytest_finetune.plugin.hooks import begin

        begin(config)
    elif not hasattr(config, "workerinput"):
        refuse_options_without_model(config, config.stash.get(_TAKEN, []))
    if config.option.finetune_check:
        from pytest_finetune.plugin.check import begin as begin_check

        begin_check(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    """List the short options that this project uses for something else, and the long ones to use instead."""
    taken = config.stash.get(_TAKEN, [])
    if not taken:
        return None
    verb = "is" if len(taken) == 1 else "are"
    instead = ", ".join(long_form(short) for short in taken)
    return f"finetune: {', '.join(taken)} {verb} defined by another plugin or a conftest.py; use {instead}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Without a model, a marked function is one skipped test that names the missing option."""
    marked = metafunc.definition.get_closest_marker("eval_set") and "eval_case" in metafunc.fixturenames
    if marked and not metafunc.config.option.finetune_model:
        skipped = pytest.param(None, marks=pytest.mark.skip(reason="needs --model=SPEC"))
        metafunc.parametrize("eval_case", [skipped], ids=["no-model"], indirect=True)


@pytest.fixture
def eval_case(request: pytest.FixtureRequest) -> Case:
    """The case that a function marked with `eval_set` runs for."""
    from pytest_finetune.plugin.marked_functions import case_of

    return case_of(request)


@pytest.fixture
def eval_completion(request: pytest.FixtureRequest, eval_case: Case) -> Completion:  # noqa: ARG001
    """The model's answer to `eval_case`."""
    from pytest_finetune.plugin.marked_functions import completion_of

    return completion_of(request)
