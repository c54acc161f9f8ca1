from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure, Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.scoring import make_scorer
from pytest_finetune.verdicts.scoring.function import FunctionScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_finetune.base.records import Case

SOURCE = """
from pytest_finetune.base.records import Score

def same(case, completion):
    return completion.text == case.expected[0]

def detailed(case, completion):
    return Score(passed=False, detail="by a hair")

def breaks(case, completion):
    return 1 / 0

def returns_text(case, completion):
    return "yes"

async def waits(case, completion):
    return True

NUMBER = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with a unique name next to the eval set; unloaded after the test."""
    name = f"scorers_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield name
    sys.modules.pop(name, None)


def test_a_function_next_to_the_eval_set_is_used(
    scorer: Callable[..., Any], case: Callable[..., Case], module: str
) -> None:
    before = list(sys.path)
    made = scorer(f"{module}:same")
    assert sys.path == before
    assert made.name == f"{module}:same"
    assert made.blocking
    assert made.check(case()) is None
    assert made.score(case("a"), Completion("a")) == Score(passed=True)
    assert made.score(case("a"), Completion("b")) == Score(passed=False)


def test_a_returned_score_is_used_unchanged(scorer: Callable[..., Any], case: Callable[..., Case], module: str) -> None:
    assert scorer(f"{module}:detailed").score(case(), Completion("b")).detail == "by a hair"


def test_a_missing_answer_is_named_by_its_cause(
    scorer: Callable[..., Any], case: Callable[..., Case], module: str
) -> None:
    assert scorer(f"{module}:same").score(case("a"), Completion("")).format_failure is FormatFailure.EMPTY


def test_an_exception_of_the_function_is_reported_with_its_line(
    scorer: Callable[..., Any], case: Callable[..., Case], module: str
) -> None:
    with pytest.raises(ScorerError, match="ZeroDivisionError") as caught:
        scorer(f"{module}:breaks").score(case(), Completion("a"))
    assert caught.value.where.endswith(f"{module}.py:11")


def test_a_function_must_return_a_verdict(scorer: Callable[..., Any], case: Callable[..., Case], module: str) -> None:
    with pytest.raises(ScorerError, match="returned str"):
        scorer(f"{module}:returns_text").score(case(), Completion("a"))


@pytest.mark.parametrize(
    ("name", "problem", "hint"),
    [
        ("sane", "has no function 'sane'", "did you mean 'same'?"),
        ("", "has no function ''", "known:"),
        ("waits", "is not a plain function", "returns a bool or a Score"),
        ("NUMBER", "is not a plain function", "returns a bool or a Score"),
    ],
)
def test_an_object_that_is_not_a_function_is_refused(
    scorer: Callable[..., Any], module: str, name: str, problem: str, hint: str
) -> None:
    with pytest.raises(ScorerError, match=problem) as caught:
        scorer(f"{module}:{name}")
    assert hint in caught.value.hint


def test_a_module_that_cannot_be_imported_is_an_error(scorer: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "broken_scorer_module.py").write_text("raise RuntimeError('half done')", encoding="utf-8")
    before = list(sys.path)
    with pytest.raises(ScorerError, match="RuntimeError: half done"):
        scorer("broken_scorer_module:f")
    with pytest.raises(ScorerError, match="ModuleNotFoundError"):
        scorer("no_such_module_anywhere:f")
    with pytest.raises(ScorerError, match="cannot be imported"):
        scorer(":f")
    assert sys.path == before


@pytest.fixture
def written(tmp_path: Path, scorer: Callable[..., Any]) -> Callable[..., Any]:
    """Make a scorer of the function `judge` in a module of this source."""

    def make(source: str, name: str = "judge", folder: Path | None = None, **settings: Any) -> Any:
        ((folder or tmp_path) / "judges.py").write_text(source, "utf-8")
        return scorer(f"judges:{name}", **settings)

    return make


GATED = {"gates": [{"metric": "format_stability", "min": 0.5}, {"metric": "field_accuracy", "min": 0.5}, {"min": 0.5}]}
RETURNS = "from pytest_finetune import Score\ndef judge(case, completion):\n    return {}\n"


