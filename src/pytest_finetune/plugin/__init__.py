"""What pytest loads in every session: options, a mark, two fixtures. The rest comes in only where a model is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_finetune.plugin.options import add_options

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case, Completion

MARK = "eval_set(path): run this function once a case of an eval set, with the fixtures eval_case and eval_completion"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the command line."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that others may implement."""
    from pytest_finetune.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin a session where a model is named; every fault in its eval sets is told now, before anything is asked."""
    config.addinivalue_line("markers", MARK)
    if config.option.finetune_model and not config.option.help:
        from pytest_finetune.plugin.hooks import begin

        begin(config)
    if config.option.finetune_check and not config.option.help:
        from pytest_finetune.plugin.check import begin as begin_check

        begin_check(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Without a model, a function that wants its answers is one skipped test that says so."""
    marked = metafunc.definition.get_closest_marker("eval_set") and "eval_case" in metafunc.fixturenames
    if marked and not metafunc.config.option.finetune_model:
        skipped = pytest.param(None, marks=pytest.mark.skip(reason="needs --model=SPEC"))
        metafunc.parametrize("eval_case", [skipped], ids=["no-model"], indirect=True)


@pytest.fixture
def eval_case(request: pytest.FixtureRequest) -> Case:
    """The case that a function marked with `eval_set` runs for."""
    from pytest_finetune.plugin.marks import case_of

    return case_of(request)


@pytest.fixture
def eval_completion(request: pytest.FixtureRequest, eval_case: Case) -> Completion:  # noqa: ARG001
    """The model's answer to `eval_case`."""
    from pytest_finetune.plugin.marks import completion_of

    return completion_of(request)
