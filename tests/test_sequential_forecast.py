"""`gates plan` of sequential gates: the chances and the mean number of cases, beside those of the same gate at once."""

import json
from random import Random

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.verdicts.gates.sequential_forecast import (
    drop_expected,
    enough_cases,
    largest_drop,
    rate_expected,
    smallest_rate,
)
from pytest_finetune.verdicts.stats.pair_looks import PairCounts, PairDesign
from pytest_finetune.verdicts.stats.rate_looks import RateDesign


@pytest.mark.slow
@pytest.mark.parametrize("method", ["obrien-fleming", "pocock", "e-process"])
def test_the_chances_of_a_drop_are_those_of_drawn_runs(method):
    design, drop, discordance, runs = PairDesign(method, 200, 0.05, 0.95), -0.02, 0.1, 200
    draws, passed, cases = Random(3), 0, 0
    for _ in range(runs):
        worse = better = done = 0
        for look, n in enumerate(design.sizes):
            for draw in (draws.random() for _ in range(n - done)):
                worse, better = worse + (draw < 0.04), better + (0.04 <= draw < 0.1)
            done = n
            if signal := design.signal(look, PairCounts(worse, better, n)):
                passed += signal > 0
                break
        cases += done
    found = drop_expected(design, drop, discordance)
    # Three standard errors of the draws, and the normal approximation for 200 cases.
    assert found.chances.passes == pytest.approx(passed / runs, abs=0.12)
    assert found.cases == pytest.approx(cases / runs, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["obrien-fleming", "pocock", "e-process"])
def test_the_smallest_rate_and_the_cases_reach_the_power(method):
    design = RateDesign(method, 300, 0.9, 0.95)
    smallest = smallest_rate(design, 0.8)
    assert smallest is not None
    assert (
        rate_expected(design, smallest).chances.passes >= 0.8 > rate_expected(design, smallest - 0.005).chances.passes
    )

    def passes(chosen, planned):
        return rate_expected(RateDesign(chosen, planned, 0.9, 0.95), 0.95).chances.passes

    needed = enough_cases(method, 240, passes, 0.8)
    assert needed is not None
    assert passes(method, needed) >= 0.8
    assert enough_cases(method, None, passes, 0.8) is None


def test_the_largest_drop_reaches_the_power():
    design = PairDesign("pocock", 500, 0.05, 0.95)
    largest = largest_drop(design, 0.1, 0.8)
    assert largest is not None
    assert drop_expected(design, largest, 0.1).chances.passes >= 0.8
    assert drop_expected(design, largest + 0.002, 0.1).chances.passes < 0.8


@pytest.mark.slow
def test_the_plan_shows_the_calls_beside_the_design_without_looks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "eval_sets"
    folder.mkdir()
    rows = [{"id": f"c{n}", "input": f"q{n}", "expected": f"a{n}"} for n in range(500)]
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    gate = '[[gates]]\nmin = 0.95\nconfidence = 0.95\nsequential = "obrien-fleming"\n'
    (folder / "t.toml").write_text(gate)
    shown = CliRunner().invoke(main, ["gates", "plan", "--expect", "0.98"])
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "stops after 372 of 500 cases on average, 26 % fewer; if all are asked: passes in 95 %" in text
    (values,) = json.loads(CliRunner().invoke(main, ["gates", "plan", "--json", "--expect", "0.99"]).output)[
        "eval_sets"
    ]
    assert values["gates"][0]["sequential"] == "obrien-fleming"
    assert values["gates"][0]["expected_cases"] == pytest.approx(295.1, abs=0.12)
    (folder / "t.toml").write_text(gate + "[[gates]]\nmin = 0.5\n")
    checked = CliRunner().invoke(main, ["gates", "check"])
    assert "accuracy>=0.95, confidence 0.95, sequential obrien-fleming" in checked.output
    from pytest_finetune.verdicts.loading import load_eval_sets

    (eval_set,) = load_eval_sets([folder / "t.jsonl"], root=tmp_path)
    assert eval_set.warnings == (
        "gate accuracy>=0.95 is sequential, but no case is saved: accuracy>=0.5 needs all of them",
    )
