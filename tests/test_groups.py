"""Cases in groups: what they are worth, and what gates, plans and warnings make of it."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from sample_plans import case, labelled, rules, run_of, sample, table

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.cli import main
from pytest_finetune.verdicts.gates import Baseline, Decider, Status, judge
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.stats import paired_interval, rate_interval
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
    for gate, early in (({"min": 0.5, "confidence": 0.95}, False), ({"min": 0.5}, True)):
        decider = Decider(rules(gate), table(in_fives(100), ()))
        for one in run_of(99):
            decider.add(one)
        assert (decider.verdicts() is not None) is early


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
