"""`--finetune-limit`: a first look at a few cases, which is no evidence."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import Case
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.plugin.limit import sample_of

GATE = "[[gates]]\nmin = 0.5\n"


def cases(**counts):
    return [
        Case(f"{label}-{n}", n, (), expected=(label,), tags=("rare",) if label == "c" else ())
        for label, count in counts.items()
        for n in range(count)
    ]


@pytest.fixture
def store(pytester):
    return RunStore(pytester.path / ".finetune/runs")


def test_labels_are_as_frequent_in_the_sample_as_among_all_cases():
    chosen = sample_of(cases(a=600, b=300, c=100), 20)
    assert Counter(name[0] for name in chosen) == {"a": 12, "b": 6, "c": 2}


def test_the_sample_does_not_depend_on_the_order_of_the_cases():
    found = cases(a=30, b=20)
    assert sample_of(found, 7) == sample_of(reversed(found), 7)
    assert sample_of(found, 7) < sample_of(found, 30)


@pytest.mark.parametrize("size", [1, 5, 50])
def test_the_sample_has_the_size_or_all_cases(size):
    assert len(sample_of(cases(a=3, b=2), size)) == min(size, 5)


def test_only_the_sample_is_requested_and_the_gates_stay_open(suite, evaluate, server):
    suite(40, toml=GATE)
    result = evaluate("--finetune-limit=6")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(server.questions) == 6
    result.stdout.fnmatch_lines(["*incomplete: 34 of 40 samples were not run*", "*6 passed, 34 deselected*"])


def test_each_set_has_its_own_sample_and_the_users_tests_all_run(suite, evaluate, server, pytester):
    suite(10, name="one")
    suite(3, name="two")
    pytester.makepyfile("def test_mine(): pass")
    evaluate("--finetune-limit=4").assert_outcomes(passed=4 + 3 + 1, deselected=6)
    assert len(server.questions) == 7


def test_workers_choose_the_same_sample(suite, evaluate, server):
    suite(30)
    result = evaluate("--finetune-limit=5", "-n2")
    assert result.ret == 0
    assert len(server.questions) == 5


def test_a_first_look_is_not_the_last_run_until_it_is_completed(suite, evaluate, server, store):
    suite(8, toml=GATE)
    evaluate("--finetune-limit=3")
    with pytest.raises(RunError, match="no run yet"):
        store.find("last")
    assert evaluate("--resume").ret == 0
    assert len(server.questions) == 8
    assert store.find("last").manifest.closed
    assert not store.find("last").manifest.limited


def test_a_first_look_promotes_nothing(suite, evaluate, server):
    suite(3, toml=GATE)
    result = evaluate("--finetune-limit=3", "--promote")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--finetune-limit is a first look, which is no evidence*"])
    assert not server.questions


@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_a_limit_that_is_no_number_of_cases_is_refused(suite, evaluate, value):
    suite(2)
    assert evaluate(f"--finetune-limit={value}").ret == pytest.ExitCode.USAGE_ERROR


def test_the_hint_to_resume_a_first_look_names_the_whole_run(suite, evaluate):
    suite(4, toml=GATE)
    result = evaluate("--finetune-limit=2")
    result.stdout.fnmatch_lines(["*evaluate all cases with --resume instead of --finetune-limit*"])


def test_a_selection_of_no_case_says_so_and_the_hint_on_a_limit_fits_the_terminal(suite, evaluate, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    suite(40, toml=GATE)
    nothing = evaluate("-k", "no-such-case", "-q")
    nothing.stdout.fnmatch_lines(["no case was requested: -k, -m or the names on the command line select none"])
    limited = evaluate("--finetune-limit=4", "-q")
    limited.stdout.fnmatch_lines(["  evaluate all cases with --resume instead of --finetune-limit; only missing"])
    limited.stdout.no_fnmatch_line("no case was requested*")
