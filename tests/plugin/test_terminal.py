"""The closing section as a whole, against texts kept beside this file (UPDATE_GOLDEN=1 writes them anew)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
LABELS = 'scorer = "label"\nlabels = ["bug", "feature", "other"]\n'
GATES = """
[[gates]]
min = 0.5
confidence = 0.95
[[gates]]
min = 0.99
[[gates]]
metric = "valid_rate"
min = 0.9
where = { tag = "en" }
[[gates]]
metric = "accuracy"
against = "production"
max_drop = 0.02
"""
UNSTABLE = """
scorer = "json"
[stability]
repeats = 3
temperature = 0.7
[[gates]]
metric = "format_stability"
min = 0.9
"""


def closing(result):
    """The closing section, with what differs from run to run made equal."""
    text = result.stdout.str()
    text = text[text.index("= finetune =") :].partition("= short test summary")[0].partition("\n=====")[0]
    text = re.sub(r"[0-9]+/[0-9]+ ms", "    1/2 ms", text)
    text = re.sub(r"^run \S+:", "run ID:", text, flags=re.MULTILINE)
    return "\n".join(re.sub(r" {2,}(?=1/2 ms)", "  ", line).rstrip() for line in text.splitlines()[1:]).strip() + "\n"


def compare(name, text):
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.fixture
def labelled(suite):
    expected = ["bug", "feature", "other"] * 4
    inputs = ["bug", "feature", "other", "feature", "feature", "neither", *expected[6:]]
    return suite(expected, inputs=inputs, toml=LABELS + GATES, tags=["en"], metadata={"team": "web"})


def test_gates_of_every_verdict(labelled, evaluate):
    compare("gates", closing(evaluate(model="ft:new")))


def test_verbose_shows_labels_and_slices(labelled, evaluate):
    compare("verbose", closing(evaluate("-v", model="ft:new")))


def test_two_models_and_a_baseline(labelled, evaluate, server):
    answers = {"old": lambda asked: asked, "new": lambda asked: "bug" if asked == "other" else asked}
    server.answer = lambda body: answers[body["model"]](body["messages"][-1]["content"])
    compare("baseline", closing(evaluate("--baseline=old", model="new")))


def test_repeats_show_what_is_not_stable(suite, evaluate, server):
    suite([{"name": "Ada"}] * 4, inputs=["Ada"] * 4, toml=UNSTABLE)
    asked = iter(range(100))

    def answer(body):
        turn = next(asked) % 3
        return json.dumps([{"name": "Ada"}, {"name": 1}, {"name": "Ada", "age": None}][turn])

    server.answer = answer
    compare("stability", closing(evaluate("--concurrency=1", model="m")))
