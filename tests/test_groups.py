"""Cases in groups: what they are worth, and what gates, plans and warnings make of it."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from itertools import product
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from recorded_runs import Recorder, plan
from sample_plans import case, labelled, rules, run_of, sample, table

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.base.records import Completion
from pytest_finetune.cli import main
from pytest_finetune.lifecycle.training.recorded_evidence import answers_of
from pytest_finetune.verdicts.gates import Baseline, Decider, Status, judge
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.metrics.confidence import accuracy_at_coverage, calibration_error
from pytest_finetune.verdicts.stats import group_mcnemar, mcnemar, paired_interval, rate_interval
from pytest_finetune.verdicts.stats.groups import effective_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case

ROOT = Path(__file__).parents[1]
FIVES = [number // 5 for number in range(500)]


def in_fives(count: int) -> list[Case]:
    return [replace(case(number), group=f"t{number // 5}") for number in range(count)]


def test_cases_of_their_own_are_worth_their_number() -> None:
    assert effective_size([0.0, 1.0, 1.0], ["a", "b", "c"]) == 3


def test_groups_without_a_difference_count_as_one_case_each() -> None:
    assert effective_size([1.0] * 500, FIVES) == 100
    assert effective_size([1.0, 0.0], ["a", "a"]) == 1
    # Kish: one group of 8 and two cases of their own.
    assert effective_size([1.0] * 10, ["a"] * 8 + ["b", "c"]) == pytest.approx(100 / 66)


def test_groups_that_are_right_or_wrong_as_a_whole_are_worth_little_more_than_their_number() -> None:
    values = [float(group % 10 > 0) for group in FIVES]
    assert 90 < effective_size(values, FIVES) < 105


def test_cases_that_do_not_resemble_their_group_are_worth_nearly_all_of_their_number() -> None:
    values = [float(number % 3 > 0) for number in range(500)]
    assert 450 < effective_size(values, FIVES) <= 500


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("groups")


def rows_of_the_page() -> list[list[str]]:
    page = (ROOT / "docs" / "verdicts.md").read_text("utf-8")
    lines = page.split("### Cases in groups, a model at the bar\n\n")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.slow
def test_a_model_at_the_bar_passes_as_seldom_as_the_page_says(simulation: Any) -> None:
    rng, runs = np.random.default_rng(5), 300
    rows = {tuple(row[:3]): [float(cell.split()[0]) / 100 for cell in row[3:]] for row in rows_of_the_page()}
    assert len(rows) == len(simulation.DESIGNS)
    for design in simulation.DESIGNS[1:4]:
        groups, size, likeness, bar = design
        stated = rows[f"{groups} x {size}", f"{likeness}", f"{bar}"]
        for share, promised in zip(simulation.passed(rng, runs, design), stated, strict=True):
            assert share == pytest.approx(promised, abs=4 * (max(promised, 0.005) / runs) ** 0.5)
    assert all(own <= 0.03 for *_, own in rows.values())


def test_a_gate_counts_independent_cases_and_says_so() -> None:
    samples = run_of(485, 15)
    (rule,) = rules({"min": 0.9, "confidence": 0.95})
    alone = judge([rule], table([case(number) for number in range(500)], samples))[0]
    found = judge([rule], table(in_fives(500), samples))[0]
    worth = effective_size([1.0] * 485 + [0.0] * 15, FIVES)
    assert found.interval == rate_interval(0.97 * worth, worth)
    assert found.interval.low < alone.interval.low  # type: ignore[union-attr]
    assert f"(500 cases in 100 groups count as {worth:.0f})" in found.message
    assert "groups" not in alone.message
    assert (found.n, found.value) == (500, 0.97)


def test_more_cases_are_more_cases_of_the_groups() -> None:
    (rule,) = rules({"min": 0.95, "confidence": 0.95})
    needed = []
    for planned in ([case(number) for number in range(500)], in_fives(500)):
        found = judge([rule], table(planned, run_of(482, 18)))[0]
        assert found.status is Status.INCONCLUSIVE
        needed.append(500 + int(found.message.split("about ")[1].split(" more")[0].replace(",", "")))
    effect = 500 / effective_size([1.0] * 482 + [0.0] * 18, FIVES)
    assert needed[1] / needed[0] == pytest.approx(effect, rel=0.05)


def test_a_drop_counts_independent_differences() -> None:
    (rule,) = rules({"max_drop": 0.05, "against": "production", "confidence": 0.95})
    baseline = Baseline("production", "today", 1, run_of(500))
    found = judge([rule], table(in_fives(500), run_of(490, 10)), baseline)[0]
    worth = effective_size([0.0] * 490 + [1.0] * 10, FIVES)
    assert found.interval == paired_interval(10 * worth / 500, 0, worth)
    assert f"(500 cases in 100 groups count as {worth:.0f})" in found.message


def test_the_interval_of_macro_f1_becomes_longer_with_groups() -> None:
    (rule,) = rules({"metric": "macro_f1", "min": 0.5, "confidence": 0.95})
    samples = [labelled(number, "bug", "bug" if number > 5 else "other") for number in range(50)]
    alone, found = (
        judge([rule], table(planned, samples))[0].interval
        for planned in ([case(number) for number in range(50)], in_fives(50))
    )
    assert alone
    assert found
    assert found.low < alone.low < alone.high <= found.high


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1", "ece", "accuracy_at_coverage"])
def test_every_interval_counts_independent_cases_at_the_level_that_was_asked_for(metric: str) -> None:
    """100 cases in 20 groups, in which mistakes are partly together."""
    wrong = (0, 1, 2, 3, 11, 27, 51)
    expected = ["bug" if number < 20 else "other" for number in range(100)]
    planned = [replace(one, expected=(label,)) for one, label in zip(in_fives(100), expected, strict=True)]
    samples = []
    for number in range(100):
        answered = labelled(number, expected[number], "neither" if number in wrong else expected[number])
        assert answered.completion
        completion = replace(answered.completion, logprobs=(("bug", log(0.8)),))
        samples.append(replace(answered, completion=completion))
    summary = table(planned, samples).summary
    worth = effective_size([float(number not in wrong) for number in range(100)], FIVES[:100], confidence=0.6)
    share = worth / 100
    assert 0.2 < share < 0.9
    assert summary.labels
    intervals = {
        "accuracy": rate_interval(0.93 * worth, worth, confidence=0.6),
        "macro_f1": summary.labels.f1_interval(0.6, times=share),
        "weighted_f1": summary.labels.f1_interval(0.6, times=share, weighted=True),
        "ece": calibration_error(summary.rows, confidence=0.6, independent=share).interval,
        "accuracy_at_coverage": rate_interval(0.93 * worth, worth, confidence=0.6),
    }
    found = summary.value(metric, confidence=0.6).interval
    assert found
    interval = intervals[metric]
    assert interval
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    alone = table([replace(one, group="") for one in planned], samples).summary
    assert found != alone.value(metric, confidence=0.6).interval
    assert summary.size_of_groups(metric, confidence=0.6) == pytest.approx(1 / share)


def test_confidence_metrics_count_what_a_case_in_a_group_is_worth() -> None:
    samples = [sample(number, "passed" if number < 15 else "missed") for number in range(20)]
    certain = Completion("bug", logprobs=(("bug", log(0.5)),))
    rows = table(in_fives(20), [replace(one, completion=certain) for one in samples]).rows
    likely = rate_interval(7.5, 10, confidence=0.9)
    assert accuracy_at_coverage(rows, 1.0, confidence=0.9, independent=0.5).interval == likely
    interval = calibration_error(rows, confidence=0.9, independent=0.5).interval
    assert interval
    assert interval.low == pytest.approx(max(0.0, likely.low - 0.5))
    assert interval.high == pytest.approx(likely.high - 0.5)


def test_the_interval_of_a_latency_counts_groups() -> None:
    (rule,) = rules({"metric": "latency_p50", "max": 2.0, "confidence": 0.95})
    samples = [sample(number, latency=1 + number / 100) for number in range(50)]
    alone, found = (
        judge([rule], table(planned, samples))[0] for planned in ([case(number) for number in range(50)], in_fives(50))
    )
    assert alone.interval
    assert found.interval
    assert found.interval.low < alone.interval.low < alone.interval.high < found.interval.high
    assert "(50 cases in 10 groups count as 10)" in found.message


def test_a_set_with_groups_and_a_confidence_is_not_decided_early() -> None:
    sure, plain = {"min": 0.5, "confidence": 0.95}, {"min": 0.4}
    for gates, early in (([sure], False), ([plain], True), ([sure, plain], False)):
        decider = Decider(rules(*gates), table(in_fives(100), ()))
        for one in run_of(99):
            decider.add(one)
        assert (decider.verdicts() is not None) is early


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_test_of_groups_of_one_case_is_mcnemars(lost: int, won: int) -> None:
    assert group_mcnemar([1] * lost + [-1] * won + [0]) == pytest.approx(mcnemar(lost, won), rel=1e-12)


@given(st.lists(st.integers(-4, 4), max_size=9))
def test_the_test_of_groups_counts_every_assignment_of_signs(sums: list[int]) -> None:
    totals = [
        sum(sign * size for sign, size in zip(signs, sums, strict=True)) for signs in product((1, -1), repeat=len(sums))
    ]
    extreme = sum(abs(total) >= abs(sum(sums)) for total in totals)
    assert group_mcnemar(sums) == pytest.approx(extreme / len(totals))


def test_two_equally_good_models_differ_seldom_by_the_test_of_groups_and_often_by_mcnemars() -> None:
    # 40 groups of five cases that are all alike; 30 % of the groups flip, to either side equally often.
    rng, runs = np.random.default_rng(3), 2000
    signs = rng.choice([-5, 0, 5], size=(runs, 40), p=[0.15, 0.7, 0.15])
    by_group = np.mean([group_mcnemar(row.tolist()) < 0.05 for row in signs])
    by_case = np.mean([mcnemar(int(row[row > 0].sum()), int(-row[row < 0].sum())) < 0.05 for row in signs])
    assert by_group <= 0.05
    assert by_case > 0.3


def test_false_alarms_of_both_tests_are_those_of_the_page(simulation: Any) -> None:
    rng, runs = np.random.default_rng(7), 400
    page = (ROOT / "docs" / "verdicts.md").read_text("utf-8")
    lines = page.split("### Two equally good models, cases in groups\n\n")[1].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len(rows) == len(simulation.PAIRS)
    for row, design in zip(rows, simulation.PAIRS, strict=True):
        assert row[:2] == [f"{design[0]} x {design[1]}", f"{design[2]}"]
        stated = [float(cell.split()[0]) / 100 for cell in row[3:]]
        for share, promised in zip(simulation.alarms(rng, runs, design), stated, strict=True):
            assert share == pytest.approx(promised, abs=4 * (promised / runs) ** 0.5)
        assert stated[1] <= 0.055


@pytest.fixture
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Two recorded runs over ten groups of four cases, with the copies of the set that a session keeps."""
    monkeypatch.chdir(tmp_path)
    record = Recorder(tmp_path, monkeypatch)

    def _record(before: str, after: str, *, group: bool = True) -> list[Any]:
        path = tmp_path / "eval_sets" / "tickets.jsonl"
        path.parent.mkdir(exist_ok=True)
        for number in range(40):
            line = {"id": f"case-{number:02}", "input": f"asked {number}", "expected": "bug"}
            if group:
                line["group"] = f"t{number // 4}"
            with path.open("a" if number else "w", encoding="utf-8") as lines:
                lines.write(json.dumps(line) + "\n")
        (eval_set,) = load_eval_sets([path], root=tmp_path)
        found = []
        for letters in (before, after):
            run = record(letters, plans=[plan(cases=40, cases_sha256=eval_set.cases_sha256)])
            copy = run.path / "eval_sets" / "eval_sets" / "tickets.jsonl"
            copy.parent.mkdir(parents=True)
            copy.write_bytes(path.read_bytes())
            found.append(run)
        return found

    return _record


