"""The scorer `embedding` in whole sessions: texts are embedded by the engine, similarities recorded and judged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_server import Reply, error
from static_models import small_model

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import RunStore

TOML = """\
normalize = ["strip", "casefold"]
[scorer]
type = "embedding"
model = "{model}"
threshold = 0.75
[[gates]]
metric = "score"
min = 0.5
[[gates]]
min = 0.5
"""
VECTORS = {"bug": [1, 0], "error": [0.8, 0.6], "praise": [0, 1], "insult": [-1, 0]}


def answer(body):
    """The model under test echoes; the embedding model knows four words."""
    if "input" not in body:
        return body["messages"][-1]["content"]
    data = [{"index": place, "embedding": VECTORS[text]} for place, text in enumerate(body["input"])]
    return Reply(body={"data": data, "model": "e-1", "usage": {"prompt_tokens": 3, "total_tokens": 3}})


@pytest.fixture
def embedded(suite, server):
    """Similarity with `bug`: 1, 0.8, 0 and less than 0."""
    server.answer = answer
    suite(["bug"] * 4, inputs=["Bug", "error", "praise", "insult"], toml=TOML.format(model="e"))


def embeddings(server):
    return [request.json["input"] for request in server.requests if request.path.endswith("/embeddings")]


@pytest.mark.usefixtures("embedded")
def test_answers_pass_by_their_similarity(evaluate, server, pytester):
    result = evaluate("-v")
    result.stdout.fnmatch_lines(
        ["*gate?score>=0.5? FAILED*", "*gate?accuracy>=0.5? PASSED*", "*score *0.450*", "*accuracy>=0.5 *0.500*"]
    )
    assert sorted(embeddings(server)) == [[text, "bug"] for text in ("bug", "error", "insult", "praise")]
    samples = RunStore(pytester.path / ".finetune/runs").find("last").samples().values()
    found = {sample.case_id: (sample.score.value, sample.replies[0].completion.text) for sample in samples}
    assert found == {
        "case-0": (1.0, "[1.0]"),
        "case-1": (0.8, "[0.8]"),
        "case-2": (0.0, "[0.0]"),
        "case-3": (0.0, "[-1.0]"),
    }


@pytest.mark.usefixtures("embedded")
def test_a_replay_scores_with_another_threshold_without_requests(suite, evaluate, server):
    evaluate()
    server.requests.clear()
    toml = TOML.format(model="e").replace("0.75", "0.9")
    suite(["bug"] * 4, inputs=["Bug", "error", "praise", "insult"], toml=toml)
    evaluate(model="replay:last").stdout.fnmatch_lines(["*accuracy>=0.5 *0.250*"])
    assert embeddings(server) == []


def test_the_nearest_of_several_expected_texts_counts(suite, evaluate, server):
    server.answer = answer
    suite([["praise", "error"]], inputs=["bug"], toml=TOML.format(model="e"))
    assert evaluate().ret == 0
    assert embeddings(server) == [["bug", "praise", "error"]]


def test_nothing_is_asked_about_an_answer_without_text(suite, evaluate, server):
    server.answer = lambda body: "" if "messages" in body else answer(body)
    suite(["bug"], toml=TOML.format(model="e"))
    assert evaluate().ret == 1
    assert embeddings(server) == []


@pytest.mark.parametrize(
    "reply",
    [
        error(404, "no such model", code="model_not_found"),
        error(400, "bad input"),
        Reply(body={"data": []}),
        Reply(body={"data": [{"index": 0, "embedding": [1, 0]}]}),
        Reply(body={"data": [{"index": 0, "embedding": [0, 0]}, {"index": 1, "embedding": [1, 0]}]}),
    ],
    ids=["unknown model", "refused", "no vectors", "too few vectors", "a vector of zeros"],
)
def test_without_similarities_nothing_passes(suite, evaluate, server, reply):
    server.answer = lambda body: reply if "input" in body else "bug"
    suite(["bug"] * 2, toml=TOML.format(model="e"))
    result = evaluate()
    assert result.ret != 0
    assert "ships: " not in result.stdout.str().replace("does not ship yet:", "")
    assert "2 incomplete" in result.stdout.str()


def test_a_static_model_needs_no_server(suite, evaluate, server, tmp_path):
    suite(["bug"] * 2, inputs=["error", "praise"], toml=TOML.format(model=f"model2vec:{small_model(tmp_path)}"))
    result = evaluate()
    result.stdout.fnmatch_lines(["*accuracy>=0.5 *0.500*"])
    assert embeddings(server) == []


def test_the_example_of_the_page_runs(suite, evaluate, server):
    page = (Path(__file__).parents[2] / "docs" / "eval-sets.md").read_text("utf-8")
    (toml,) = re.findall(r"```toml\n([^`]*\"embedding\"[^`]*)```", page)
    server.answer = answer
    suite(["bug"] * 30, toml=toml)
    evaluate().stdout.fnmatch_lines(["*pass *score>=0.85 *1.000*"])


def test_a_static_model_that_is_missing_is_an_error_before_any_request(suite, evaluate, server):
    suite(["bug"] * 2, toml=TOML.format(model="model2vec:./nowhere"))
    result = evaluate()
    assert result.ret == 4
    assert "there is no such folder" in result.stderr.str() + result.stdout.str()
    assert server.requests == []


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ('[scorer]\ntype = "embedding"\nthreshold = 0.8\n', 'model = "text-embedding-3-small"'),
        ('[scorer]\ntype = "embedding"\nmodel = "e"\n', "threshold = 0.8"),
        ('[scorer]\ntype = "embedding"\nmodel = "e"\nthreshold = 0\n', "threshold"),
        ('[scorer]\ntype = "embedding"\nmodel = "e"\nmin = 0.8\n', "min"),
    ],
)
def test_settings_that_are_missing_are_named(suite, pytester, toml, problem):
    suite(["bug"], toml=toml + "[[gates]]\nmin = 1.0\n")
    result = CliRunner().invoke(main, ["gates", "check", str(pytester.path / "eval_sets"), "--json"])
    assert result.exit_code == 2
    assert problem in json.dumps(result.output) or problem in result.output
