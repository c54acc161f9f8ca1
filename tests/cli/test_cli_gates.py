from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.verdicts.stats.power import drop_chances, rate_chances

GOOD = "[[gates]]\nmin = 0.9\n"
USELESS = "[[gates]]\nmin = 0.0\n"
UNTRIED = '[[gates]]\nmetric = "latency_p95"\nmax = 1.0\n'


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write an eval set of two cases below the working directory."""
    monkeypatch.chdir(tmp_path)

    def _write(toml, name="eval_sets/capitals.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text('{"input": "France?", "expected": "Paris"}\n{"input": "Italy?", "expected": "Rome"}\n', "utf-8")
        path.with_suffix(".toml").write_text(toml, "utf-8")

    return _write


def run(*arguments):
    return CliRunner().invoke(main, ["gates", "check", *arguments])


@pytest.mark.parametrize(
    ("toml", "code", "message"),
    [
        (GOOD, 0, "1 gate tested, 0 not testable here, 0 findings"),
        (GOOD + USELESS, 1, "2 gates tested, 0 not testable here, 1 finding"),
        ("[[gates]]\nmax = 0.5\n", 1, "FINDING: does not pass a perfect run"),
        (GOOD + UNTRIED, 0, "1 gate tested, 1 not testable here, 0 findings"),
        (UNTRIED, 2, "not testable here: needs timing"),
        ("", 0, "no gates: every miss is a failure"),
        ("[[gates]]\nmim = 0.9\n", 2, "did you mean 'min'"),
    ],
)
def test_the_exit_code_reports_useless_gates(write, toml, code, message):
    write(toml)
    result = run()
    assert (result.exit_code, message in result.output) == (code, True), result.output


def test_one_useless_gate_among_many_sets_is_reported(write):
    write(GOOD)
    write(USELESS, "eval_sets/other.jsonl")
    assert run().exit_code == 1
    assert run("eval_sets/capitals.jsonl").exit_code == 0


def test_with_json_nothing_else_is_printed(write):
    write(GOOD + USELESS)
    result = run("--json")
    values = json.loads(result.output)
    assert (result.exit_code, values["findings"]) == (1, 1)
    assert [gate["gate"] for gate in values["eval_sets"][0]["gates"]] == ["accuracy>=0.9", "accuracy>=0"]


def test_a_set_named_twice_is_checked_once(write):
    write(GOOD)
    assert run("eval_sets", "eval_sets/capitals.jsonl").output.count("capitals.jsonl") == 1


@pytest.mark.parametrize("named", ["nowhere", "empty", "notes.txt"])
def test_a_folder_without_eval_sets_is_an_error(write, tmp_path, named):
    write(GOOD)
    (tmp_path / "empty").mkdir()
    result = run("eval_sets", named)
    assert result.exit_code == 2
    assert f"{named}: no eval set there" in result.output


def test_the_default_is_the_folder_eval_sets(write):
    write(GOOD, "elsewhere/eval_sets/capitals.jsonl")
    assert "eval_sets: no eval set there" in run().output
    assert run("elsewhere").exit_code == 0


@pytest.mark.parametrize("missing", ["nope.jsonl", "folder/nope.jsonl"])
def test_a_file_that_does_not_exist_is_named_without_a_line(tmp_path, monkeypatch, missing):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["gates", "check", missing])
    assert result.exit_code == 2
    assert f"{missing}: cannot be read: No such file" in result.output


PLANNED = """[[gates]]
min = 0.95
confidence = 0.95
[[gates]]
min = 0.9
where = {tag = "odd"}
[[gates]]
max_drop = 0.02
against = "production"
confidence = 0.95
[[gates]]
max_flips = 3
against = "production"
[[gates]]
metric = "error_rate"
max = 0.05
confidence = 0.95
[[gates]]
metric = "macro_f1"
min = 0.8
confidence = 0.95
[[gates]]
metric = "latency_p95"
max = 2
[[gates]]
must_pass = ["odd"]
"""


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """An eval set of 200 labels with gates of every kind; a function that plans it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eval_sets").mkdir()
    rows = [
        {"input": f"text {n}", "expected": ("bug", "praise")[n % 2], "tags": ["odd"] if n % 4 else []}
        for n in range(200)
    ]
    (tmp_path / "eval_sets" / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    settings = f'scorer = "label"\nlabels = ["bug", "praise"]\n{PLANNED}'
    (tmp_path / "eval_sets" / "t.toml").write_text(settings, "utf-8")
    return lambda *arguments: CliRunner().invoke(main, ["gates", "plan", *arguments])


def test_a_plan_shows_for_each_gate_what_it_will_probably_say(planned):
    output = planned("--expect", "0.97").output
    assert "eval_sets/t.jsonl: 200 cases" in output
    assert "     0.970    15 %       85 %   < 1 %  ===................." in output
    assert "at most 2.5 % of models at the bar would pass" in output
    assert "851 cases to pass with a power of 80 %: 200 are planned" in output
    assert "with 200 cases, a model with accuracy 0.988 or more passes" in output
    assert "2,000 cases to pass with a power of 80 %" in output
    assert "about 2.5 % of models whose accuracy is lower by 0.02 would pass" in output
    assert "the value alone decides" in output
    assert "no forecast: how latency_p95 varies is not known before a run" in output
    assert "all 7 gates together: pass in" in output


def test_a_plan_in_json_has_the_chances_of_each_gate_and_of_all_together(planned):
    (plan,) = json.loads(planned("--json", "--expect", "0.97", "--expect", "error_rate=0", "--power", "0.9").output)[
        "eval_sets"
    ]
    gates = {gate["gate"]: gate for gate in plan["gates"]}
    accuracy, errors = gates["accuracy>=0.95"], gates["error_rate<=0.05"]
    assert (accuracy["truth"], accuracy["cases_needed"], accuracy["n"]) == (0.97, 1106, 200)
    assert accuracy["passes"] + accuracy["undecided"] + accuracy["fails"] == pytest.approx(1)
    assert (errors["truth"], errors["passes"], errors["cases_needed"]) == (0, 1, 72)
    assert gates["must_pass=odd"]["passes"] == pytest.approx(0.97**150)
    assert 0 < gates["macro_f1>=0.8"]["passes"] <= 1
    assert 20 < gates["macro_f1>=0.8"]["cases_needed"] < 200
    together = plan["together"]
    assert together["all_pass_at_least"] <= together["all_pass"] <= together["all_pass_at_most"]


def test_a_plan_of_weighted_f1_is_that_of_macro_f1_where_labels_weigh_the_same(planned):
    path = Path("eval_sets/t.toml")
    text = path.read_text("utf-8")
    macro, weighted = ({}, {})
    for found, metric in ((macro, "macro_f1"), (weighted, "weighted_f1")):
        path.write_text(text.replace("macro_f1", metric), "utf-8")
        gates = json.loads(planned("--json", "--expect", "0.9").output)["eval_sets"][0]["gates"]
        found.update(next(gate for gate in gates if gate["gate"].startswith(metric)))
    assert (weighted["passes"], weighted["n"]) == (pytest.approx(macro["passes"], abs=0.05), 200)


def test_a_plan_of_recall_counts_the_cases_of_the_label(planned):
    Path("eval_sets/t.toml").write_text(
        'scorer = "label"\nlabels = ["bug", "praise"]\n'
        + "".join(
            f'[[gates]]\nmetric = "recall"\nlabel = "{label}"\nmin = 0.9\nconfidence = 0.95\n' for label in ("bug", "*")
        )
        + "[[gates]]\nmin = 0.9\nconfidence = 0.95\n",
        "utf-8",
    )
    gates = json.loads(planned("--json", "--expect", "0.97").output)["eval_sets"][0]["gates"]
    one, every, all_cases = gates
    assert (one["n"], every["n"], all_cases["n"]) == (100, 200, 200)
    assert one["passes"] == pytest.approx(rate_chances(100, 0.9, 0.97, confidence=0.95).passes)
    assert every["passes"] == pytest.approx(one["passes"] ** 2)
    # Both labels have to show it, so that each needs a power above 80 %; half of the cases are of either.
    assert every["cases_needed"] > 2 * one["cases_needed"]
    assert one["cases_needed"] == all_cases["cases_needed"]
    text = planned("--expect", "0.97").output
    assert "recall>=0.9,label=bug, n=100" in text
    assert "nothing passes" not in text


FAMILY = "".join(
    '[[gates]]\nmax_drop = 0.05\nagainst = "production"\nconfidence = 0.95\n'
    f'family = "{{0}}"\nwhere = {{{{ part = "{part}" }}}}\n'
    for part in "ab"
)


def test_a_plan_of_a_family_has_the_chances_at_the_shared_level(planned):
    path = Path("eval_sets/t.jsonl")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    lines = (json.dumps(row | {"metadata": {"part": "ab"[at // 100]}}) + "\n" for at, row in enumerate(rows))
    path.write_text("".join(lines), "utf-8")
    settings = 'scorer = "label"\nlabels = ["bug", "praise"]\n'
    first = '[[gates]]\nmax_drop = 0.05\nagainst = "production"\nconfidence = 0.95\nfamily = "hierarchy"\n'
    alone = drop_chances(100, 0.05, 0.0, 0.05, confidence=0.95).passes
    half = drop_chances(100, 0.05, 0.0, 0.05, confidence=0.975).passes
    whole = drop_chances(200, 0.05, 0.0, 0.05, confidence=0.95).passes
    # Both pass if both do alone and one of them at half the level.
    both = 2 * half * alone - half**2
    for gates, reached in ((FAMILY.format("holm"), 1), (first + FAMILY.format("hierarchy"), whole)):
        Path("eval_sets/t.toml").write_text(settings + gates, "utf-8")
        (plan,) = json.loads(planned("--json", "--discordance", "0.05").output)["eval_sets"]
        *_, a, b = plan["gates"]
        assert a["passes"] == pytest.approx((half + half * alone - half**2) * reached, abs=0.04)
        assert a["passes"] == pytest.approx(b["passes"], abs=0.04)
        assert plan["together"]["all_pass"] == pytest.approx(both * reached, abs=0.04)
        assert "2 gates share this level (Holm)" in planned("--discordance", "0.05").output


def test_a_plan_of_pairs_depends_on_how_often_the_models_differ(planned):
    def needed(*arguments):
        (plan,) = json.loads(planned("--json", *arguments).output)["eval_sets"]
        return next(gate["cases_needed"] for gate in plan["gates"] if gate["gate"].startswith("accuracy_drop"))

    assert needed("--discordance", "0.05") < needed() < needed("--drop", "0.01")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expect", "acuracy=0.9"], "did you mean 'accuracy'"),
        (["--expect", "high"], "'high' is not a number"),
        (["--expect", "97"], "97 is not in [0, 1]"),
        (["--power", "0.4"], "0.4 is not in the range"),
        (["--runs", "a", "b"], "no run 'a'"),
        (["--runs", "a", "b", "--discordance", "0.1"], "exclude each other"),
    ],
)
def test_an_assumption_that_cannot_be_read_is_an_error(planned, arguments, message):
    result = planned(*arguments)
    assert result.exit_code == 2
    assert message in result.output
