"""Names of options, ini values, the mark and its fixture that a project uses for something else are left to it."""

from __future__ import annotations

import pytest

from pytest_finetune.plugin.options import add_options


def parser_with(*options, **named):
    parser = pytest.Parser(_ispytest=True)
    for option in options:
        parser.addoption(option, **named)
    return parser


@pytest.mark.parametrize(
    ("theirs", "instead"),
    [
        (["--model"], {"--model": "--finetune-model"}),
        (["--finetune-model"], {"--finetune-model": "--model"}),
        (
            ["--finetune-model", "--model"],
            {"--model": "--pytest-finetune-model", "--finetune-model": "--pytest-finetune-model"},
        ),
        (["--finetune-html"], {"--finetune-html": "--pytest-finetune-html"}),
        (["--finetune_html", "--finetune-lr", "--html"], {}),
    ],
)
def test_a_taken_name_is_replaced_by_one_that_is_free(theirs, instead):
    parser = parser_with(*theirs, default="theirs")
    assert add_options(parser).taken == instead
    ours = next(iter(instead.values()), "--model")
    value = [f"{ours}=x"] if ours.endswith("model") else [f"{ours}=page.html"]
    values = vars(parser.parse_known_args(value))
    assert {values[name.removeprefix("--").replace("-", "_")] for name in theirs} == {"theirs"}
    assert "x" in (values["pytest_finetune_model"] or [""])[0] or values["pytest_finetune_html"] == "page.html"


def test_another_option_with_the_destination_that_ours_had_before_keeps_its_value():
    parser = parser_with("--tune", dest="finetune_model", default="theirs")
    add_options(parser)
    values = parser.parse_known_args(["--model=m"])
    assert (values.finetune_model, values.pytest_finetune_model) == ("theirs", ["m"])


@pytest.mark.parametrize("last", [{"name": "--pytest-finetune-html"}, {"name": "--x", "dest": "pytest_finetune_html"}])
def test_an_option_without_a_free_name_is_a_usage_error(last):
    parser = parser_with("--finetune-html")
    parser.addoption(last.pop("name"), **last)
    with pytest.raises(pytest.UsageError, match=r"^--finetune-html and --pytest-finetune-html .*\n  hint: rename"):
        add_options(parser)


@pytest.mark.parametrize("early", [True, False])
def test_an_ini_value_of_a_conftest_is_its_own_without_a_model(pytester, early):
    place = pytester.path if early else pytester.mkdir("below")
    place.joinpath("conftest.py").write_text(
        "def pytest_addoption(parser): parser.addini('finetune_api', 'theirs', type='args')"
    )
    place.joinpath("test_own.py").write_text(
        "def test_own(pytestconfig): assert pytestconfig.getini('finetune_api') == ['a', 'b']"
    )
    pytester.makeini("[pytest]\nfinetune_api = a b")
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=1)


@pytest.mark.parametrize("early", [True, False])
def test_an_ini_value_of_a_conftest_is_not_read_as_ours(suite, evaluate, pytester, server, early):
    suite(1)
    place = pytester.path if early else pytester.path / "eval_sets"
    place.joinpath("conftest.py").write_text("def pytest_addoption(parser): parser.addini('finetune_prices', 'theirs')")
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ini finetune_prices: also declared by another plugin or a conftest.py", "*hint: *"])
    assert not server.questions


def test_an_ini_value_that_is_an_alias_of_another_is_left_to_it(pytester):
    parser = pytest.Parser(_ispytest=True)
    parser.addini("theirs", "", aliases=["finetune_api"])
    with pytest.raises(pytest.UsageError, match="ini finetune_api: also declared"):
        add_options(parser).refuse_ini_of_others()


def test_a_conftest_with_all_our_names_leaves_a_session_that_works(pytester, suite, server):
    suite(2, toml="[[gates]]\nmin = 0.5\n")
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--finetune-model", default="theirs")
            parser.addoption("--finetune-no-cache", type=int, default=3)
            parser.addoption("--finetune-lr", type=float)
        """
    )
    pytester.makepyfile(
        """
        def test_own(pytestconfig):
            found = [pytestconfig.getoption(f"--finetune-{name}") for name in ("model", "no-cache", "lr")]
            assert found == ["theirs", 3, 0.5]
        """
    )
    plain = pytester.runpytest_inprocess("-p", "no:randomly", "--finetune-lr=0.5")
    plain.assert_outcomes(passed=1)
    header = "finetune: --finetune-model, --finetune-no-cache are defined by *; use --model, --pytest-finetune-no-cache"
    plain.stdout.fnmatch_lines([header])
    options = ("--finetune-lr=0.5", "--model=m", f"--model-base-url={server.url}", "--pytest-finetune-no-cache")
    asked = pytester.runpytest_inprocess("-p", "no:randomly", *options)
    asked.assert_outcomes(passed=4)
    assert str(asked.stdout).count("are defined by") == 1


def test_a_conftest_below_may_use_our_names(pytester):
    pytester.mkdir("below").joinpath("conftest.py").write_text(
        "def pytest_addoption(parser):\n"
        "    parser.addoption('--finetune-model', default='theirs')\n"
        "    parser.addoption('--model', dest='finetune_promote', default=5)\n"
        "    parser.getgroup('finetune').addoption('--finetune-html', default='page')\n"
    )
    pytester.path.joinpath("below/test_own.py").write_text(
        "def test_own(pytestconfig):\n"
        "    assert [pytestconfig.getoption(name) for name in ('--finetune-model', '--model', '--finetune-html')]"
        " == ['theirs', 5, 'page']"
    )
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=1)


def test_a_plugin_that_is_registered_while_pytest_is_configured_may_use_our_names(pytester):
    pytester.makeconftest(
        """
        class Late:
            def pytest_addoption(self, parser): parser.addoption("--model", default="theirs")

        def pytest_configure(config): config.pluginmanager.register(Late())
        """
    )
    pytester.makepyfile("def test_own(pytestconfig): assert pytestconfig.getoption('--model') == 'theirs'")
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=1)


OTHER_USE = """
import pytest

@pytest.mark.eval_set(3)
def test_fixture(own): assert own == 7

@pytest.mark.eval_set(3)
@pytest.mark.parametrize("eval_case", [1, 2])
def test_parameter(eval_case): assert eval_case in (1, 2)
"""
FIXTURE = """
import pytest

@pytest.fixture
def eval_case(): return 7

@pytest.fixture
def own(eval_case): return eval_case
"""


@pytest.mark.parametrize("with_model", [True, False])
def test_the_mark_with_a_fixture_or_parameter_of_the_project_is_left_to_it(pytester, suite, evaluate, with_model):
    pytester.makeconftest(FIXTURE)
    pytester.makepyfile(OTHER_USE)
    if with_model:
        suite(1)
        evaluate().assert_outcomes(passed=4)
    else:
        pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=3)


@pytest.mark.parametrize("options", [("-p", "pytest_finetune.plugin"), ()])
def test_the_plugin_may_be_named_though_it_is_installed(pytester, options):
    if not options:
        pytester.makeconftest("pytest_plugins = ['pytest_finetune.plugin']")
    pytester.makepyfile("def test_own(pytestconfig): assert not pytestconfig.getoption('--finetune-promote')")
    pytester.runpytest_inprocess("-p", "no:randomly", *options).assert_outcomes(passed=1)
