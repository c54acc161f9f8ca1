"""A session in which nothing, or not everything, was evaluated does not end green, and reports the reason."""

from __future__ import annotations

import pytest

GATE = "[[gates]]\nmin = 0.5\n"


@pytest.mark.parametrize(
    "option",
    [
        "--promote",
        "--baseline=m",
        "--finetune-html=r.html",
        "--resume",
        "--max-cost=1",
        "--finetune-markdown=r.md",
        "--stop-when-decided",
    ],
)
def test_an_option_that_needs_a_model_is_refused_without_one(suite, pytester, option):
    suite(2)
    pytester.makepyfile("def test_own(): pass")
    result = pytester.runpytest_subprocess(option, "-p", "no:randomly")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--model*"])


def test_a_folder_without_eval_sets_says_what_was_looked_for_and_what_to_type(evaluate):
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*eval_sets/*.jsonl*", "*this folder*", "*pytest --model=SPEC path/to/cases.jsonl"])


def test_eval_sets_outside_the_patterns_are_named(suite, evaluate, pytester):
    suite(2).rename(pytester.path / "own.jsonl")
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ignored: own.jsonl", "*pytest --model=SPEC own.jsonl"])


def test_settings_without_their_eval_set_are_a_fault(suite, evaluate):
    path = suite(2, toml=GATE)
    path.with_name("ticket.toml").write_text(GATE)
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ticket.toml*ticket.jsonl*"])


def test_settings_with_a_suffix_in_capitals_are_a_fault(suite, evaluate):
    path = suite(2, toml=GATE)
    path.with_suffix(".toml").rename(path.with_suffix(".TOML"))
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tickets.TOML is not read as the settings*", "*rename it to tickets.toml"])


@pytest.mark.parametrize("named", [(), ("eval_sets/T.JSONL",)])
def test_a_suffix_in_capitals_is_read(suite, evaluate, named):
    path = suite(2, toml=GATE)
    path.rename(path.with_name("T.JSONL"))
    path.with_suffix(".toml").rename(path.with_name("T.toml"))
    evaluate(*named).assert_outcomes(passed=3)


def test_a_toml_file_of_another_tool_is_ignored(suite, evaluate, pytester):
    suite(2).rename(pytester.path / "own.jsonl")
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nfinetune_eval_sets = '*.jsonl'")
    evaluate().assert_outcomes(passed=2)


THEIRS = "def pytest_addoption(parser):\n    parser.addoption('--model')\n    parser.addoption('--resume')\n"


def use_theirs(pytester):
    pytester.makepyfile("def test_own(pytestconfig): assert pytestconfig.getoption('--model') == 'x'")
    result = pytester.runpytest_subprocess("--model=x", "-p", "no:randomly")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["finetune: --model, --resume are defined by *; use --finetune-model, *"])


def test_a_conftest_s_model_option_is_left_to_it(pytester):
    pytester.makeconftest(THEIRS)
    use_theirs(pytester)


@pytest.mark.parametrize("early", [True, False])
def test_another_plugins_model_option_is_left_to_it(pytester, monkeypatch, early):
    pytester.makepyfile(theirs=THEIRS)
    if early:
        monkeypatch.setenv("PYTEST_ADDOPTS", "-p theirs")
    else:
        monkeypatch.setenv("PYTEST_PLUGINS", "theirs")  # loaded after those of installed packages
    use_theirs(pytester)


def test_a_conftest_below_may_have_a_model_option(pytester):
    pytester.mkdir("below").joinpath("conftest.py").write_text(THEIRS)
    pytester.path.joinpath("below/test_own.py").write_text("def test_own(): pass")
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)


def test_the_long_forms_work_where_the_short_ones_belong_to_another(suite, server, pytester):
    suite(2, toml=GATE)
    pytester.makeconftest(THEIRS)
    options = ("--finetune-model=m", f"--model-base-url={server.url}", "--finetune-no-cache", "-p", "no:randomly")
    result = pytester.runpytest_subprocess("--model=x", *options)
    result.assert_outcomes(passed=3)
    refused = pytester.runpytest_subprocess("--finetune-resume", "--model=x", "-p", "no:randomly")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*add --finetune-model=SPEC"])


def test_a_model_after_a_space_hides_no_conftest_in_testpaths(suite, server, pytester):
    suite(2)
    pytester.makeini("[pytest]\ntestpaths = eval_sets own")
    pytester.mkdir("own").joinpath("conftest.py").write_text(
        "def pytest_addoption(parser): parser.addoption('--theirs')"
    )
    options = ("--model", "m", "--model-base-url", server.url, "--finetune-no-cache", "-p", "no:randomly")
    pytester.runpytest_subprocess(*options, "--theirs=x").assert_outcomes(passed=2)


def test_options_for_later_sessions_may_be_in_addopts(pytester):
    pytester.makeini("[pytest]\naddopts = --max-cost=5 --finetune-html=page.html")
    pytester.makepyfile("def test_own(): pass")
    assert pytester.runpytest_subprocess("-p", "no:randomly").ret == 0
    refused = pytester.runpytest_subprocess("-p", "no:randomly", "-o", "addopts=--promote")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR


def test_a_plugin_that_a_conftest_loads_has_its_options(suite, server, pytester, monkeypatch):
    suite(2)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest("pytest_plugins = ['pytest_finetune.plugin']")
    options = ("--model=m", f"--model-base-url={server.url}", "--finetune-no-cache")
    pytester.runpytest_subprocess(*options).assert_outcomes(passed=2)


@pytest.mark.parametrize("first", ["", THEIRS])
def test_a_plugin_that_a_conftest_loads_gives_way_to_every_initial_conftest(
    suite, server, pytester, monkeypatch, first
):
    suite(2)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest("pytest_plugins = ['pytest_finetune.plugin']\n" + first)
    second = "def pytest_addoption(parser): parser.addoption('--repeats')" if first else THEIRS
    pytester.mkdir("own").joinpath("conftest.py").write_text(second)
    options = ("--finetune-model=m", f"--model-base-url={server.url}", "--finetune-no-cache", "--model=x")
    result = pytester.runpytest_subprocess(*options, "eval_sets", "own")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["finetune: --model, * defined by *; use --finetune-model, *"])


def test_each_worker_asking_everything_is_refused(suite, evaluate):
    suite(4, toml=GATE)
    result = evaluate("-n2", "--dist=each", subprocess=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
