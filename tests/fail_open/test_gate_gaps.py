"""Gates that let a useless model pass are named by `gates check`, and in one line of every session."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main

LABELS = 'scorer = "label"\nlabels = ["bug", "other"]\n'
STRICT = "[[gates]]\nmin = 0.95\n"


def lines(count, answers, *, tag_first=False):
    for number in range(count):
        tags = ["hard"] if tag_first and number == 0 else []
        yield {
            "id": f"c{number}",
            "input": f"question {number}",
            "expected": answers[number % len(answers)],
            "tags": tags,
        }


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def _write(rows, toml):
        folder = tmp_path / "eval_sets"
        folder.mkdir()
        folder.joinpath("t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        folder.joinpath("t.toml").write_text(toml, "utf-8")

    return _write


def gaps(*arguments):
    """The exit code of `gates check`, and for the one set the cases of each kind of damage that no gate catches."""
    result = CliRunner().invoke(main, ["gates", "check", "--json", *arguments])
    (checked,) = json.loads(result.stdout)["eval_sets"]
    return result.exit_code, {gap["kind"]: gap["cases"] for gap in checked["gaps"]}


def test_a_gate_on_errors_alone_catches_no_answer(write):
    write(lines(4, ["bug", "other"]), LABELS + '[[gates]]\nmetric = "error_rate"\nmax = 0.1\n')
    code, found = gaps()
    assert code == 1
    assert found.items() >= {"empty": 4, "arbitrary text": 4, "a constant answer": 2, "wrong label": 4}.items()
    assert "error" not in found


def test_a_gate_on_a_slice_leaves_the_other_cases_open(write):
    write(lines(41, ["bug", "other"], tag_first=True), LABELS + '[[gates]]\nmin = 1\nwhere = { tag = "hard" }\n')
    code, found = gaps()
    assert code == 1
    assert (found["empty"], found["arbitrary text"]) == (40, 40)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [(["bug"] * 19 + ["other"], "a constant answer"), (["other"] + ["bug"] * 19, "the most frequent answer")],
)
def test_one_label_for_all_cases_is_caught_only_by_a_bar_above_its_share(write, answers, kind):
    write(lines(20, answers), LABELS + STRICT)
    assert gaps() == (1, dict.fromkeys([kind, "the most frequent answer"], 1))


def test_gates_that_together_cover_all_cases_leave_no_gap(write):
    rows = [row | {"tags": row["tags"] or ["rest"]} for row in lines(10, ["bug", "other"], tag_first=True)]
    toml = LABELS + "".join(f'[[gates]]\nmin = 1\nwhere = {{ tag = "{tag}" }}\n' for tag in ("hard", "rest"))
    write(rows, toml)
    assert gaps() == (0, {})


def test_a_gate_with_a_baseline_is_compared_with_the_perfect_run(write):
    toml = '[[gates]]\nmetric = "error_rate"\nmax = 0\n[[gates]]\nmax_drop = 0.02\nagainst = "production"\n'
    write(lines(4, ["bug", "other"]), LABELS + toml)
    assert gaps() == (0, {})


@pytest.mark.parametrize(
    ("gate", "found"),
    [
        ('metric = "valid_rate"\nmax_drop = 0.1', {"wrong label": 4, "another case's answer": 4}),
        ('metric = "agreement"\nmax_drop = 0.1', {"wrong label": 4, "arbitrary text": 4, "empty": 4}),
        ("max_drop = 0.6", {"a constant answer": 2}),
        ("max_flips = 3", {"a constant answer": 2}),
    ],
    ids=str,
)
def test_a_gate_with_a_baseline_does_not_catch_what_it_cannot_see(write, gate, found):
    toml = f'[[gates]]\nmetric = "error_rate"\nmax = 0\n[[gates]]\n{gate}\nagainst = "production"\n'
    write(lines(4, ["bug", "other"]), LABELS + toml)
    code, gap = gaps()
    assert gap.items() >= found.items()
    assert code == ("a constant answer" in gap or "empty" in gap)


def test_a_scorer_that_accepts_arbitrary_text_is_a_gap(write):
    write(lines(4, [".*"]), 'scorer = "regex"\n' + STRICT)
    code, found = gaps()
    assert (code, found["arbitrary text"]) == (1, 4)


@pytest.mark.parametrize(
    ("scorer", "answers"),
    [
        ('type = "number"\nrelative = 0.9', [10, 12, 14, 16]),
        ('type = "fuzzy"\nthreshold = 0.5', ["ticket 1", "ticket 2", "ticket 3", "ticket 4"]),
        ('type = "json"\n[scorer.fields."$.sum"]\ncompare = "number"\nabsolute = 50', [{"sum": n} for n in range(4)]),
    ],
    ids=["number", "fuzzy", "json"],
)
def test_a_tolerance_that_one_answer_meets_in_every_case_is_a_gap(write, scorer, answers):
    write(lines(4, answers), f"{STRICT}[scorer]\n{scorer}\n")
    code, found = gaps()
    assert (code, found["a constant answer"], found["the most frequent answer"]) == (1, 3, 3)


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ('"$.tags"]\noptional = true', [{"tags": ["a"]}, {"tags": ["b"]}]),
        ('"$.unit"]\ndefault = "C"', [{"unit": "C"}]),
        ('"$.rows"]\noptional = true', [{"rows": [{"id": 1}]}, {"rows": [{"id": 2}]}]),
    ],
    ids=["optional", "default", "list"],
)
def test_fields_that_may_all_be_left_out_are_a_gap(write, fields, answers):
    write(lines(4, answers), f'{STRICT}[scorer]\ntype = "json"\n[scorer.fields.{fields}\n')
    code, found = gaps()
    assert (code, found["no fields"]) == (1, 4)


def test_one_field_that_must_be_there_leaves_no_gap(write):
    write(
        lines(4, [{"a": 1, "b": n} for n in range(4)]),
        f'{STRICT}[scorer]\ntype = "json"\n[scorer.fields."$.a"]\noptional = true\n',
    )
    assert gaps() == (0, {})


def test_the_report_describes_the_gap_in_words(write):
    write(lines(20, ["bug"] * 19 + ["other"]), LABELS + STRICT)
    output = " ".join(CliRunner().invoke(main, ["gates", "check"]).stdout.split())
    assert "FINDING: no gate catches a constant answer (in 1 of 20 cases), the most frequent answer" in output
    assert output.endswith("1 gate tested, 0 not testable here, 1 finding")


GAP = "eval_sets/tickets.jsonl: no gate catches the most frequent answer (in 1 of 20 cases)"


@pytest.mark.parametrize("quiet", ["-v", "-q", "-qq"])
def test_a_session_names_the_gap_in_its_closing_section_and_reports(suite, evaluate, pytester, quiet):
    answers = ["other"] + ["bug"] * 19
    suite(answers, inputs=[f"question {number}" for number in range(20)], toml=LABELS + STRICT)
    result = evaluate(quiet, "--finetune-html=page.html", "--finetune-markdown=summary.md", "--junitxml=junit.xml")
    assert f"warning: {GAP}" in " ".join(result.stdout.str().split())
    for report in ("page.html", "summary.md", "junit.xml"):
        assert GAP in pytester.path.joinpath(report).read_text("utf-8"), report


def test_a_session_with_sound_gates_names_none(suite, evaluate):
    suite(10, toml=STRICT)
    result = evaluate()
    result.stdout.no_fnmatch_line("*no gate catches*")


def test_a_session_does_not_call_scoring_functions_to_find_gaps(suite, evaluate, pytester):
    pytester.path.joinpath("own.py").write_text(
        "def judge(case, completion):\n"
        "    open('calls', 'a').write('x')\n"
        "    return completion.text == case.expected[0]\n"
    )
    suite(4, toml='scorer = "own:judge"\n[[gates]]\nmin = 0\n')
    evaluate(subprocess=True)
    assert pytester.path.joinpath("calls").read_text() == "x" * 4
