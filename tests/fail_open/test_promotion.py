"""A version is promoted only by a green session over the whole project, with an unaltered registry."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest

from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

NOW = datetime(2026, 11, 1, tzinfo=UTC)
GATE = "[[gates]]\nmin = 0.9\n"


@pytest.fixture
def registry(pytester):
    """v1 is the echoing model: right on `easy`, wrong on `hard`."""
    backend = FileBackend(pytester.path / "registry.json")
    backend.update(Change("add", "v1", who="test", entry=Entry(model_id="ft:test", created_at=NOW)), now=NOW)
    return backend


@pytest.fixture
def easy(suite):
    return suite(["a", "b", "c"], toml=GATE, name="easy")


@pytest.fixture
def hard(suite):
    return suite(["x", "y", "z"], inputs=["a", "b", "c"], toml=GATE, name="hard")


def status(registry):
    return registry.read().entries["v1"].status.value


def assert_not_promoted(result, registry, reason):
    assert result.ret != 0
    result.stdout.fnmatch_lines([reason])
    assert status(registry) == "candidate"


def test_a_green_session_over_the_whole_project_promotes_and_says_so(easy, evaluate, registry):
    result = evaluate("--promote")
    assert result.ret == 0
    assert result.outlines[-1] == "v1 promoted to production in registry.json"
    assert status(registry) == "production"


@pytest.mark.usefixtures("easy", "hard")
@pytest.mark.parametrize(
    "options",
    [
        ("-o", "finetune_eval_sets=eval_sets/easy.jsonl"),
        ("eval_sets/easy.jsonl",),
        ("-c", "other.ini"),
        ("--deselect=eval_sets/hard.jsonl",),
        ("-k", "not hard"),
    ],
    ids=" ".join,
)
def test_a_narrowed_session_promotes_nothing(pytester, evaluate, registry, options):
    (pytester.path / "other.ini").write_text("[pytest]\nfinetune_eval_sets = eval_sets/easy.jsonl\n", "utf-8")
    assert_not_promoted(evaluate("--promote", *options), registry, "*eval_sets/hard.jsonl*")


@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize("options", [(), ("--rootdir=.",), ("-c", "pytest.ini")], ids=" ".join)
def test_a_session_in_a_sub_folder_promotes_nothing(
    pytester, evaluate, registry, easy, hard, monkeypatch, options, configured
):
    """Even if the sub-folder has its own configuration: the registry belongs to the project above."""
    corner = pytester.path / "corner"
    (corner / "eval_sets").mkdir(parents=True)
    (corner / "pytest.ini").write_text("[pytest]\n", "utf-8")
    if configured:
        pytester.makeini("[pytest]\n")
    for file in (easy, easy.with_suffix(".toml")):
        (corner / "eval_sets" / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(corner)
    result = evaluate("--promote", "--finetune-registry=../registry.json", *options)
    assert_not_promoted(result, registry, "*hard.jsonl*not evaluated in this run*")


def test_a_link_to_the_registry_is_the_registry(pytester, evaluate, registry, easy, hard, monkeypatch):
    corner = pytester.mkdir("corner")
    (corner / "registry.json").symlink_to(pytester.path / "registry.json")
    (corner / "pytest.ini").write_text("[pytest]\nfinetune_eval_sets = *.jsonl\n", "utf-8")
    for file in (easy, easy.with_suffix(".toml")):
        (corner / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(corner)
    assert_not_promoted(evaluate("--promote"), registry, "*hard.jsonl*not evaluated in this run*")


@pytest.mark.usefixtures("easy")
@pytest.mark.parametrize(
    "conftest",
    [
        "def pytest_sessionfinish(session): session.exitstatus = 3",
        """
        import pytest
        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_sessionfinish(session):
            yield
            session.exitstatus = 3
        """,
        """
        import pytest
        def pytest_sessionfinish(session):
            pytest.exit("too little covered", returncode=3)
        """,
        """
        SESSION = []
        def pytest_sessionstart(session): SESSION.append(session)
        def pytest_unconfigure(config): SESSION[0].exitstatus = 3
        """,
        """
        import pytest
        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_cmdline_main(config):
            yield
            return 3
        """,
    ],
    ids=["sessionfinish", "outermost-wrapper", "exit", "unconfigure", "command-line"],
)
def test_a_session_that_turns_red_at_its_end_promotes_nothing(pytester, evaluate, registry, conftest):
    pytester.makeconftest(conftest)
    result = evaluate("--promote")
    assert_not_promoted(result, registry, "v1 was not promoted: the session ended with exit status 3")
    assert result.ret == 3


@pytest.mark.usefixtures("easy", "hard", "registry")
@pytest.mark.parametrize("change", ["session.exitstatus = 0", "session.exitstatus = session.testsfailed = 0"])
def test_a_refused_promotion_is_never_exit_status_0(pytester, evaluate, change):
    pytester.makeconftest(f"def pytest_sessionfinish(session): {change}")
    result = evaluate("--promote")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*not promoted:*"])


@pytest.mark.usefixtures("easy")
def test_a_plugin_that_a_conftest_loads_promotes_last_too(pytester, evaluate, registry, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    conftest = """
        import pytest
        pytest_plugins = ["pytest_finetune.plugin"]
        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_cmdline_main(config):
            yield
            return {}
    """
    pytester.makeconftest(conftest.format(3))
    result = evaluate("--promote")
    assert_not_promoted(result, registry, "v1 was not promoted: the session ended with exit status 3")
    pytester.makeconftest(conftest.format(0))
    assert evaluate("--promote").ret == 0
    assert status(registry) == "production"


@pytest.mark.usefixtures("easy")
@pytest.mark.parametrize(
    "hook",
    [
        "pytest_terminal_summary(): raise RuntimeError('too late')",
        "pytest_unconfigure(): raise RuntimeError('too late')",
        "pytest_sessionfinish(): raise RuntimeError('too late')",
        "pytest_configure(config): config.add_cleanup(fail)\ndef fail(): raise RuntimeError('too late')",
    ],
)
def test_a_session_that_ends_with_an_exception_promotes_nothing(pytester, evaluate, registry, hook):
    pytester.makeconftest(f"def {hook}")
    result = evaluate("--promote", subprocess=True)
    assert_not_promoted(result, registry, "v1 was not promoted: the session ended with RuntimeError: too late")


@pytest.mark.usefixtures("easy")
def test_coverage_below_its_bar_promotes_nothing(pytester, evaluate, registry):
    """As with pytest-cov: one more failure is reported after all tests have run."""
    pytester.makeconftest(
        """
        import pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_runtestloop(session):
            result = yield
            session.testsfailed += 1
            return result
        """
    )
    assert_not_promoted(evaluate("--promote"), registry, "v1 was not promoted: the session ended with exit status 1")


@pytest.mark.usefixtures("easy")
def test_a_registry_that_changed_since_the_assessment_promotes_nothing(pytester, evaluate, registry):
    pytester.makeconftest(
        """
        from datetime import UTC, datetime
        from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend
        def pytest_sessionfinish():
            entry = Entry(model_id="other", created_at=datetime.now(UTC))
            FileBackend("registry.json").update(Change("add", "v2", who="test", entry=entry))
        """
    )
    result = evaluate("--promote")
    assert_not_promoted(result, registry, "v1 was not promoted: *changed meanwhile*")


@pytest.mark.usefixtures("easy")
@pytest.mark.parametrize("options", [(), ("--promote",)])
def test_an_altered_registry_names_no_model(pytester, evaluate, server, registry, options):
    registry.update(Change("promote", "v1", who="test", why="first", forced=True), now=NOW)
    document = json.loads(registry.path.read_bytes())
    document["entries"]["v1"]["model_id"] = "ft:swapped"
    registry.path.write_text(json.dumps(document), "utf-8")
    result = evaluate(*options, model="registry:production")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*registry.json: does not agree with its history: *", "*registry verify*"])
    assert not server.requests


def test_a_promotion_bypasses_the_response_cache(easy, evaluate, registry, server):
    """On the user's own server, the same model id does not prove that the weights are unchanged."""
    assert evaluate(cache=True).ret == 0
    server.answer = lambda body: "wrong"
    result = evaluate("--promote", cache=True)
    assert len(server.questions) == 6
    assert_not_promoted(result, registry, "*promote*")


