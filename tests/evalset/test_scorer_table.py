"""The table `[scorer]`: every key is read by the scorer or refused at its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.evalset import EvalSet

    Fault = tuple[str, str, str]

GOOD = [{"id": "a", "input": "?", "expected": "5"}]


def test_a_scorer_has_its_own_settings_in_a_table(load: Callable[..., EvalSet]) -> None:
    eval_set = load(GOOD, '[scorer]\ntype = "number"\nabsolute = 0.5\n')
    assert eval_set.scorer.name == eval_set.settings.scorer == "number"
    assert eval_set.settings.scorer_options == {"absolute": 0.5}
    other = load(GOOD, '[scorer]\ntype = "number"\nabsolute = 0.6\n')
    assert other.settings_sha256 != eval_set.settings_sha256


def test_the_table_and_the_name_are_the_same_settings(load: Callable[..., EvalSet]) -> None:
    short = load(GOOD, 'scorer = "exact"\nnormalize = ["nfkc"]\n')
    table = load(GOOD, '[scorer]\ntype = "exact"\nnormalize = ["nfkc"]\n')
    inline = load(GOOD, 'scorer = { type = "exact" }\nnormalize = ["nfkc"]\n')
    assert short.settings_sha256 == table.settings_sha256 == inline.settings_sha256


@pytest.mark.parametrize(
    ("toml", "line", "problem", "hint"),
    [
        ('[scorer]\ntype = "number"\n\nabsolut = 1\n', 4, "scorer.absolut: unknown key", "did you mean 'absolute'?"),
        ('[scorer]\ntype = "exact"\nnormalise = []\n', 3, "scorer.normalise: unknown key", "did you mean 'normalize'?"),
        ('[scorer]\ntype = "exact"\nzzz = 1\n', 3, "scorer.zzz: unknown key", "known: normalize, type"),
        ('[scorer]\nname = "exact"\n', 1, "scorer: the table has no type", "did you mean 'type'?; name the scorer: "),
        ('[scorer]\ntype = "numbr"\n', 2, "scorer.type: unknown scorer 'numbr'", "did you mean 'number'?"),
        ("[scorer]\ntype = 5\n", 2, "scorer.type: Input should be a valid string", ""),
        ('[scorer]\ntype = "fuzzy"\n', 1, "scorer: needs threshold", "the lowest score that passes: threshold = 0.8"),
        (
            '[scorer]\ntype = "fuzzy"\nthreshold = 5\n',
            3,
            "scorer.threshold: Input should be less than or equal to 1",
            "the lowest score that passes: threshold = 0.8",
        ),
        (
            'labels = ["a"]\n[scorer]\ntype = "label"\nlabels = ["b"]\n',
            4,
            "scorer.labels: labels is also at the top of the file",
            "keep one of them",
        ),
        (
            '[scorer]\ntype = "label"\nlabels = ["a", " a"]\n',
            3,
            "scorer.labels: labels 'a' and ' a' are the same after normalizing",
            "remove one, or normalize less",
        ),
        ('[scorer]\ntype = "exact"\nnormalize = ["x"]\n', 3, "scorer.normalize[0]: unknown value 'x'", "known: "),
        ("scorer_options = {}\n", 1, "scorer_options: unknown key", 'write a table: [scorer], and in it type = "…"'),
        (
            '[scorer]\ntype = "not"\nof = { type = "fuzzy" }\n',
            1,
            "scorer: scorer 'fuzzy': needs threshold",
            "the lowest",
        ),
        ('scorer = "number"\nabsolute = 1\n', 2, "absolute: unknown key", "the settings of a scorer are in [scorer]"),
    ],
)
def test_a_key_that_nothing_reads_is_reported_at_its_line(
    fault: Callable[..., Fault], toml: str, line: int, problem: str, hint: str
) -> None:
    found: Any = fault(GOOD, toml)
    assert found[0] == f"set.toml:{line}"
    assert found[1].startswith(problem)
    assert hint in found[2]


def test_all_faults_of_the_table_are_reported_together(faults: Callable[..., list[Fault]]) -> None:
    found = faults(GOOD, '[scorer]\ntype = "number"\nabsolute = -1\nrelative = 2\nunits = "km"\n')
    assert [(where, problem.partition(":")[0]) for where, problem, _ in found] == [
        ("set.toml:5", "scorer.units"),
        ("set.toml:3", "scorer.absolute"),
        ("set.toml:4", "scorer.relative"),
    ]
