"""A session that ends early reports only the requested samples and marks the figures as incomplete."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

# Each session is a process of its own: a Ctrl-C inside this one would end the tests.
pytestmark = pytest.mark.slow

GATE = "[[gates]]\nmin = 0.5\n"
LABELS = 'scorer = "label"\nlabels = ["bug", "other"]\n'


@pytest.fixture
def interrupted(pytester, evaluate, server):
    """Run a session that is interrupted after this many answers, one request at a time."""

    def run(answers, *options):
        (pytester.path / "conftest.py").write_text(
            "import os, signal\ndone = []\n"
            "def pytest_runtest_logreport(report):\n"
            "    if report.when == 'call':\n        done.append(report)\n"
            f"        if len(done) == {answers}:\n            os.kill(os.getpid(), signal.SIGINT)\n",
            "utf-8",
        )
        server.latency = 0.02
        return evaluate("--concurrency=1", *options, subprocess=True)

    return run


def requested(result):
    """The number of requested samples that the table of sets states."""
    found = re.search(r"(\d\.\d{3}) of (\d+) requested", result.stdout.str())
    assert found, result.stdout.str()
    return float(found[1]), int(found[2])


def test_the_table_states_the_share_of_the_requested_cases(suite, interrupted):
    suite(["x", *["right"] * 39], inputs=["y", *["right"] * 39], toml=GATE)
    result = interrupted(8)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    rate, count = requested(result)
    assert 8 <= count < 40
    assert rate == pytest.approx((count - 1) / count, abs=5e-4)
    assert "[" not in next(line for line in result.outlines if "requested" in line)
    result.stdout.fnmatch_lines(["ft:test does not ship yet: *1 incomplete"])


def test_details_cover_the_requested_cases_only(suite, interrupted):
    suite(["bug"] * 20 + ["other"] * 20, toml=LABELS + GATE, tags=["all"])
    output = interrupted(5, "-v").stdout.str()
    assert "(no answer)" not in output
    assert re.search(r"macro F1 1\.000 of \d+ requested", output)
    assert re.search(r"tag=all +1\.000 of \d+ requested", output)


def test_nothing_requested_is_a_dash(suite, evaluate):
    suite(3, toml=GATE, name="a")
    suite(3, toml=GATE, name="b")
    result = evaluate("-k", "a.jsonl", "eval_sets")
    line = next(line for line in result.outlines if line.startswith("b.jsonl"))
    assert line.split()[1] == "-"


def test_the_page_and_the_summary_show_no_interval(suite, interrupted, pytester):
    suite(["bug"] * 20 + ["other"] * 20, toml=LABELS + GATE)
    _, count = requested(interrupted(5, "--finetune-html=page.html", "--finetune-markdown=summary.md"))
    page = (pytester.path / "page.html").read_text("utf-8")
    assert f"of {count} requested" in page
    assert "(no answer)" not in page.split("<script")[0]
    assert f"accuracy 1.000 of {count} requested" in (pytester.path / "summary.md").read_text("utf-8")


def test_junit_names_the_share_of_the_requested_samples(suite, interrupted, pytester):
    suite(["right"] * 40, toml=GATE)
    interrupted(5, "--junitxml=junit.xml")
    tree = ET.parse(pytester.path / "junit.xml")
    found = {one.get("name"): one.get("value") for one in tree.iter("property")}
    assert found["finetune.accuracy_of_requested[eval_sets/tickets.jsonl]"] == "1"
    assert "finetune.accuracy[eval_sets/tickets.jsonl]" not in found
    assert "finetune.accuracy_low[eval_sets/tickets.jsonl]" not in found


def test_an_interrupted_run_is_not_compared_with_a_baseline(suite, evaluate, interrupted):
    suite(["right"] * 40, toml=GATE)
    evaluate(model="ft:other")
    result = interrupted(5, "--baseline=replay:last")
    output = re.sub(r"\s+", " ", result.stdout.str())
    assert "not compared with replay:last" in output
    assert "answers of this run are missing" in output


def test_a_resumed_run_has_its_interval_again(suite, evaluate, interrupted, pytester, server):
    suite(["right"] * 20, toml=GATE)
    interrupted(5)
    (pytester.path / "conftest.py").unlink()
    result = evaluate("--resume")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["tickets.jsonl*1.000 [[]0.832, 1.000]*"])
