"""Other plugins and pytest's own options: each works, or is refused by name with the reason, before any request."""

from __future__ import annotations

import os

import pytest

GATE = "[[gates]]\nmin = 0.5\n"

OPTIONS = """
def pytest_addoption(parser):
    parser.addoption("--splits", type=int)
    parser.addoption("--num-shards", dest="num_shards", type=int, default=1)
    parser.addoption("--test-group-count", dest="test-group-count", type=int)
    parser.addoption("--workers")
    parser.addoption("--tests-per-worker")
"""
"""As pytest-split, pytest-shard, pytest-test-groups and pytest-parallel declare them."""

FORKED = """
import marshal, os, pytest
from _pytest.runner import runtestprotocol

def pytest_addoption(parser):
    parser.addoption("--forked", action="store_true")

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    if item.config.getoption("forked"):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in in_a_fork(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

def in_a_fork(item):
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writing, marshal.dumps([sent(report) for report in runtestprotocol(item, log=False)]))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as received:
        data = received.read()
    os.wait()
    return [pytest.TestReport(nodeid=item.nodeid, **report) for report in marshal.loads(data)]

def sent(report):
    # pytest 9.2 has made the id an object, which pytest-forked 1.7.5 cannot send.
    plain = {name: value for name, value in vars(report).items() if name not in ("_id", "nodeid")}
    return plain | {"longrepr": plain["longrepr"] and str(plain["longrepr"])}
"""
"""What pytest-forked does."""

RETRIES = """
import pytest
from pytest import CallInfo

@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if call.when != "call" or not report.failed:
        return
    other = pytest.Class.from_parent(item.session, name="Other")
    CallInfo.from_call(lambda: item.ihook.pytest_runtest_teardown(item=item, nextitem=other), when="teardown")
    report.outcome = "retried"
    item.ihook.pytest_runtest_logreport(report=report)
    item._initrequest()
    CallInfo.from_call(lambda: item.ihook.pytest_runtest_setup(item=item), when="setup")
    again = CallInfo.from_call(lambda: item.ihook.pytest_runtest_call(item=item), when="call")
    report.outcome = pytest.TestReport.from_item_and_call(item, again).outcome

def pytest_report_teststatus(report):
    if report.outcome == "retried":
        return "retried", "R", "RETRY"
"""
"""What pytest-retry does with one retry."""


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--splits=2", "*--splits (pytest-split) does not work with --model: a gate judges all cases*"),
        ("--num-shards=2", "*--num-shards (pytest-shard) does not work*"),
        ("--test-group-count=2", "*--test-group-count (pytest-test-groups) does not work*"),
        ("--workers=2", "*(pytest-parallel) does not work*forks*"),
        ("--tests-per-worker=2", "*(pytest-parallel) does not work*forks*"),
        ("--setup-plan", "*--setup-plan does not work with --model: no case is evaluated*"),
        ("--setup-only", "*--setup-only does not work with --model: no case is evaluated*"),
        ("--looponfail", "*--looponfail does not work with --model*"),
    ],
)
def test_what_cannot_work_is_refused_by_name_before_any_request(suite, evaluate, server, pytester, option, named):
    suite(4, toml=GATE)
    pytester.makeconftest(OPTIONS)
    result = evaluate(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([named, "*hint: *"])
    assert not server.questions


@pytest.mark.parametrize("option", ["--splits=2", "--num-shards=2", "--test-group-count=2"])
def test_cases_without_gates_may_be_split(suite, evaluate, pytester, option):
    suite(4)
    pytester.makeconftest(OPTIONS)
    assert evaluate(option).ret == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="pytest-forked needs fork")
@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["one process", "xdist"])
def test_tests_that_run_in_forks_get_their_answers(suite, evaluate, pytester, options):
    suite(3, inputs=["word-0", "wrong", "word-2"], toml=GATE)
    pytester.makeconftest(FORKED)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.eval_set("tickets.jsonl")
        def test_echo(eval_case, eval_completion):
            assert eval_completion.text == eval_case.messages[-1].content
        """
    )
    # Python 3.12 and later warn of any fork in a process with threads.
    result = evaluate("--forked", "-W", "ignore:This process:DeprecationWarning", *options, subprocess=True)
    assert result.ret == 0
    # Two cases, the gate, and three tests of the user's own.
    result.stdout.fnmatch_lines(["*6 passed, 1 missed*"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_without_an_answer_do_not_pass(suite, evaluate, server, pytester):
    suite(2)
    # No answer is there before its fork.
    server.latency = 0.5
    # An unknown plugin whose option has another name.
    pytester.makeconftest(FORKED.replace('"--forked"', '"--isolated"').replace('"forked"', '"isolated"'))
    result = evaluate("--isolated", subprocess=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*2 cases got no answer*"])


def test_a_retried_miss_is_still_one_failure(suite, evaluate, server, pytester):
    suite(3, inputs=["word-0", "wrong", "word-2"])
    pytester.makeconftest(RETRIES)
    result = evaluate()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 failed, 2 passed, 1 retried*"])
    assert len(server.questions) == 3


@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["one process", "xdist"])
@pytest.mark.parametrize(
    ("ini", "named"),
    [
        ("norecursedirs = eval_sets", "*excluded by: norecursedirs = eval_sets*"),
        ("addopts = --ignore=eval_sets", "*excluded by: --ignore*"),
    ],
)
def test_eval_sets_that_pytest_does_not_collect_are_named_with_the_cause(
    suite, evaluate, server, pytester, options, ini, named
):
    suite(2, toml=GATE)
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = evaluate(*options, subprocess=bool(options))
    assert result.ret not in (0, pytest.ExitCode.INTERNAL_ERROR)
    output = result.stdout if options else result.stderr
    output.fnmatch_lines(["*pytest does not collect these eval sets*: eval_sets/tickets.jsonl*", named])
    assert not server.questions


@pytest.mark.parametrize(
    "options",
    [
        ("-p", "no:terminal"),
        ("-p", "no:junitxml"),
        ("-p", "no:cacheprovider"),
        ("-p", "no:logging"),
        ("--sw",),
        ("--ff",),
        ("--lf",),
        ("--deselect=eval_sets/tickets.jsonl::case-3",),
    ],
    ids=" ".join,
)
def test_sessions_without_a_part_of_pytest_still_fail_on_a_gate(suite, evaluate, options):
    suite(4, inputs=["wrong"] * 4, toml=GATE)
    assert evaluate(*options).ret == pytest.ExitCode.TESTS_FAILED
