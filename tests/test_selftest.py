from __future__ import annotations

import json

import pytest

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates import Status, judge
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.selftest import DamageKind, check_gates, gap_warnings
from pytest_finetune.verdicts.selftest.damage import plant
from pytest_finetune.verdicts.selftest.perfect import perfect_run
from pytest_finetune.verdicts.selftest.report import _percent, report_lines, report_values
from pytest_finetune.verdicts.selftest.trial import Trial

LABELS = 'scorer = "label"\nlabels = ["bug", "feature", "question"]\n'
WORDS = ("bug", "feature", "question")
SCHEMA = {
    "type": "object",
    "required": ["city"],
    "properties": {"city": {"type": "string"}, "age": {"type": "integer"}},
    "additionalProperties": False,
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a set of cases, each an expected text or a whole line, with its settings, and load it."""
    monkeypatch.chdir(tmp_path)

    def _load(cases, toml="", schema=None):
        lines = [case if isinstance(case, dict) else {"expected": case} for case in cases]
        numbered = [
            {"id": f"c{number}", **({} if "messages" in line else {"input": f"question {number}"}), **line}
            for number, line in enumerate(lines)
        ]
        (tmp_path / "set.jsonl").write_text("".join(json.dumps(line) + "\n" for line in numbered), "utf-8")
        (tmp_path / "set.toml").write_text(toml, "utf-8")
        if schema is not None:
            (tmp_path / "answer.schema.json").write_text(json.dumps(schema), "utf-8")
        return load_eval_sets([tmp_path / "set.jsonl"], root=tmp_path)[0]

    return _load


def gate(rule, metric="accuracy"):
    return f'[[gates]]\nmetric = "{metric}"\n{rule}\n'


def outcomes(check, index=0):
    """The number of damaged cases that trip a gate, by kind of damage."""
    return {trip.kind: trip.damaged for trip in check.gates[index].trips}


def planted(eval_set):
    return {damage.kind: damage for damage in plant(eval_set, perfect_run(eval_set))}


def answers(eval_set, kind):
    """The planted answers, by case id."""
    return {name: sample.completion for name, sample in planted(eval_set)[kind].samples.items()}


def test_a_gate_trips_at_the_first_count_that_misses_its_bar(load):
    eval_set = load([WORDS[number % 3] for number in range(20)], LABELS + gate("min = 0.9"))
    unusual = dict.fromkeys([DamageKind.EXTRA_KEY, DamageKind.WRONG_TYPE, DamageKind.NO_FIELDS]) | {DamageKind.ERROR: 1}
    assert outcomes(check_gates(eval_set)) == dict.fromkeys(DamageKind, 3) | unusual


def test_the_verdict_at_the_first_failure_is_reported(load):
    eval_set = load([WORDS[number % 3] for number in range(40)], LABELS + gate("min = 0.8\nconfidence = 0.95"))
    trips = {trip.kind: trip for trip in check_gates(eval_set).gates[0].trips}
    assert trips[DamageKind.EMPTY].status is Status.INCONCLUSIVE
    assert trips[DamageKind.ERROR].status is Status.INCOMPLETE


def test_errors_stop_a_gate_beyond_max_errors_counted_in_attempts(load):
    toml = f"max_errors = 5\n{LABELS}{gate('min = 0.1')}[stability]\nrepeats = 2\n"
    check = check_gates(load([WORDS[number % 3] for number in range(10)], toml))
    assert outcomes(check)[DamageKind.ERROR] == 3


def test_only_cases_of_the_slice_are_damaged(load):
    lines = [{"expected": WORDS[number % 3], "tags": ["critical"] if number < 4 else []} for number in range(12)]
    toml = LABELS + gate('min = 1.0\nwhere = { tag = "critical" }') + '[[gates]]\nmust_pass = ["critical"]\n'
    check = check_gates(load(lines, toml))
    assert [(each.n, outcomes(check, index)[DamageKind.WRONG_LABEL]) for index, each in enumerate(check.gates)] == [
        (4, 1),
        (4, 1),
    ]


def test_a_wrong_label_is_not_a_format_failure(load):
    check = check_gates(load([WORDS[number % 3] for number in range(9)], LABELS + gate("min = 0.9", "valid_rate")))
    found = outcomes(check)
    assert (found[DamageKind.EMPTY], found[DamageKind.WRONG_LABEL]) == (1, None)
    assert check.findings == []


@pytest.mark.parametrize(
    ("metric", "rule"), [("accuracy", "min = 0"), ("accuracy", "max = 1"), ("agreement", "min = 1")]
)
def test_a_gate_that_never_fails_is_a_finding(load, metric, rule):
    ((label, problem),) = check_gates(load(WORDS, LABELS + gate(rule, metric))).findings
    assert label.startswith(metric)
    assert problem == "never fails: it passes with all 3 cases damaged, for every kind of damage"


def test_gates_on_differences_between_attempts_are_tested_with_one_bad_attempt(load):
    toml = f"{LABELS}{gate('min = 0.9', 'agreement')}[stability]\nrepeats = 5\n"
    check = check_gates(load([WORDS[number % 3] for number in range(10)], toml))
    assert outcomes(check)[DamageKind.EMPTY] == 6
    assert check.findings == []


def test_a_gate_that_fails_a_perfect_run_is_a_finding(load):
    check = check_gates(load(["bug", "feature"], LABELS + gate("max = 0.5")))
    assert check.gates[0].trips == ()
    ((_, problem),) = check.findings
    assert problem == (
        "does not pass a perfect run: accuracy 1.000 (2 of 2 cases), bar <= 0.5:"
        " the value alone decides, its 95 % interval 0.158 to 1.000 crosses the bar"
    )


def test_a_gate_on_errors_is_tested_with_errors(load):
    toml = LABELS + gate("max = 0.2", "error_rate") + gate("max = 1.0", "error_rate")
    check = check_gates(load([WORDS[number % 3] for number in range(10)], toml))
    assert outcomes(check)[DamageKind.ERROR] == 3
    assert [gate.finding for gate in check.gates] == [
        "",
        "never fails: it passes with all 10 cases damaged, for every kind of damage",
    ]


def test_gates_on_time_cost_or_a_baseline_are_reported_as_not_testable(load):
    toml = LABELS + gate("max = 2.0", "latency_p95") + gate("max = 0.1", "cost_per_case")
    toml += '[[gates]]\nagainst = "production"\nmax_flips = 0\n'
    check = check_gates(load(["bug", "feature"], toml))
    assert [gate.needs for gate in check.gates] == ["timing", "token counts and prices", "a baseline"]
    assert (check.findings, check.tested) == ([], False)


def test_without_gates_the_implied_gate_is_tested(load):
    check = check_gates(load(["bug", "feature"]))
    assert [gate.gate.label for gate in check.gates] == ["accuracy>=1"]
    assert outcomes(check)[DamageKind.TRUNCATED] == 1
    assert "  no gates: every miss is a failure" in list(report_lines([check]))


def test_an_answer_that_the_scorer_accepts_is_not_damage(load):
    toml = 'scorer = "contains"\n' + gate("min = 0.9")
    check = check_gates(load(["Paris", "Rome"], toml))
    fenced = next(damage for damage in check.damage if damage.kind is DamageKind.FENCED)
    assert (dict(fenced.samples), fenced.unnoticed) == ({}, {"c0", "c1"})
    assert outcomes(check)[DamageKind.FENCED] is None
    assert "  not noticed by the scorer: fenced in 2 of 2 cases" in list(report_lines([check]))


def test_with_a_scorer_that_accepts_everything_no_gate_fails(load, tmp_path):
    (tmp_path / "selftest_lax.py").write_text("def lax(case, completion):\n    return True\n", "utf-8")
    check = check_gates(load(["Paris", "Rome"], 'scorer = "selftest_lax:lax"\n' + gate("min = 0.9")))
    assert [problem for _, problem in check.findings] == [
        "never fails: the scorer accepts every damaged answer to its cases"
    ]


def test_a_scoring_function_that_raises_on_a_bad_answer_is_an_error(load, tmp_path):
    source = "def picky(case, completion):\n    return completion.text.split()[0] in case.expected\n"
    (tmp_path / "selftest_picky.py").write_text(source, "utf-8")
    eval_set = load(["Paris", "Rome"], 'scorer = "selftest_picky:picky"\n' + gate("min = 0.4"))
    empty = planted(eval_set)[DamageKind.EMPTY].samples
    assert {sample.state for sample in empty.values()} == {State.ERROR}
    check = check_gates(eval_set)
    assert (outcomes(check)[DamageKind.EMPTY], outcomes(check)[DamageKind.FENCED]) == (1, 2)


@pytest.mark.parametrize(
    ("expected", "toml", "reason"),
    [
        ([{}, {}], 'scorer = "schema"\nschema = "answer.schema.json"\n', "c0: the case has no expected answer"),
        (["a|b", "c"], 'scorer = "regex"\n', "1 of 2 cases; c0: the scorer rejects the expected answer"),
        (["a"], 'scorer = "selftest_broken:broken"\n', "selftest_broken:broken broke: ZeroDivisionError"),
    ],
)
def test_an_eval_set_without_known_right_answers_cannot_be_tested(load, tmp_path, expected, toml, reason):
    (tmp_path / "selftest_broken.py").write_text("def broken(case, completion):\n    return 1 / 0\n", "utf-8")
    check = check_gates(load(expected, toml + gate("min = 0.9"), schema=SCHEMA))
    assert check.untestable.startswith("no right answer can be built for")
    assert reason in check.untestable
    assert (check.gates, check.tested) == ((), False)
    assert any("cannot be self-tested: " in line for line in report_lines([check]))


@pytest.mark.parametrize(
    ("scorer", "metric", "asked"),
    [
        (
            'type = "judge"\nmodel = "gpt-4.1"\nrubric = "r"\nscore = {min = 1, max = 5, pass_at_least = 4}\n',
            "accuracy",
            "gpt-4.1",
        ),
        ('type = "preference"\nmodel = "ft:x"\nrubric = "r"\n', "win_rate", "ft:x"),
        ('type = "embedding"\nmodel = "text-embedding-3-small"\nthreshold = 0.8\n', "score", "text-embedding-3-small"),
    ],
)
def test_gates_on_the_replies_of_a_model_cannot_be_tested(load, scorer, metric, asked):
    check = check_gates(load(["a", "b"], f'[scorer]\n{scorer}[[gates]]\nmetric = "{metric}"\nmin = 0.6\n'))
    assert check.untestable.endswith(f" asks {asked}, and no model is called here")
    assert not check.tested


def test_next_to_a_judge_the_gates_of_a_rule_are_tested(load):
    judge = 'name = "tone"\ntype = "judge"\nmodel = "m"\nrubric = "r"\nlabels = ["y", "n"]\npasses = ["y"]\n'
    gates = '[[gates]]\nmin = 0.9\n[[gates]]\nscorer = "tone"\nmin = 0.5\n'
    eval_set = load(["a", "b", "c", "d"], f'[[scorers]]\ntype = "exact"\n[[scorers]]\n{judge}{gates}')
    rule, asked = check_gates(eval_set).gates
    assert (rule.needs, rule.perfect.status, rule.finding) == ("", Status.PASS, "")
    assert (asked.needs, asked.perfect, asked.finding) == ("the replies of a model", None, "")
    weak = '[[scorers]]\ntype = "exact"\n[[scorers]]\n' + judge + gates.replace("0.9", "0.0")
    assert gap_warnings(load(["a", "b", "c", "d"], weak))


def test_json_answers_are_damaged_in_format_and_content(load):
    toml = 'scorer = "json"\nschema = "answer.schema.json"\n'
    eval_set = load([{"expected": {"city": "Rome"}}, {"expected": {"age": 7, "city": "Oslo"}}], toml, SCHEMA)
    found = {
        kind: answers(eval_set, kind)["c1"] for kind in (DamageKind.FENCED, DamageKind.EXTRA_KEY, DamageKind.WRONG_TYPE)
    }
    assert found[DamageKind.FENCED].text == '```json\n{"age": 7, "city": "Oslo"}\n```'
    assert json.loads(found[DamageKind.EXTRA_KEY].text) == {"age": 7, "city": "Oslo", "note": "planted"}
    assert json.loads(found[DamageKind.WRONG_TYPE].text) == {"age": "7", "city": "Oslo"}
    assert json.loads(answers(eval_set, DamageKind.ANOTHER)["c1"].text) == {"city": "Rome"}
    cut = answers(eval_set, DamageKind.TRUNCATED)["c1"]
    assert ('{"age": 7, "city": "Oslo"}'.startswith(cut.text), cut.finish_reason) == (True, "length")
    assert answers(eval_set, DamageKind.WRONG_LABEL) == {}


def test_a_variant_that_the_schema_allows_is_replaced_by_one_that_it_does_not(load):
    schema = {"type": "object", "properties": {"free": {}, "deep": SCHEMA}}
    expected = {"free": None, "deep": {"city": "Rome"}}
    eval_set = load([{"expected": expected}], 'scorer = "schema"\nschema = "answer.schema.json"\n', schema)
    assert json.loads(answers(eval_set, DamageKind.EXTRA_KEY)["c0"].text)["deep"] == {"city": "Rome", "note": "planted"}
    assert json.loads(answers(eval_set, DamageKind.WRONG_TYPE)["c0"].text)["deep"] == {"city": ["Rome"]}
    assert planted(eval_set)[DamageKind.WRONG_TYPE].unnoticed == set()


def test_a_value_without_keys_gets_no_extra_key(load):
    eval_set = load([{"expected": [[1, []]]}], 'scorer = "json"\n')
    found = planted(eval_set)
    assert (found[DamageKind.EXTRA_KEY].samples, found[DamageKind.EXTRA_KEY].unnoticed) == ({}, set())
    assert json.loads(found[DamageKind.WRONG_TYPE].samples["c0"].completion.text) == ["1", []]


def test_tool_calls_are_damaged_in_the_arguments_of_the_last_call(load):
    eval_set = load([weather("Rome"), weather("Oslo")], 'scorer = "tool_call"\n' + gate("min = 0.9"))
    (call,) = answers(eval_set, DamageKind.EXTRA_KEY)["c0"].tool_calls
    assert json.loads(call.arguments) == {"city": "Rome", "note": "planted"}
    assert answers(eval_set, DamageKind.TRUNCATED)["c0"].tool_calls[0].arguments == '{"city":'
    assert answers(eval_set, DamageKind.FENCED)["c0"].tool_calls == ()
    assert answers(eval_set, DamageKind.ANOTHER)["c0"].tool_calls == eval_set.cases[1].tool_calls
    assert outcomes(check_gates(eval_set))[DamageKind.WRONG_TYPE] == 1


def weather(city):
    """A line that expects a tool call."""
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": city})}}
    user = {"role": "user", "content": f"weather in {city}"}
    return {"messages": [user, {"role": "assistant", "tool_calls": [call]}]}


def test_another_acceptable_answer_is_not_planted(load):
    lines = [{"expected": ["bug", "feature"]}, {"expected": ["feature"]}, {"expected": ["question"]}]
    eval_set = load(lines, LABELS)
    assert answers(eval_set, DamageKind.ANOTHER)["c0"].text == "question"
    assert answers(eval_set, DamageKind.WRONG_LABEL)["c0"].text == "question"


def test_there_is_no_other_answer_if_all_cases_expect_the_same(load):
    found = planted(load(["yes", "yes"]))[DamageKind.ANOTHER]
    assert (dict(found.samples), found.unnoticed) == ({}, set())


@pytest.mark.parametrize(
    ("metric", "rule"),
    [
        ("accuracy", "min = 0.7"),
        ("accuracy", "min = 0.5\nconfidence = 0.9"),
        ("accuracy", 'min = 0.7\nper_case = "2 of 3"'),
        ("accuracy", 'min = 0.5\nwhere = { tag = "even" }'),
        ("macro_f1", "min = 0.6"),
        ("macro_f1", "min = 0.3\nconfidence = 0.9"),
        ("valid_rate", "min = 0.8"),
        ("agreement", "min = 0.8"),
        ("format_stability", "min = 0.8"),
        ("error_rate", "max = 0.2"),
    ],
)
def test_bisection_finds_the_same_count_as_trying_each(load, metric, rule):
    lines = [{"expected": WORDS[number % 3], "tags": ["even"] * (number % 2 == 0)} for number in range(15)]
    toml = f"max_errors = 4\n{LABELS}{gate(rule, metric)}[stability]\nrepeats = 3\n"
    eval_set = load(lines, toml)
    perfect = perfect_run(eval_set)
    trial = Trial(eval_set, eval_set.settings.rules[0], perfect)
    for damage in plant(eval_set, perfect):
        bad = [damage.samples[name] for name in trial.damage_order if name in damage.samples]
        passes = [
            trial.verdict({sample.case_id: sample for sample in bad[:count]}).status is Status.PASS
            for count in range(len(bad) + 1)
        ]
        assert passes == sorted(passes, reverse=True)
        trip = trial.trip(damage)
        assert trip.damaged == (passes.index(False) if False in passes else None)


def test_a_trial_has_the_verdict_of_a_run_with_the_same_samples(load):
    eval_set = load([WORDS[number % 3] for number in range(10)], LABELS + gate("min = 0.9"))
    perfect = perfect_run(eval_set)
    bad = planted(eval_set)[DamageKind.WRONG_LABEL].samples["c4"]
    samples = [bad if sample.case_id == "c4" else sample for sample in perfect]
    expected = judge(eval_set.settings.rules, eval_set.table(samples))
    assert [Trial(eval_set, eval_set.settings.rules[0], perfect).verdict({"c4": bad})] == expected


def test_the_order_of_the_file_does_not_change_the_result(load):
    lines = [{"id": f"c{number}", "expected": WORDS[number % 3]} for number in range(20)]
    toml = LABELS + gate("min = 0.9", "macro_f1") + gate("min = 0.8")
    first = check_gates(load(lines, toml)).gates
    again = check_gates(load(lines[::-1], toml)).gates
    assert [gate.trips for gate in first] == [gate.trips for gate in again]


def test_the_report_fits_eighty_columns_and_groups_kinds(load):
    toml = LABELS + gate("min = 0.9") + gate("min = 0.0")
    check = check_gates(load([WORDS[number % 3] for number in range(161)], toml))
    lines = list(report_lines([check]))
    assert max(map(len, lines)) <= 80
    assert lines == [
        "damaged cases at which each gate stops passing, by the kind of damage",
        "",
        "set.jsonl: 161 cases, scorer label",
        "  accuracy>=0.9",
        "      the value alone decides: 56 % of models at the bar would pass; confidence",
        "      limits that",
        "       17 of 161 (10.6 %)  empty, fenced, another case's answer, wrong label,",
        "                           truncated, arbitrary text, a constant answer, the",
        "                           most frequent answer",
        "        1 of 161 (0.6 %)   error",
        "  accuracy>=0",
        "      never                                   empty, fenced, another case's",
        "                                              answer, wrong label, truncated,",
        "                                              arbitrary text",
        "      never (only 107 of 161 can be damaged)  a constant answer, the most",
        "                                              frequent answer",
        "        1 of 161 (0.6 %)                      error",
        "      FINDING: never fails: it passes with all 161 cases damaged, for every kind",
        "               of damage",
        "  every kind of damage is caught by some gate",
        "",
        "2 gates tested, 0 not testable here, 1 finding",
    ]


def test_the_report_says_of_each_gate_how_certain_it_is(load):
    bars = "min = 0.9", "min = 0.8\nconfidence = 0.95", "min = 0.7\nrisk = 0.05"
    gates = [*bars, 'max_drop = 0.1\nagainst = "production"']
    check = check_gates(load([WORDS[number % 3] for number in range(60)], LABELS + "".join(map(gate, gates))))
    assert [one["certainty"] for one in report_values([check])["eval_sets"][0]["gates"]] == [
        "the value alone decides: 61 % of models at the bar would pass; confidence limits that",
        "at most 2.5 % of models at the bar would pass",
        "at most 5 % of models at the bar would pass",
        "a comparison of two values, no test of non-inferiority: add confidence",
    ]


def test_the_json_report_can_be_serialized(load):
    check = check_gates(load(["bug", "feature"], LABELS + gate("min = 0.9") + gate("max = 2.0", "latency_p50")))
    values = json.loads(json.dumps(report_values([check])))
    tried, needy = values["eval_sets"][0]["gates"]
    assert values["findings"] == 0
    assert (tried["perfect"], tried["trips"][0]) == (
        "pass",
        {"kind": "empty", "noticed": 2, "unnoticed": 0, "damaged": 1, "share": 0.5, "status": "fail"},
    )
    assert (needy["needs"], needy["perfect"], needy["trips"]) == ("timing", None, [])


def test_control_characters_of_names_are_escaped(load):
    lines = [{"expected": "a", "metadata": {"source": "x\u202ey"}}]
    check = check_gates(load(lines, gate('min = 1\nwhere = { source = "x\\u202Ey" }')))
    assert "  accuracy>=1,source=x\\u202ey" in list(report_lines([check]))


def test_a_small_share_is_not_rounded_to_zero():
    assert [_percent(part, 10_000) for part in (1, 4, 10, 1234, 10_000)] == ["0.01", "0.04", "0.1", "12.3", "100.0"]
