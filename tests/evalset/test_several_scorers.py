"""`[[scorers]]`: several scorers of one set, each with its own settings, and one that decides what passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.records import Completion

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.evalset import EvalSet

    Fault = tuple[str, str, str]

FIRST = '[[scorers]]\ntype = "exact"\n[[scorers]]\n'
TABLES = 'write a table for each scorer: [[scorers]], and in it type = "exact"'
INTO = "write it into one of their tables"
GOOD = [{"id": "a", "input": "?", "expected": "yes"}, {"id": "b", "input": "!", "expected": "no"}]
TWO = """[[scorers]]
name = "short"
type = "regex"

[[scorers]]
type = "label"
labels = ["yes", "no"]
decides = true
"""
PATTERN = [{**line, "metadata": {"pattern": "[a-z]{1,3}"}} for line in GOOD]
EXACT = TWO.replace("regex", "exact")
WITH_KEY = TWO.replace('"regex"', '"regex"\nexpected = "pattern"')


def test_one_scorer_decides_and_the_others_are_parts_of_the_score(load: Callable[..., EvalSet]) -> None:
    eval_set = load(PATTERN, WITH_KEY)
    assert eval_set.scorer.name == eval_set.settings.scorer == "label"
    assert list(eval_set.others) == ["short"]
    score = eval_set.score(eval_set.cases[0], Completion("no"))
    assert (score.passed, score.label) == (False, "no")
    assert score.parts is not None
    assert score.parts["short"].passed
    assert not (eval_set.score(eval_set.cases[0], Completion("YES!")).parts or {})["short"].passed


def test_the_first_scorer_decides_where_none_says_that_it_does(load: Callable[..., EvalSet]) -> None:
    eval_set = load(GOOD, FIRST + 'type = "contains"\n')
    assert eval_set.scorer.name == "exact"
    score = eval_set.score(eval_set.cases[0], Completion("yes, sir"))
    assert not score.passed
    assert (score.parts or {})["contains"].passed


def test_scorers_are_named_by_type_and_keep_their_own_settings(load: Callable[..., EvalSet]) -> None:
    eval_set = load(
        GOOD,
        '[[scorers]]\ntype = "exact"\nnormalize = ["casefold"]\n[[scorers]]\nname = "strict"\ntype = "exact"\n'
        '[[scorers]]\ntype = "f1"\nthreshold = 0.5\n',
    )
    score = eval_set.score(eval_set.cases[0], Completion("YES"))
    assert score.passed
    assert {name: part.passed for name, part in (score.parts or {}).items()} == {"strict": False, "f1": True}


def test_every_setting_of_every_scorer_is_part_of_the_hash(load: Callable[..., EvalSet]) -> None:
    texts = [
        TWO.replace('"regex"', '"contains"'),
        TWO.replace('"regex"', '"exact"'),
        TWO.replace('"regex"', '"exact"\nnormalize = ["casefold"]'),
        TWO.replace('"regex"', '"f1"\nthreshold = 0.5'),
        TWO.replace('"regex"', '"f1"\nthreshold = 0.6'),
        TWO.replace('"short"', '"brief"').replace('"regex"', '"exact"'),
        'scorer = "label"\nlabels = ["yes", "no"]\n',
    ]
    hashes = [load(GOOD, text).settings_sha256 for text in texts]
    assert len(set(hashes)) == len(texts)


def test_a_gate_is_on_the_scorer_that_it_names(load: Callable[..., EvalSet]) -> None:
    gates = '[[gates]]\nmin = 0.5\nscorer = "label"\n[[gates]]\nmin = 0.9\nscorer = "short"\nmetric = "accuracy"\n'
    rules = load(PATTERN, WITH_KEY + gates).settings.rules
    assert [(rule.scorer, rule.label) for rule in rules] == [
        ("", "accuracy>=0.5"),
        ("short", "accuracy>=0.9,scorer=short"),
    ]


@pytest.mark.parametrize(
    ("toml", "line", "problem", "hint"),
    [
        (
            EXACT + '[[gates]]\nmin = 1\nscorer = "shrt"\n',
            11,
            "gates[0].scorer: the set has no scorer 'shrt'",
            "did you mean 'short'?",
        ),
        (
            '[[gates]]\nmin = 1\nscorer = "exact"\n',
            3,
            "gates[0].scorer: the set has no scorer 'exact'",
            "leave it out, or name several scorers: [[scorers]]",
        ),
        (
            EXACT + '[[gates]]\nmax = 1\nscorer = "short"\nmetric = "latency_p95"\n',
            11,
            "gates[0].scorer: latency_p95 is the same for every scorer",
            "leave scorer out",
        ),
        (
            EXACT + '[[gates]]\nmin = 1\nscorer = "short"\nmetric = "macro_f1"\n',
            12,
            "gates[0].metric: scorer exact does not support macro_f1",
            'gate accuracy, or choose scorer = "label"',
        ),
        (
            TWO.replace('"regex"', '"exact"\ndecides = true'),
            9,
            "scorers[1].decides: another scorer decides too",
            "only one scorer decides what passed",
        ),
        (FIRST + 'type = "exact"\n', 3, "scorers[1]: two scorers are called 'exact'", 'give one a name: name = "…"'),
        ('[[scorers]]\nname = "x"\n', 1, "scorers[0]: the table has no type", 'name the scorer: type = "exact"'),
        ("scorers = []\n", 1, "scorers: not a list of tables", TABLES),
        ('[scorers]\ntype = "exact"\n', 1, "scorers: not a list of tables", TABLES),
        ('scorer = "exact"\n[[scorers]]\ntype = "exact"\n', 1, "scorer: does not go with [[scorers]]", INTO),
        ('normalize = ["nfkc"]\n[[scorers]]\ntype = "exact"\n', 1, "normalize: does not go with [[scorers]]", INTO),
        (
            '[[scorers]]\ntype = "exact"\nexpected = "form"\n',
            3,
            "scorers[0].expected: has no effect here",
            "leave expected out",
        ),
        (FIRST + 'type = "exct"\n', 4, "scorers[1].type: unknown scorer 'exct'", "did you mean 'exact'?"),
        (
            FIRST + 'type = "contains"\ndecide = true\n',
            5,
            "scorers[1].decide: unknown key",
            "did you mean 'decides'?",
        ),
        (FIRST + 'type = "label"\n', 4, "scorers[1].type: scorer 'label' needs labels", ""),
        (FIRST + 'type = "schema"\nschema = "no.json"\n', 5, "", ""),
        (
            FIRST + 'type = "contains"\nlabels = ["a"]\n',
            5,
            "scorers[1].labels: 'labels' has no effect on scorer 'contains'",
            "",
        ),
    ],
)
def test_each_fault_of_the_tables_is_reported_at_its_line(
    faults: Callable[..., list[Fault]], toml: str, line: int, problem: str, hint: str
) -> None:
    found: Any = faults(GOOD, toml)
    assert len(found) == 1
    where, what, remedy = found[0]
    assert where.endswith(f".toml:{line}")
    assert problem in what
    assert hint in remedy


def test_a_gate_on_labels_of_its_own_key_counts_those(load: Callable[..., EvalSet]) -> None:
    toml = (
        FIRST + 'type = "label"\nlabels = ["a", "b"]\nexpected = "kind"\n'
        '[[gates]]\nscorer = "label"\nmetric = "macro_f1"\nmin = 0.5\nconfidence = 0.95\n'
    )
    lines = [
        {"id": str(n), "input": f"{n}", "expected": f"answer {n}", "metadata": {"kind": "ab"[n % 2]}} for n in range(40)
    ]
    eval_set = load(lines, toml)
    expected_label = eval_set.table(()).part("label").expected_label
    assert expected_label is not None
    assert {expected_label(row.case) for row in eval_set.table(()).part("label").rows} == {"a", "b"}


def test_a_line_must_suit_every_scorer(faults: Callable[..., list[Fault]]) -> None:
    found: Any = faults([*PATTERN[:1], GOOD[1]], WITH_KEY)
    assert len(found) == 1
    assert found[0][0].endswith(".jsonl:2")
    assert "the metadata has no 'pattern'" in found[0][1]
    found = faults([{**GOOD[0], "metadata": {"pattern": "["}}], WITH_KEY)
    assert found[0][0].endswith(".jsonl:1")
    assert found[0][2] == "the scorer is short: fix the line, or use another scorer"