def test_a_run_with_cached_answers_is_not_evidence(easy, evaluate, registry, server, pytester):
    for _ in range(2):
        assert evaluate(cache=True).ret == 0
    assert len(server.questions) == 3
    command = [
        sys.executable,
        "-c",
        "from pytest_finetune.cli import main; main()",
        "registry",
        "promote",
        "v1",
        "--run",
        "last",
    ]
    result = pytester.run(*command)
    assert result.ret != 0
    assert "3 answers came from the cache" in result.stdout.str() + result.stderr.str()
    assert status(registry) == "candidate"


@pytest.mark.parametrize("part", [("-k", "case-1"), ("--finetune-limit=1",)])
def test_a_part_of_a_set_without_gates_is_reported_as_a_part(suite, evaluate, pytester, part):
    suite(3)
    result = evaluate(*part, "--finetune-markdown=comment.md", "--finetune-html=page.html")
    assert result.ret == 0
    words = "not ship yet: 1 of 3 cases passed, 2 not run (all must pass)"
    assert f"ft:test does {words}" in result.outlines
    assert words in pytester.path.joinpath("comment.md").read_text("utf-8")
    assert words in pytester.path.joinpath("page.html").read_text("utf-8")


def test_a_part_of_a_set_without_gates_promotes_nothing(suite, evaluate, registry):
    suite(3)
    result = evaluate("-k", "case-1", "--promote")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["- the run is open*", "- *incomplete: 2 of 3 samples were not run"])
    assert status(registry) == "candidate"
