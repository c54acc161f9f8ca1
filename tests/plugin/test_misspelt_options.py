"""An option that pytest does not know, and that was meant for this plugin, is named with the one that was meant."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--base-url=http://127.0.0.1:1/v1", "--finetune-base-url"),
        ("--repeat=3", "--repeats"),
        ("--html-report=x.html", "--finetune-html"),
        ("--limit=3", "--finetune-limit"),
        ("--concurency=3", "--concurrency"),
        ("--finetune-htlm=x", "--finetune-html"),
        ("--maxcost=3", "--max-cost"),
    ],
)
def test_the_option_that_was_meant_is_named(suite, evaluate, server, typed, meant):
    suite(1)
    result = evaluate(typed)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = typed.partition("=")[0]
    result.stderr.fnmatch_lines([f"*{name}: no such option; did you mean {meant}[?]*"])
    assert not server.questions


@pytest.mark.parametrize("typed", ["--cov=src", "--something-else", "--numprocesses-x"])
def test_options_that_resemble_none_of_ours_are_left_to_pytest(suite, evaluate, typed):
    suite(1)
    result = evaluate(typed)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*unrecognized arguments: {typed}*"])


def test_without_a_model_pytest_reports_unknown_options_itself(pytester):
    result = pytester.runpytest("--base-url=x")
    result.stderr.fnmatch_lines(["*unrecognized arguments: --base-url=x*"])


def test_an_option_of_a_conftest_is_not_misspelt(suite, evaluate, pytester):
    pytester.makeconftest("def pytest_addoption(parser): parser.addoption('--base-url')")
    suite(1)
    assert evaluate("--base-url=x").ret == 0


@pytest.mark.parametrize("name", ["--finetune-base-url", "--model-base-url", "--finetune-model-base-url"])
def test_every_spelling_of_the_base_url_names_the_server(pytester, suite, server, name):
    suite(1)
    options = ("--model=ft:test", f"{name}={server.url}", "--finetune-no-cache", "-p", "no:randomly")
    assert pytester.runpytest_inprocess(*options).ret == 0
    assert len(server.questions) == 1


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("--repeats=0", "'0' is not a whole number of at least 1"),
        ("--concurrency=many", "'many' is not a whole number of at least 1"),
        ("--finetune-deadline=-1", "'-1' is not a number of at least 0.001"),
        ("--max-cost=free", "'free' is not a positive amount of US dollars, such as 2.50"),
    ],
)
def test_a_wrong_value_of_an_option_is_named_with_what_is_expected(suite, evaluate, option, wrong):
    suite(1)
    result = evaluate(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{option.partition('=')[0]}*: {wrong}"])
