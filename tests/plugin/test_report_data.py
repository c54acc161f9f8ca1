"""What a test report carries stays an object within a process and is plain JSON between processes."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from pytest_finetune.base.records import Completion, Failure, Sample, Score, State, Usage
from pytest_finetune.plugin.report_data import CarriedSamples

SAMPLES = (
    Sample(
        "s.jsonl", "a", 0, State.PASSED, Completion("é", usage=Usage(3, 1)), Score(passed=True), cost=Decimal("0.1")
    ),
    Sample("s.jsonl", "a", 1, State.ERROR, failure=Failure("server", "HTTP 500", 500)),
)


@pytest.mark.parametrize("stopped", [None, Failure("quota", "no money left", fatal=True)])
def test_carried_samples_survive_json(stopped):
    carried = CarriedSamples("ft:test", SAMPLES, stopped)
    assert CarriedSamples.from_data(json.loads(json.dumps(carried.to_data()))) == carried


def test_a_report_is_json_when_it_leaves_a_worker_and_an_object_when_it_arrives(suite, pytester, server):
    suite(1)
    pytester.makeconftest(
        """
        import json, pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_logreport(report):
            if hasattr(config, "workerinput") and report.when == "call":
                hook = config.hook
                data = json.dumps(hook.pytest_report_to_serializable(config=config, report=report))
                again = hook.pytest_report_from_serializable(config=config, data=json.loads(data))
                same = again.finetune == report.finetune
                report.sections.append(("equal", f"{same} {type(report.finetune).__name__}"))
            elif report.when == "call":
                print(dict(report.sections))

        def pytest_configure(config):
            globals()["config"] = config
        """
    )
    options = ("--model=ft:test", f"--model-base-url={server.url}", "-s", "-n1", "-p", "no:randomly")
    result = pytester.runpytest_subprocess(*options)
    result.stdout.fnmatch_lines(["*'equal': 'True CarriedSamples'*"])


def test_the_report_of_a_gate_is_json_when_it_leaves_the_process(suite, pytester, server):
    suite(1, toml='scorer = "exact"\n[[gates]]\nmin = 0.5\n')
    pytester.makeconftest(
        """
        import json

        def pytest_runtest_logreport(report):
            if report.when == "call" and "::gate[" in report.nodeid:
                data = config.hook.pytest_report_to_serializable(config=config, report=report)
                print("gate:", json.loads(json.dumps(data))["finetune_verdict"]["gate"])

        def pytest_configure(config):
            globals()["config"] = config
        """
    )
    result = pytester.runpytest_inprocess("--model=ft:test", f"--model-base-url={server.url}", "-s", "-p", "no:xdist")
    result.stdout.fnmatch_lines(["*gate: accuracy>=0.5"])