def test_only_public_functions_are_suggested(written: Callable[..., Any]) -> None:
    source = "NUMBER = 1\ndef judge(case, completion): ...\ndef _judged(case, completion): ...\n"
    with pytest.raises(ScorerError) as caught:
        written(source, "zzz")
    assert (caught.value.problem, caught.value.hint) == ("'judges' has no function 'zzz'", "known: judge")


def test_gates_that_need_more_than_a_bool_are_a_doubt_and_refuse_a_bool(
    written: Callable[..., Any], case: Callable[..., Case]
) -> None:
    made = written(RETURNS.format("True"), **GATED)
    assert made.warnings == (
        "gate format_stability>=0.5: it needs a Score from judges:judge, not a bool",
        "gate field_accuracy>=0.5: it needs a Score from judges:judge, not a bool",
    )
    with pytest.raises(ScorerError) as caught:
        made.score(case(), Completion("a"))
    assert caught.value.problem == "judges:judge returned bool, but a gate needs field_accuracy, format_stability"
    assert written(RETURNS.format("True"), gates=[{"min": 0.5}]).warnings == ()


@pytest.mark.parametrize(
    ("metric", "gates", "reported"),
    [
        ("valid_rate", ["valid_rate", "accuracy"], True),
        ("valid_rate", ["accuracy"], False),
        ("valid_rate", [], False),
        ("accuracy", ["accuracy"], False),
    ],
)
def test_a_metric_is_reported_only_if_a_gate_needs_it(metric: str, gates: list[str], *, reported: bool) -> None:
    settings = EvalSettings.model_validate({"gates": [{"metric": name, "min": 0.5} for name in gates]})
    assert FunctionScorer.reports(metric, settings) is reported


@pytest.mark.parametrize(
    ("score", "problem"),
    [
        ("Score(passed=1)", "passed is not a bool"),
        ("Score(False, 'empty')", "format_failure is not a FormatFailure"),
        ("Score(True, label=None)", "path, detail, label or shape is not text"),
        *((f"Score(True, value={value})", "value is not a number from 0 to 1") for value in (-0.1, 1.1, True, "'1'")),
        *((f"Score(True, wrong={wrong})", "wrong is not a tuple of JSON paths") for wrong in ("'$.a'", "(1,)", 2)),
        ("Score(True, fields=(2, 1))", "fields are not (right, all) with 0 <= right <= all and all above 0"),
        ("Score(True, fields=(-1, 1))", "fields are not (right, all) with 0 <= right <= all and all above 0"),
        ("Score(True, fields=(0, 0))", "fields are not (right, all) with 0 <= right <= all and all above 0"),
        ("Score(True, fields=(1, 1.5))", "fields are not (right, all) with 0 <= right <= all and all above 0"),
        ("Score(True, shape='{')", "shape is not JSON text"),
        ("Score(True, shape='\"string\"')", "fields are missing, but a gate needs field_accuracy"),
        ("Score(True, fields=(1, 2))", "shape is missing, but a gate needs format_stability"),
    ],
)
def test_a_score_that_cannot_be_used_is_an_error(
    written: Callable[..., Any], case: Callable[..., Case], score: str, problem: str
) -> None:
    with pytest.raises(ScorerError) as caught:
        written(RETURNS.format(score), **GATED).score(case(), Completion("a"))
    assert caught.value.problem == f"judges:judge returned a Score whose {problem}"


@pytest.mark.parametrize(
    "score",
    [
        "Score(True, fields=(1, 1), shape='{}', wrong=())",
        "Score(False, fields=(1, 2), shape='{}', wrong=('$.a',))",
        "Score(False, fields=(0, 1), shape='\"string\"')",
        "Score(False, __import__('pytest_finetune').FormatFailure.EMPTY, fields=(1, 2))",
    ],
)
def test_a_score_with_all_that_the_gates_need_is_taken(
    written: Callable[..., Any], case: Callable[..., Case], score: str
) -> None:
    assert isinstance(written(RETURNS.format(score), **GATED).score(case(), Completion("a")), Score)


