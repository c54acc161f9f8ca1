"""What pytest loads in every session: options, a mark, two fixtures. All else is imported only with `--model`."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.plugin.names import NAMES, OptionNames, forget_values, takes_case
from pytest_finetune.plugin.options import add_options

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Generator, Sequence

    from pytest_finetune.base.records import Case, Completion

_OUTERMOST = "finetune-outermost"
MARK = "eval_set(path): run this function once per case of an eval set, with the fixtures eval_case and eval_completion"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the command line before it is parsed if a conftest.py loads this plugin: too late for the hook below."""
    if not any(name.endswith("conftest.py") for name, _ in pluginmanager.list_name_plugin()):
        return
    parse = parser.parse

    @wraps(parse)
    def declare_and_parse(args: Sequence[str], namespace: Namespace | None = None) -> Namespace:
        # By now all initial conftest files have been loaded, and no hook of pytest is called between the two.
        parser.parse = parse  # type: ignore[method-assign]
        pluginmanager.register(_Outermost(add_options(parser)), _OUTERMOST)
        return parse(args, namespace)

    parser.parse = declare_and_parse  # type: ignore[method-assign, assignment]


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
        early_config.pluginmanager.register(_Outermost(add_options(parser)), _OUTERMOST)
    if any("model" in arg for arg in args):
        from pytest_finetune.plugin.misspelt_options import refuse_misspelt_options

        refuse_misspelt_options(parser, args)


class _Outermost:
    """Registered after the initial conftest files, so that its wrapper is around theirs."""

    def __init__(self, names: OptionNames) -> None:
        self.names = names

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Other plugins may register more of them in their own `pytest_configure`."""
        config.stash[NAMES] = self.names
        if not config.option.help:
            self.names.release()

    def pytest_report_header(self) -> str | None:
        """List the names that this project uses for something else, and the ones to use instead."""
        taken = self.names.taken
        if not taken:
            return None
        verb = "is" if len(taken) == 1 else "are"
        instead = ", ".join(dict.fromkeys(taken.values()))
        return f"finetune: {', '.join(taken)} {verb} defined by another plugin or a conftest.py; use {instead}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, int | None, int | None]:
        """Promote last, after everything that could make the session fail."""
        if not config.option.pytest_finetune_promote:
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
    """Declare the hooks that others may implement; let nothing load this plugin a second time."""
    for name in ("finetune", __name__):
        # pytest ignores a name that it has, and crashes on a plugin that has another name already.
        if not pluginmanager.has_plugin(name):
            pluginmanager.register(object(), name)
    from pytest_finetune.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Refuse `--looponfail`, with which this process has no session to evaluate in."""
    if config.option.pytest_finetune_model:
        from pytest_finetune.plugin.other_plugins import refuse_looponfail

        refuse_looponfail(config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set up the evaluation if `--model` is given; faults in eval sets are reported before any request is sent."""
    config.addinivalue_line("markers", MARK)
    if config.option.help:
        return
    names = config.stash[NAMES]
    if config.option.pytest_finetune_model or config.option.pytest_finetune_check:
        names.refuse_ini_of_others()
    if config.option.pytest_finetune_model:
        from pytest_finetune.plugin.hooks import begin

        begin(config)
    elif not hasattr(config, "workerinput"):
        names.refuse_without_model(config)
    if config.option.pytest_finetune_check:
        from pytest_finetune.plugin.check import begin as begin_check

        begin_check(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Without a model, a marked function is one skipped test that names the missing option."""
    if takes_case(metafunc) and not metafunc.config.option.pytest_finetune_model:
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
