"""A scorer of another installed package works in every report and command without further changes."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.verdicts.scoring import scorer_class

MODULE = '''
from dataclasses import dataclass
from pytest_finetune import FormatFailure, Score, Scorer

@dataclass(frozen=True)
class MoodScorer(Scorer):
    """The answer is `MOOD: text`; the mood is the label."""

    moods: tuple[str, ...]
    name = "mood"
    settings = frozenset({"labels"})
    metrics = frozenset({"macro_f1", "valid_rate", "format_stability", "field_accuracy"})
    fence = "mood"

    @classmethod
    def make(cls, settings, folder):
        return cls(tuple(settings.labels))

    @property
    def labels(self):
        return self.moods

    @property
    def warnings(self):
        return ("moods change",)

    @property
    def expected_label(self):
        return lambda case: case.expected[0].partition(":")[0]

    def normalized(self, text):
        return text.partition(":")[0]

    def check(self, case):
        mood = self.expected_label(case)
        return None if mood in self.moods else f"{mood!r} is not a mood"

    def score(self, case, completion):
        mood = completion.text.partition(":")[0]
        if mood not in self.moods:
            return Score(passed=False, format_failure=FormatFailure.NOT_IN_ENUM, detail=f"no mood in {mood!r}",
                         fields=(0, 1))
        passed = mood == self.expected_label(case)
        return Score(passed=passed, label=mood, detail="" if passed else f"the mood is {mood}", fields=(int(passed), 1),
                     shape=json.dumps(mood))

    def explain(self, case, completion):
        return [f"mood swing: {self.expected_label(case)} to {completion.text.partition(':')[0]}"]
'''
TOML = """
scorer = "mood"
labels = ["glad", "sad"]
[[gates]]
metric = "macro_f1"
min = 0.3
[[gates]]
metric = "valid_rate"
min = 0.5
"""
LONG = "so very " * 40


@pytest.fixture
def installed(pytester, monkeypatch):
    """The scorer `mood` as installed by a wheel: a module and the metadata of its distribution."""
    site = pytester.mkdir("site")
    (site / "mood_scorer.py").write_text("import json\n" + MODULE, "utf-8")
    metadata = site / "mood_scorer-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mood-scorer\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text(
        "[pytest_finetune.scorers]\nmood = mood_scorer:MoodScorer\nbroken = mood_nowhere:Scorer\nodd = json:loads\n"
        "exact = mood_scorer:MoodScorer\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(str(site))
    yield
    scorer_class.cache_clear()
    sys.modules.pop("mood_scorer", None)


@pytest.fixture
def moods(installed, suite, server):
    """Twelve cases, of which the model gets one wrong and answers another without a mood."""
    expected = [f"{mood}: {LONG}{number}" for number, mood in enumerate(["glad", "sad"] * 6)]
    answers = [f"sad: {LONG}0", "furious", *expected[2:]]
    suite(expected, inputs=answers, toml=TOML, tags=["en"])


def command(*words):
    return CliRunner().invoke(main, list(words), prog_name="pytest-finetune")


def test_it_is_in_every_report(moods, evaluate, pytester):
    reports = ("--finetune-html=page.html", "--finetune-markdown=run.md", "--junitxml=junit.xml", "--html=cases.html")
    result = evaluate("-v", *reports, model="ft:m")
    text = result.stdout.str()
    assert "mood swing: glad to sad" in text
    assert "moods change" in text
    row = next(line for line in text.splitlines() if line.startswith("tickets") and "0.833" in line)
    assert row.split()[4] == "0.917", row
    assert "field accuracy    0.833" in text
    assert "macro F1 0.8" in text
    assert "glad taken for sad: 1" in text
    page = (pytester.path / "page.html").read_text("utf-8")
    assert "valid rate" in page
    assert "macro F1" in page
    assert "mood swing: glad to sad" in (pytester.path / "cases.html").read_text("utf-8")
    markdown = (pytester.path / "run.md").read_text("utf-8")
    assert "macro_f1" in markdown
    assert "`missed (not in enum): furious`" in markdown
    names = {
        one.get("name"): one.get("value") for one in ET.parse(pytester.path / "junit.xml").getroot().iter("property")
    }
    assert any("valid_rate" in name and value == "0.916667" for name, value in names.items()), names


def test_gates_check_damages_its_answers(moods):
    result = command("gates", "check", "--json", "eval_sets")
    (found,) = json.loads(result.stdout)["eval_sets"]
    assert (found["scorer"], found["untestable"]) == ("mood", "")
    noticed = {each["kind"]: each["noticed"] for each in found["damage"]}
    assert noticed["fenced"] == noticed["empty"] == noticed["wrong label"] == 12


def test_data_check_knows_its_labels(moods, pytester):
    rows = [
        {"messages": [{"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": answer}]}
        for number, answer in enumerate(["glad: yes", "sad: no", "angry: grr"] * 4)
    ]
    path = pytester.path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = json.loads(command("data", "check", "train.jsonl", "--eval", "eval_sets", "--json").output)
    problems = [one for one in found["findings"] if one["code"] == "unknown_label"]
    assert [one["line"] for one in problems] == [3, 6, 9, 12], found["findings"]


def test_diagnose_scores_training_data_with_it(moods, evaluate, pytester, server):
    evaluate(model="ft:m")
    rows = [{"input": f"glad: {number}", "expected": f"glad: {number}"} for number in range(12)]
    (pytester.path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    result = command("diagnose", "last", "--training", "train.jsonl", "--json")
    findings = {one["kind"]: one for one in json.loads(result.stdout)["findings"]}
    assert "on training data 1.000 of 12 cases (95 %: 0.735 to 1.000)" in findings["overfitting"]["evidence"]
    assert "on the eval set 0.833 of 12 cases (95 %: 0.516 to 0.979)" in findings["underfitting"]["evidence"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("broken", "cannot be imported from mood_nowhere:Scorer: ModuleNotFoundError"),
        ("odd", "json:loads is not a subclass of pytest_finetune.Scorer"),
        ("moody", "did you mean 'mood'?"),
    ],
)
def test_one_that_cannot_be_used_is_reported_where_it_is_named(installed, suite, evaluate, name, problem):
    suite(toml=f'scorer = "{name}"\n')
    result = evaluate()
    assert result.ret != 0
    assert problem in " ".join((result.stdout.str() + result.stderr.str()).split())


def test_it_cannot_take_the_name_of_a_built_in_scorer(installed, suite, evaluate):
    suite(toml='scorer = "exact"\n')
    evaluate().assert_outcomes(passed=3)