def test_a_gate_on_the_score_needs_a_value_of_each_valid_answer(
    written: Callable[..., Any], case: Callable[..., Case]
) -> None:
    gate = {"gates": [{"metric": "score", "min": 0.5}]}
    for score in (
        "value=0",
        "value=0.5",
        "value=1",
        "format_failure=__import__('pytest_finetune').FormatFailure.EMPTY",
    ):
        assert written(RETURNS.format(f"Score(False, {score})"), **gate).score(case(), Completion("a"))
    with pytest.raises(ScorerError, match="a Score whose value is missing, but a gate needs score"):
        written(RETURNS.format("Score(True)"), **gate).score(case(), Completion("a"))


def test_a_score_needs_no_more_than_the_gates_do(written: Callable[..., Any], case: Callable[..., Case]) -> None:
    assert written(RETURNS.format("Score(True)")).score(case(), Completion("a")) == Score(passed=True)


def test_what_a_function_raises_is_shortened(written: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = written("def judge(case, completion):\n    raise RuntimeError('x' * 300)\n")
    with pytest.raises(ScorerError) as caught:
        made.score(case(), Completion("a"))
    shortened = shorten("RuntimeError: " + "x" * 300, 200)
    assert caught.value.problem == f"judges:judge broke: {shortened}"
    with pytest.raises(ScorerError) as caught:
        written("raise RuntimeError('x' * 300)\n")
    assert caught.value.problem == f"scorer 'judges:judge' cannot be imported: {shortened}"


def test_a_builtin_that_raises_has_no_place(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    with pytest.raises(ScorerError, match="TypeError") as caught:
        scorer("math:sqrt").score(case(), Completion("a"))
    assert caught.value.where == ""


def test_ctrl_c_during_an_import_ends_the_main_thread_only(written: Callable[..., Any]) -> None:
    source = "raise KeyboardInterrupt"
    with pytest.raises(KeyboardInterrupt):
        written(source)
    with ThreadPoolExecutor(1) as pool, pytest.raises(ScorerError, match="cannot be imported: KeyboardInterrupt"):
        pool.submit(written, source).result()


def test_a_module_is_looked_up_from_the_eval_sets_folder_up_to_the_working_directory(
    written: Callable[..., Any], scorer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "project"
    folder = top / "sets/tickets"
    folder.mkdir(parents=True)
    settings = EvalSettings(scorer="judges:judge")
    monkeypatch.chdir(top)
    written(RETURNS.format("True"))  # above the working directory
    with pytest.raises(ScorerError, match="No module named 'judges'"):
        make_scorer(settings, folder)
    for place in (top, folder.parent, folder):
        (place / "judges.py").write_text(f"PLACE = {str(place)!r}\ndef judge(case, completion):\n    return True\n")
        made = make_scorer(settings, folder)
        assert made.function.__globals__["PLACE"] == str(place)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert make_scorer(settings, elsewhere).function.__globals__["PLACE"] == str(top)


def test_of_installed_code_one_module_is_hashed_and_a_warning_says_so(scorer: Callable[..., Any]) -> None:
    dumps, loads, isabs = (scorer(name) for name in ("json:dumps", "json:loads", "posixpath:isabs"))
    assert dumps.fingerprint == loads.fingerprint != isabs.fingerprint
    assert dumps.warnings == ("scorer json:dumps: of installed code only json is hashed, not what it imports",)
    assert scorer("_json:make_encoder").fingerprint  # without a source file


def test_files_that_the_scorer_reads_are_declared_or_a_warning(written: Callable[..., Any], tmp_path: Path) -> None:
    source = "\ndef judge(case, completion):\n    return open('w').read() and open('v').read()\n"
    (warning,) = written(source).warnings
    assert warning == (
        "scorer judges:judge reads files or other data (judges.py:3), and changes of it would not be noticed:"
        " list files in scorer_files; a network, a process or the environment cannot be covered"
    )
    with pytest.raises(ScorerError) as caught:
        written(source, scorer_files=["words.txt"])
    assert caught.value.problem == (f"scorer_files: {tmp_path / 'words.txt'} cannot be read: No such file or directory")
    hashes = set()
    for text in ("1", "2"):
        (tmp_path / "words.txt").write_text(text)
        made = written(source, scorer_files=["words.txt"])
        assert made.warnings == ()
        hashes.add(made.fingerprint)
    assert len(hashes) == 2