def test_a_comparison_of_two_runs_counts_groups_and_says_so(two_runs: Callable[..., list[Any]]) -> None:
    reports = {}
    for group in (True, False):
        a, b = two_runs("p" * 40, "m" * 8 + "p" * 32, group=group)
        result = CliRunner().invoke(main, ["runs", "compare", a.id, b.id])
        (found,) = json.loads(CliRunner().invoke(main, ["runs", "compare", a.id, b.id, "--json"]).stdout)["eval_sets"]
        reports[group] = (result, found)
    (grouped, figures), (alone, plain) = reports[True], reports[False]
    # Two whole groups of four were lost: of four assignments of signs, two are as extreme.
    assert (figures["p_value"], plain["p_value"]) == (0.5, mcnemar(8, 0))
    assert (grouped.exit_code, alone.exit_code) == (0, 1)
    assert "sign-flip test of groups p = 0.500 (40 cases in 10 groups count as " in " ".join(grouped.stdout.split())
    assert "McNemar p = 0.008" in " ".join(alone.stdout.split())
    assert figures["interval"]["low"] < plain["interval"]["low"]
    assert (figures["groups"], plain["groups"]) == (10, None)
    assert figures["independent_cases"] < 40 == plain["independent_cases"]


def test_a_diagnosis_counts_groups_and_says_so(two_runs: Callable[..., list[Any]]) -> None:
    run, _ = two_runs("m" * 8 + "p" * 32, "p" * 40)
    found = answers_of(run, run.manifest.eval_sets[0]).accuracy
    worth = effective_size([0.0] * 8 + [1.0] * 32, [number // 4 for number in range(40)])
    assert found.interval == rate_interval(0.8 * worth, worth)
    assert str(found).endswith(f"; in groups, they count as {worth:.0f})")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.chdir(tmp_path)

    def _write(toml: str = "", *, group: Any = "own", count: int = 100) -> Path:
        path = tmp_path / "set.jsonl"
        lines = []
        for number in range(count):
            line: dict[str, Any] = {"input": f"word {chr(97 + number // 5) * 9} {number}", "expected": "yes"}
            if group != "none":
                line["group"] = f"t{number // 5}" if group == "own" else group
            lines.append(json.dumps(line) + "\n")
        path.write_text("".join(lines), "utf-8")
        path.with_suffix(".toml").write_text(toml, "utf-8")
        return path

    return _write


def test_a_group_is_read_from_the_line_and_is_part_of_the_cases_hash(write: Callable[..., Path]) -> None:
    hashes = []
    for group, first in (("own", "t0"), (7, "7"), ("none", ""), (None, "")):
        (eval_set,) = load_eval_sets([write(group=group)], root=Path.cwd())
        assert eval_set.cases[0].group == first
        hashes.append(eval_set.cases_sha256)
    assert len(set(hashes)) == 3
    assert hashes[2] == hashes[3]


@pytest.mark.parametrize("group", [True, 1.5, ["a"], "", "  "])
def test_a_group_that_is_no_text_is_an_error(write: Callable[..., Path], group: Any) -> None:
    with pytest.raises(EvalSetErrors, match="group is not a text or a whole number"):
        load_eval_sets([write(group=group)], root=Path.cwd())


def test_too_few_groups_for_a_gate_are_an_error(write: Callable[..., Path]) -> None:
    path = write("[[gates]]\nmin = 0.9\nconfidence = 0.95\n")
    with pytest.raises(EvalSetErrors, match=r"20 groups of cases cannot show accuracy >= 0\.9"):
        load_eval_sets([path], root=Path.cwd())


def test_a_plan_counts_with_the_likeness_within_groups(write: Callable[..., Path]) -> None:
    path = write("[[gates]]\nmin = 0.7\nconfidence = 0.95\n")
    found = {}
    for likeness in ("0", "0.5", "1"):
        result = CliRunner().invoke(main, ["gates", "plan", str(path), "--json", "--likeness", likeness])
        (plan,) = json.loads(result.stdout)["eval_sets"]
        found[likeness] = plan["gates"][0]
    assert [found[key]["independent"] for key in found] == [100, 33, 20]
    assert found["0"]["passes"] > found["0.5"]["passes"] > found["1"]["passes"]
    assert found["1"]["cases_needed"] == 5 * found["0"]["cases_needed"]
    assert "n=100 in groups, counting as 33" in CliRunner().invoke(main, ["gates", "plan", str(path)]).stdout


@pytest.mark.parametrize("command", ["check", "plan"])
def test_near_copies_without_a_group_are_warned_of(write: Callable[..., Path], command: str) -> None:
    gate = "[[gates]]\nmin = 0.7\n"
    loose = CliRunner().invoke(main, ["gates", command, str(write(gate, group="none"))])
    assert "100 of 100 cases are near copies of each other without a common group" in loose.stderr
    assert "near copies" not in CliRunner().invoke(main, ["gates", command, str(write(gate))]).stderr


def test_equal_requests_in_a_common_group_are_not_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    for group in ({"group": "a"}, {}):
        rows = [{"id": f"c{n}", "input": "the same", "expected": "yes"} | group for n in range(12)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        (eval_set,) = load_eval_sets([path], root=tmp_path)
        warned = any('count them as independent: add a common "group"' in text for text in eval_set.warnings)
        assert warned is not bool(group)
