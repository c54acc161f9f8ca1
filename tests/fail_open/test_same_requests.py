"""Cases with the same request are reported, and each has its own answer, whatever the timing and the cache."""

from __future__ import annotations

from itertools import count

import pytest
from scripted_server import Reply

HALF = "[[gates]]\nmin = 0.5\n"
STRICT = "[[gates]]\nmin = 0.9\n"


@pytest.fixture
def alternating(server):
    """Every other answer of the server is wrong, so that shared answers would change the accuracy."""
    number = count()
    server.answer = lambda body: Reply(body["messages"][-1]["content"] if next(number) % 2 else "wrong")
    return server


def accuracy(result):
    line = next(line for line in result.outlines if line.startswith("tickets.jsonl"))
    return line.split()[1]


def test_cases_with_one_request_each_have_an_answer_and_keep_it_in_the_cache(suite, evaluate, alternating):
    suite(["right"] * 20, toml=HALF)
    first = evaluate(cache=True)
    assert (accuracy(first), len(alternating.questions)) == ("0.500", 20)
    again = evaluate(cache=True)
    assert (accuracy(again), len(alternating.questions)) == ("0.500", 20)


@pytest.mark.parametrize("concurrency", [1, 20])
def test_the_number_in_flight_does_not_change_what_is_requested(suite, evaluate, alternating, concurrency):
    suite(["right"] * 20, toml=HALF)
    result = evaluate(f"--concurrency={concurrency}", cache=True)
    assert (accuracy(result), len(alternating.questions)) == ("0.500", 20)


def test_two_sets_with_one_case_each_have_their_own_answer(suite, evaluate, alternating):
    suite(["right"] * 10, toml=HALF)
    suite(["right"] * 10, toml=HALF, name="more")
    evaluate(cache=True)
    assert len(alternating.questions) == 20
    evaluate(cache=True)
    assert len(alternating.questions) == 20


def test_a_set_that_only_a_mark_names_has_its_own_answers(pytester, suite, evaluate, alternating):
    suite(["right"] * 10, toml=HALF)
    pytester.path.joinpath("marked").mkdir()
    for name in ("one", "two"):
        pytester.path.joinpath("marked", f"{name}.jsonl").write_bytes(
            pytester.path.joinpath("eval_sets", "tickets.jsonl").read_bytes()
        )
    pytester.path.joinpath("marked", "test_marked.py").write_text(
        "import pytest\n"
        + "".join(
            f"@pytest.mark.eval_set('{name}.jsonl')\ndef test_{name}(eval_completion): assert eval_completion.text\n"
            for name in ("one", "two")
        )
    )
    evaluate("--concurrency=1", cache=True)
    assert len(alternating.questions) == 30
    evaluate("--concurrency=1", cache=True)
    assert len(alternating.questions) == 30


def warnings_of(result):
    return " ".join(" ".join(result.outlines).split())


def test_a_prompt_with_contradicting_answers_is_named(suite, evaluate):
    suite(
        ["bug", "other", "bug"],
        inputs=["it broke", "it broke", "fine"],
        toml='scorer = "label"\nlabels = ["bug", "other"]\n' + STRICT,
    )
    text = warnings_of(evaluate("-q"))
    assert (
        "cases 'case-0' (line 1) and 'case-1' (line 2) send the same request, but have no expected answer in common"
        in text
    )


def test_forty_copies_of_one_prompt_are_named(suite, evaluate):
    suite(["a"] * 40 + [f"word-{number}" for number in range(400)], toml=STRICT)
    text = warnings_of(evaluate("-q"))
    assert "39 of 440 cases repeat the request of an earlier one, such as 'case-1' (line 2) that of 'case-0'" in text


@pytest.mark.parametrize(
    ("expected", "inputs"),
    [
        (["a", "b", "c"], None),
        (["a"] * 2 + [f"word-{number}" for number in range(40)], None),
        (
            [["a", "b"], ["b", "c"], *(f"w-{number}" for number in range(30))],
            ["x", "x", *(f"w-{n}" for n in range(30))],
        ),
    ],
)
def test_a_few_copies_and_answers_in_common_are_not_named(suite, evaluate, expected, inputs):
    suite(expected, inputs=inputs, toml=STRICT)
    text = warnings_of(evaluate("-q"))
    assert "send the same request" not in text
    assert "repeat the request" not in text
