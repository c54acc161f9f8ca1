"""The shipped eval sets load without faults, the documents' examples work, and every option is documented."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from pytest_finetune.plugin.options import add_options
from pytest_finetune.verdicts.loading import load_eval_sets

ROOT = Path(__file__).parents[1]

SHIPPED = {"feedback": "eval_sets", "profile": "eval_sets", "routing": "demo/eval_sets"}


def shipped(name):
    (eval_set,) = load_eval_sets([ROOT / SHIPPED[name] / f"{name}.jsonl"], root=ROOT)
    return eval_set


def examples(document):
    """Each block of cases, with the settings in the next block if there are any."""
    text = (ROOT / document).read_text("utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for (kind, body), (next_kind, next_body) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "json":
            yield body, next_body if next_kind == "toml" else None


@pytest.mark.parametrize(("name", "least"), [("feedback", 120), ("profile", 60), ("routing", 150)])
def test_a_shipped_eval_set_loads_without_fault_or_warning(name, least):
    eval_set = shipped(name)
    assert len(eval_set.cases) >= least
    assert eval_set.warnings == ()
    assert eval_set.settings.gates


def test_shipped_sets_have_no_duplicate_prompts():
    for name in SHIPPED:
        prompts = Counter(str(case.messages) for case in shipped(name).cases)
        assert prompts.most_common(1)[0][1] == 1


def test_the_counts_in_the_readme_of_the_eval_sets_are_true():
    readme = (ROOT / "eval_sets/README.md").read_text("utf-8")
    feedback, profile = shipped("feedback").cases, shipped("profile").cases
    assert f"{len(feedback)} cases." in readme
    assert f"{len(profile)} cases," in readme
    for label in ("bug", "feature", "question", "other"):
        mine = [case for case in feedback if case.expected == (label,)]
        en, zh = (sum(language in case.tags for case in mine) for language in ("en", "zh"))
        assert f"| `{label}` | {en} | {zh} | {len(mine) - en - zh} | {len(mine)} |" in readme
    for tag, count in Counter(tag for case in feedback for tag in case.tags).items():
        assert re.search(rf"`{tag}`.*\b{count}\b", readme), (tag, count)


def test_the_figures_of_routing_in_the_readme_are_true():
    readme = (ROOT / "demo/README.md").read_text("utf-8")
    cases = shipped("routing").cases
    teams = Counter(case.expected[0]["team"] for case in cases)
    numbered = Counter(case.expected[0]["team"] for case in cases if case.expected[0]["order"])
    for team, count in teams.items():
        assert f"| `{team}` | {numbered[team]} | {count - numbered[team]} | {count} |" in readme
    assert f"{len(cases)} cases, {teams['sales']} for each team, {numbered.total()} with an order number." in readme
    assert len(set(teams.values())) == 1
    assert f"| `order`, `no-order` | {numbered.total()}, {len(cases) - numbered.total()} |" in readme
    for tag, count in Counter(tag for case in cases for tag in case.tags).items():
        assert re.search(rf"`{tag}`.*\b{count}\b", readme), (tag, count)


def test_the_tags_of_routing_match_its_messages():
    for case in shipped("routing").cases:
        message, order = case.messages[-1].content, case.expected[0]["order"]
        digits = re.findall(r"\d+", message)
        assert digits.count(order) == (order is not None), case.id
        facts = {
            "order": order is not None,
            "no-order": order is None,
            "decoy-number": any(number != order for number in digits),
            "long": len(message.split()) >= 25,
            "short": len(message.split()) <= 7,
        }
        assert set(case.tags) & set(facts) == {tag for tag, holds in facts.items() if holds}, case.id


@pytest.mark.parametrize("document", ["README.md", "docs/eval-sets.md"])
def test_every_example_of_an_eval_set_loads(document, tmp_path):
    found = list(examples(document))
    assert found
    for number, (cases, settings) in enumerate(found):
        path = tmp_path / f"example-{number}.jsonl"
        # The documents show two lines of a set; a gate with confidence needs more.
        more = [{"id": f"more-{n}", "input": f"text {n}", "expected": "bug"} for n in range(72)]
        certain = settings is not None and "confidence" in settings
        path.write_text(cases + "".join(json.dumps(one) + "\n" for one in (more if certain else ())), "utf-8")
        if settings is not None:
            path.with_suffix(".toml").write_text(settings, "utf-8")
        (eval_set,) = load_eval_sets([path], root=tmp_path)
        assert len(eval_set.cases) == len(cases.strip().splitlines()) + 72 * certain


@pytest.mark.parametrize(("name", "cases"), [("routing.first-60", 60), ("routing.validation", 60)])
def test_training_data_in_chat_format_loads(name, cases):
    (eval_set,) = load_eval_sets([ROOT / f"demo/training/{name}.jsonl"], root=ROOT)
    assert len(eval_set.cases) == cases


def test_every_option_is_documented():
    parser = pytest.Parser(_ispytest=True)
    add_options(parser)
    options = [option.names() for group in parser._groups for option in group.options]
    assert len(options) >= 20
    pages = " ".join(
        path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "reference.md"
    )
    documented = set(re.findall(r"--[a-z-]+", pages))
    assert [names for names in options if documented.isdisjoint(names)] == []
