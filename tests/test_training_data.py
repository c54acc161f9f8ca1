"""The training files have the format of the eval set and contain none of its cases."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from rapidfuzz import fuzz, process, utils

from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.verdicts.json_schema.validation import load_schema
from pytest_finetune.verdicts.loading import load_eval_sets

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FILES = ("train", "validation")
TEAMS = ("billing", "delivery", "returns", "account", "technical", "sales")


def cases(path):
    (eval_set,) = load_eval_sets([ROOT / path], root=ROOT)
    assert eval_set.warnings == ()
    return eval_set.cases


def examples(*names):
    """Each example as its messages, the answer's text and the answer's value."""
    for name in names:
        for case in cases(f"demo/training/routing.{name}.jsonl"):
            (text,) = case.expected
            yield case.messages, text, parse_json(text)


def normalized_question(messages):
    """A message normalized for the search of near duplicates: lower case, letters and digits only."""
    return utils.default_process(messages[-1].content)


@pytest.mark.parametrize("name", FILES)
def test_every_example_has_the_system_prompt_of_the_eval_set(name):
    system = cases("demo/eval_sets/routing.jsonl")[0].messages[0]
    assert system.role == "system"
    assert all(case.messages[0] == system for case in cases("demo/eval_sets/routing.jsonl"))
    for messages, _, _ in examples(name):
        assert [message.role for message in messages] == ["system", "user"]
        assert messages[0] == system


@pytest.mark.parametrize("name", FILES)
def test_every_answer_is_compact_json_in_the_schema_of_the_eval_set(name):
    schema = load_schema(ROOT / "demo/eval_sets/routing.schema.json")
    for _, text, answer in examples(name):
        assert schema.fault(answer) is None
        assert text == json.dumps({"team": answer["team"], "order": answer["order"]}, separators=(",", ":"))


def test_an_order_number_occurs_once_in_its_message_and_in_no_other():
    numbered = [(messages[-1].content, answer["order"]) for messages, _, answer in examples(*FILES) if answer["order"]]
    for message, order in numbered:
        assert re.findall(r"\d+", message).count(order) == 1
    assert len({order for _, order in numbered}) == len(numbered)


def test_a_block_of_six_lines_contains_every_team_once():
    teams = [answer["team"] for _, _, answer in examples("train")]
    for start in range(0, len(teams), len(TEAMS)):
        assert sorted(teams[start : start + len(TEAMS)]) == sorted(TEAMS)


def test_the_first_version_is_trained_on_the_first_sixty_examples():
    whole, first = (ROOT / f"demo/training/routing.{name}.jsonl" for name in ("train", "first-60"))
    assert first.read_text("utf-8").splitlines() == whole.read_text("utf-8").splitlines()[:60]


def test_no_example_is_a_near_duplicate_of_an_eval_case():
    questions = [normalized_question(case.messages) for case in cases("demo/eval_sets/routing.jsonl")]
    near = [
        (example, question)
        for example in (normalized_question(messages) for messages, _, _ in examples(*FILES))
        for question in questions
        if fuzz.token_set_ratio(example, question, score_cutoff=80)
    ]
    assert near == []


def test_no_two_examples_are_near_duplicates():
    texts = [normalized_question(messages) for messages, _, _ in examples(*FILES)]
    alike = process.cdist(texts, texts, scorer=fuzz.ratio, score_cutoff=85)
    assert [(texts[a], texts[b]) for a, b in zip(*alike.nonzero(), strict=True) if a < b] == []


def test_the_figures_in_the_readme_are_true():
    readme = (ROOT / "demo/training/README.md").read_text("utf-8")
    teams, numbered = {}, {}
    for name in FILES:
        answers = [answer for _, _, answer in examples(name)]
        teams[name] = Counter(answer["team"] for answer in answers)
        numbered[name] = Counter(answer["team"] for answer in answers if answer["order"])
    rows = [(f"`{team}`", *(count[name][team] for name in FILES for count in (teams, numbered))) for team in TEAMS]
    rows.append(("all", *(count[name].total() for name in FILES for count in (teams, numbered))))
    for row in rows:
        assert f"| {' | '.join(map(str, row))} |" in readme
    assert f"{teams['train'].total()} examples, `routing.validation.jsonl` {teams['validation'].total()}," in readme
