"""Under xdist: a stop is reported once and is not a crash; if a worker dies, no case is lost or reported twice."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

import pytest
from scripted_server import error

from pytest_finetune.evaluation.runs import RunStore

GATE = "[[gates]]\nmin = 0.5\n"

# Each named case kills its worker once, at one moment.
KILLS_ONCE = """
import os, pathlib, signal

is_worker = False

def pytest_configure(config):
    global is_worker
    # Not by the environment: where this suite itself runs under xdist, it marks the inner controller as well.
    is_worker = hasattr(config, "workerinput")

def kill(nodeid, *cases):
    case = nodeid.rpartition("::")[2]
    mark = pathlib.Path(__file__).with_name(f"{case}.killed")
    if case in cases and is_worker and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)

def pytest_runtest_setup(item):
    kill(item.nodeid, "case-3")

def pytest_runtest_teardown(item):
    kill(item.nodeid, "case-11")

def pytest_runtest_logfinish(nodeid):
    kill(nodeid, "case-17")
"""

ALWAYS_KILLS = """
import os, signal

def pytest_runtest_setup(item):
    if item.nodeid.endswith("case-3"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def junit_cases(pytester):
    return list(ET.parse(pytester.path / "junit.xml").iter("testcase"))


def last_run(pytester):
    return RunStore(pytester.path / ".finetune" / "runs").find("last")


@pytest.mark.parametrize("dist", ["load", "loadscope", "loadfile", "loadgroup", "worksteal"])
def test_a_case_whose_worker_died_runs_again_and_is_reported_once(suite, evaluate, pytester, dist):
    suite(20, toml=GATE)
    pytester.makeconftest(KILLS_ONCE)
    options = ("-n2", f"--dist={dist}", "--junitxml=junit.xml", "--html=report.html", "--self-contained-html")
    result = evaluate(*options, subprocess=True)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*21 passed*rerun*"])
    names = Counter(case.get("name") for case in junit_cases(pytester))
    assert names == Counter([*(f"case-{number}" for number in range(20)), "gate[accuracy>=0.5]"])
    assert all(case.find("properties") is not None for case in junit_cases(pytester))
    run = last_run(pytester)
    assert run.manifest.closed
    assert len(run.samples()) == 20


@pytest.mark.parametrize("dist", ["load", "loadscope"])
def test_a_case_that_kills_every_worker_fails_once(suite, evaluate, pytester, dist):
    suite(6)
    pytester.makeconftest(ALWAYS_KILLS)
    result = evaluate("-n1", f"--dist={dist}", "--max-worker-restart=3", "--junitxml=junit.xml", subprocess=True)
    assert result.ret not in (0, pytest.ExitCode.INTERNAL_ERROR)
    cases = {case.get("name"): [child.tag for child in case] for case in junit_cases(pytester)}
    assert len(cases) == len(junit_cases(pytester))
    assert cases["case-3"] == ["error"]
    assert "1 failed" in result.stdout.str()


@pytest.mark.parametrize("toml", [None, GATE], ids=["without gates", "with a gate"])
def test_cases_without_a_worker_do_not_pass(suite, evaluate, pytester, toml):
    suite(6, toml=toml)
    pytester.makeconftest(ALWAYS_KILLS)
    result = evaluate("-n1", "--max-worker-restart=0", subprocess=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*cases were not reported: 1 worker died*"])


STOPS = {
    "a refused key": (lambda body: error(401, "no such key"), (), "*401*"),
    "a spent quota": (lambda body: error(429, "You exceeded your quota", code="insufficient_quota"), (), "*quota*"),
}


@pytest.mark.parametrize("dist", ["load", "loadscope", "worksteal"])
@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_ends_all_workers_with_the_one_reason(suite, evaluate, server, stop, dist):
    suite(200, toml=GATE)
    answer, options, reason = STOPS[stop]
    server.latency = 0.02

    def answers_first(body):
        return answer(body) if len(server.questions) > 40 else body["messages"][-1]["content"]

    server.answer = answers_first
    result = evaluate("-n3", f"--dist={dist}", "--concurrency=6", *options, subprocess=True)
    output = result.stdout.str() + result.stderr.str()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "crashed" not in output
    assert "replacing" not in output
    result.stdout.fnmatch_lines(["*incomplete*", f"*Interrupted: {reason}"])
    assert len(server.questions) < 70
