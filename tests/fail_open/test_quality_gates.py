"""Gates that a useless model passes are named wherever a session reports "ships", and do not promote."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from pytest_finetune.base.records import Case
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.gates.quality import quality_is_guarded

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FLAG = "No gate guards the quality of eval_sets/tickets.jsonl over all its cases."
STRICT = "[[gates]]\nmin = 0.9\n"
LAX = {
    "errors only": '[[gates]]\nmetric = "error_rate"\nmax = 0.5\n',
    "latency only": '[[gates]]\nmetric = "latency_p95"\nmax = 60\n',
    "max for min": "[[gates]]\nmax = 0.9\n",
    "a bar of 0": "[[gates]]\nmin = 0\n",
    "form only": 'scorer = "label"\nlabels = ["a", "b", "c", "x", "y", "z"]\n'
    '[[gates]]\nmetric = "valid_rate"\nmin = 1\n',
    "agreement": '[[gates]]\nmetric = "agreement"\nmin = 0.5\n',
}


@pytest.fixture
def wrong(suite):
    """An eval set that the echoing model gets completely wrong."""

    def write(toml):
        return suite(["x", "y", "z"], inputs=["a", "b", "c"], toml=toml)

    return write


@pytest.mark.parametrize("toml", LAX.values(), ids=LAX)
def test_a_model_that_is_always_wrong_ships_only_with_a_warning(wrong, evaluate, toml):
    wrong(toml)
    result = evaluate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["ft:test ships: *; 1 eval set without a gate on quality", f"*{FLAG}"])


def test_the_reports_name_the_set(wrong, evaluate, pytester):
    wrong(LAX["errors only"])
    evaluate("--finetune-html=page.html", "--finetune-markdown=summary.md")
    for report in ("page.html", "summary.md"):
        text = (pytester.path / report).read_text("utf-8")
        assert "1 eval set without a gate on quality" in text
        assert FLAG in text


def test_the_form_guards_a_set_that_only_demands_a_form(suite, evaluate, pytester):
    (pytester.mkdir("eval_sets") / "any.json").write_text('{"type": "string"}', "utf-8")
    suite(['"a"'], toml='scorer = "schema"\nschema = "any.json"\n[[gates]]\nmetric = "valid_rate"\nmin = 1\n')
    result = evaluate("--finetune-markdown=summary.md")
    assert result.ret == 0, result.stdout.str()
    result.stdout.no_fnmatch_line("*without a gate on quality*")
    assert "without a gate on quality" not in (pytester.path / "summary.md").read_text("utf-8")


@pytest.mark.parametrize("toml", LAX.values(), ids=LAX)
def test_such_a_model_is_not_promoted(wrong, evaluate, pytester, toml):
    wrong(toml)
    backend = FileBackend(pytester.path / "registry.json")
    backend.update(Change("add", "v1", who="test", entry=Entry(model_id="ft:test", created_at=NOW)), now=NOW)
    result = evaluate("--promote")
    assert result.ret != 0
    output = re.sub(r"\s+", " ", result.stdout.str())
    assert "eval_sets/tickets.jsonl: no gate guards its quality over all its cases" in output
    assert backend.read().entries["v1"].status.value == "candidate"


def test_a_slice_guards_only_itself(suite, evaluate):
    path = suite(["a", "y"], inputs=["a", "b"], toml='[[gates]]\nmin = 1\nwhere = { tag = "easy" }\n')
    easy, hard = path.read_text("utf-8").splitlines()
    path.write_text(easy.replace("{", '{"tags": ["easy"], ', 1) + f"\n{hard}\n", "utf-8")
    result = evaluate()
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"*{FLAG}"])


@pytest.mark.parametrize(
    "toml", ["[[gates]]\nmin = 0.9\n", None, '[[gates]]\nmetric = "error_rate"\nmax = 0\n[[gates]]\nmin = 0.5\n']
)
def test_a_guarded_set_is_not_flagged(suite, evaluate, toml):
    suite(3, toml=toml)
    result = evaluate()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*guards the quality*")
    result.stdout.no_fnmatch_line("*without a gate on quality*")


@pytest.mark.parametrize(
    ("gate", "guarded"),
    [
        ({"min": 0.01}, True),
        ({"min": 0}, False),
        ({"max": 1}, False),
        ({"metric": "valid_rate", "min": 0.9}, False),
        ({"metric": "format_stability", "max_drop": 0.1, "against": "production"}, False),
        ({"metric": "error_rate", "min": 0.9}, False),
        ({"min": 0.9, "per_case": "1 of 1"}, True),
        ({"min": 0.9, "where": {"tag": "all"}}, True),
        ({"min": 0.9, "where": {"tag": "some"}}, False),
        ({"must_pass": ["some"]}, False),
        ({"must_pass": ["some", "other"]}, True),
        ({"max_drop": 0.49, "against": "production"}, True),
        ({"max_drop": 0.5, "against": "production"}, False),
        ({"metric": "agreement", "max_drop": 0.1, "against": "production"}, False),
        ({"max_drop": 0.1, "against": "production", "where": {"tag": "some"}}, False),
        ({"max_flips": 1, "against": "production"}, True),
        ({"max_flips": 2, "against": "production"}, False),
    ],
    ids=str,
)
def test_which_gates_guard_quality(gate, guarded):
    cases = [Case(f"{n}", n, (), tags=("all", "some" if n < 2 else "other")) for n in range(4)]
    assert quality_is_guarded(EvalSettings.model_validate({"gates": [gate]}).rules, cases) is guarded


def test_one_gate_on_quality_among_several_is_enough():
    settings = EvalSettings.model_validate({"gates": [{"metric": "error_rate", "max": 0.1}, {"min": 0.5}]})
    assert quality_is_guarded(settings.rules, [Case("a", 0, ())])
