from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.verdicts import scoring
from pytest_finetune.verdicts.evalset.scorer_names import built_in_scorers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THRESHOLD = {"scorer_options": {"threshold": 0.5}}
SETTINGS: dict[str, dict[str, Any]] = {
    "label": {"labels": ["a", "b"]},
    "schema": {"schema": {"type": "object"}},
    "embedding": {"scorer_options": {"model": "e", "threshold": 0.8}},
    "judge": {"labels": ["a", "b"], "scorer_options": {"model": "j", "rubric": "r", "passes": ["a"]}},
    "not": {"scorer_options": {"of": "exact"}},
    "preference": {
        "scorer_options": {"model": "j", "rubric": "r"},
        "gates": [{"metric": "win_rate", "min": 0.5}],
    },
    "sql_result": {"scorer_options": {"database": "tables.sql"}},
    **dict.fromkeys(("bleu", "chrf", "f1", "fuzzy", "rouge_l"), THRESHOLD),
}


@pytest.mark.parametrize("name", built_in_scorers())
def test_every_scorer_is_made_by_its_name(scorer: Callable[..., Any], tmp_path: Path, name: str) -> None:
    (tmp_path / "tables.sql").write_text("CREATE TABLE t (a)")
    made = scorer(name, **SETTINGS.get(name, {}))
    assert made.name == name
    # Their patterns and schemas may take long, so they are scored off the event loop.
    assert made.blocking is (name in ("not", "regex", "sql_result", "tool_call"))
    assert made.warnings == ()


def test_a_misspelt_scorer_gets_a_suggestion(scorer: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown scorer 'exakt'; did you mean 'exact'\?"):
        scorer("exakt")


@pytest.mark.parametrize(
    ("name", "settings", "key"),
    [
        ("exact", {"labels": ["a"]}, "labels"),
        ("label", {"labels": ["a"], "schema": "x.json"}, "schema"),
        ("schema", {"schema": "x.json", "normalize": ["strip"]}, "normalize"),
        ("json", {"dialect": "mysql"}, "dialect"),
        ("package:function", {"labels": ["a"]}, "labels"),
    ],
)
def test_a_setting_without_effect_is_refused(
    scorer: Callable[..., Any], name: str, settings: dict[str, Any], key: str
) -> None:
    with pytest.raises(ScorerError, match=f"'{key}' has no effect on scorer '{name}'"):
        scorer(name, **settings)


@pytest.mark.parametrize(
    ("name", "settings", "readers"),
    [
        ("exact", {"labels": ["a"]}, "judge, label, not"),
        ("exact", {"dialect": "mysql"}, "not, sql"),
        ("exact", {"scorer_files": ["a.txt"]}, "not, package.module:function"),
    ],
)
def test_scorers_that_read_a_setting_are_named(
    scorer: Callable[..., Any], name: str, settings: dict[str, Any], readers: str
) -> None:
    with pytest.raises(ScorerError) as caught:
        scorer(name, **settings)
    assert caught.value.hint == f"remove it, or use a scorer that reads it: {readers}"


def test_scorers_with_a_metric_are_known() -> None:
    assert scoring.scorers_with("macro_f1") == ["label", "refusal"]
    assert scoring.scorers_with("field_accuracy") == ["json", "tool_call"]


@pytest.mark.parametrize(
    ("name", "target", "problem", "hint"),
    [
        ("not_installed", None, "there is no scorer 'not_installed'", "install the package that provides it"),
        (
            "broken",
            "no_such_package:Scorer",
            (
                "scorer 'broken' cannot be imported from no_such_package:Scorer: ModuleNotFoundError:"
                " No module named 'no_such_package'"
            ),
            "fix or reinstall the package that provides it",
        ),
        ("a_function", "json:dumps", "json:dumps is not a subclass of pytest_finetune.Scorer", ""),
        ("a_class", "json:JSONDecoder", "json:JSONDecoder is not a subclass of pytest_finetune.Scorer", ""),
    ],
)
def test_a_scorer_that_a_package_does_not_provide_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, target: str | None, problem: str, hint: str
) -> None:
    points = {name: EntryPoint(name, target, "pytest_finetune.scorers")} if target else {}
    monkeypatch.setattr(scoring, "installed_scorers", lambda: points)
    with pytest.raises(ScorerError) as caught:
        scoring.scorer_class(name)
    assert (caught.value.problem, caught.value.hint) == (problem, hint)


def test_a_scorer_of_an_installed_package_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    target = "pytest_finetune.verdicts.scoring.scorers.exact:ExactScorer"
    monkeypatch.setattr(scoring, "installed_scorers", lambda: {"own": EntryPoint("own", target, "x")})
    assert scoring.scorer_class("own").__name__ == "ExactScorer"


def test_a_light_scorer_imports_no_heavy_library() -> None:
    code = (
        "import sys; from pathlib import Path; from pytest_finetune.verdicts.evalset.settings import EvalSettings\n"
        "from pytest_finetune.verdicts.scoring import make_scorer\n"
        "make_scorer(EvalSettings(scorer='json'), Path())\n"
        "print([m for m in ('jsonschema', 'regex', 'regress', 'sqlglot', 'scipy', 'referencing') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"
