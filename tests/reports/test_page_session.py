"""`--finetune-html` in a session and `runs report` after it: one complete file, however the session ended."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GATES = "[[gates]]\nmin = 0.5\n"


def report(*words: str) -> Any:
    return CliRunner().invoke(main, ["runs", "report", *words], prog_name="pytest-finetune")


def title(path: Path) -> str:
    found = re.search("<title>(.*?)</title>", path.read_text("utf-8"))
    assert found
    return found[1]


def data(path: Path) -> Any:
    return json.loads(path.read_text("utf-8").partition('id="data">')[2].partition("</script>")[0])


def newest(pytester: pytest.Pytester) -> Path:
    return RunStore(pytester.path / ".finetune" / "runs").newest_first()[0]


@pytest.fixture(autouse=True)
def _here(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pytester.path)


def test_a_session_writes_the_page_and_prints_its_path(pytester, suite, evaluate) -> None:
    suite(["bug", "bug"], toml=GATES)
    result = evaluate("--finetune-html=out/page.html")
    path = pytester.path / "out" / "page.html"
    assert title(path) == "ft:test: Ships: 1 of 1 gates passed"
    result.stdout.fnmatch_lines([f"run page: {path}"])
    assert list(path.parent.iterdir()) == [path]


def test_a_linked_page_stays_a_link_and_neighbours_stay(pytester, suite, evaluate) -> None:
    suite(["bug"], toml=GATES)
    real, link, neighbour = (pytester.path / name for name in ("real.html", "page.html", "page.html.tmp"))
    real.write_bytes(b"old")
    link.symlink_to(real)
    neighbour.write_bytes(b"mine")
    evaluate("--finetune-html=page.html")
    assert link.is_symlink()
    assert title(real).startswith("ft:test: ")
    assert neighbour.read_bytes() == b"mine"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_page_is_the_same_with_and_without_workers(pytester, suite, evaluate, workers: str) -> None:
    suite(6, toml=GATES)
    evaluate("--finetune-html=page.html", "-n", workers, subprocess=True)
    assert title(pytester.path / "page.html") == "ft:test: Ships: 1 of 1 gates passed"
    assert len(data(pytester.path / "page.html")["models"][0]["sets"][0]["cases"]) == 6


def test_several_models_are_one_page(pytester, suite, evaluate) -> None:
    suite(["bug"], toml=GATES)
    evaluate("--model=ft:other", "--finetune-html=page.html")
    assert len(data(pytester.path / "page.html")["models"]) == 2


def test_a_redacted_session_redacts_the_page(pytester, suite, evaluate) -> None:
    suite(["xyzzy", "plugh"], inputs=["xyzzy", "frobnicate"], toml="[[gates]]\nmin = 0.1\n")
    evaluate("--finetune-html=page.html", "--finetune-redact")
    text = (pytester.path / "page.html").read_text("utf-8")
    assert [word in text for word in ("xyzzy", "plugh", "frobnicate", "case-1")] == [False, False, False, True]


def test_a_page_that_cannot_be_written_is_refused_before_any_request(pytester, suite, evaluate, server) -> None:
    suite(1)
    (pytester.path / "folder").mkdir()
    result = evaluate("--finetune-html=folder")
    result.stderr.fnmatch_lines(["*--finetune-html:*is a folder*"])
    assert (result.ret, server.requests) == (4, [])


def test_without_the_option_nothing_of_the_page_is_loaded(pytester, suite, evaluate) -> None:
    suite(1)
    pytester.makeconftest(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    print('LOADED', 'pytest_finetune.reports.page.document' in sys.modules)\n"
    )
    evaluate(subprocess=True).stdout.fnmatch_lines(["LOADED False"])


def test_collecting_alone_writes_no_page(pytester, suite, evaluate) -> None:
    suite(1)
    evaluate("--collect-only", "--finetune-html=page.html")
    assert not (pytester.path / "page.html").exists()


def test_a_run_is_reported_from_its_record_when_its_files_are_gone(pytester, suite, evaluate) -> None:
    path = suite(["bug", "feature"], toml='scorer = "label"\nlabels = ["bug", "feature"]\n' + GATES)
    evaluate()
    path.unlink()
    path.with_suffix(".toml").unlink()
    result = report("last", "-o", "page.html")
    assert (result.exit_code, result.output) == (0, "wrote page.html: Ships: 1 of 1 gates passed\n")
    assert "bug" in data(pytester.path / "page.html")["strings"]


def test_an_existing_file_is_kept_unless_forced(pytester, suite, evaluate) -> None:
    suite(1)
    evaluate()
    (pytester.path / "report.html").write_text("mine", "utf-8")
    refused = report("last")
    assert (refused.exit_code, "the file already exists" in refused.output) == (2, True)
    assert (pytester.path / "report.html").read_text("utf-8") == "mine"
    assert report("last", "--force").exit_code == 0
    assert title(pytester.path / "report.html").startswith("ft:test: Ships")


def test_a_run_is_reported_against_another(pytester, suite, evaluate) -> None:
    suite(["bug", "bug"], inputs=["bug", "bug"])
    evaluate()
    first = newest(pytester)
    suite(["bug", "bug"], inputs=["bug", "bug"])
    evaluate(model="ft:other")
    result = report("last", "--against", first.name, "-o", "page.html")
    assert result.exit_code == 0, result.output
    assert "none lost" in (pytester.path / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope"], "no run 'nope'"),
        (["last", "-o", "missing/page.html"], "cannot write: No such file"),
        (["last", "--against", "nope"], "no run 'nope'"),
    ],
)
def test_what_cannot_be_reported_is_an_error(pytester, suite, evaluate, words: list[str], message: str) -> None:
    suite(1)
    evaluate()
    result = report(*words)
    assert (result.exit_code, message in result.output) == (2, True)
    assert not (pytester.path / "report.html").exists()


@pytest.fixture
def kept(pytester) -> Callable[[], dict[str, bytes]]:
    def copies() -> dict[str, bytes]:
        folder = newest(pytester) / "eval_sets"
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return copies


@pytest.mark.parametrize("workers", ["0", "2"])
def test_every_run_keeps_its_eval_sets(pytester, suite, evaluate, kept, workers: str) -> None:
    path = suite(3, toml=GATES)
    evaluate("-n", workers, subprocess=True)
    assert kept() == {
        "eval_sets/tickets.jsonl": path.read_bytes(),
        "eval_sets/tickets.toml": path.with_suffix(".toml").read_bytes(),
    }


def test_a_replay_keeps_them_too_and_a_resumed_run_keeps_its_own(pytester, suite, evaluate, kept) -> None:
    path = suite(3, toml=GATES)
    evaluate("-k", "case-0")
    before = kept()
    evaluate("--resume")
    assert (
        kept()
        == before
        == {
            "eval_sets/tickets.jsonl": path.read_bytes(),
            "eval_sets/tickets.toml": path.with_suffix(".toml").read_bytes(),
        }
    )
    evaluate(model="replay:last")
    assert kept() == before


def test_an_interrupted_session_writes_the_page_of_what_there_is(pytester, suite, evaluate) -> None:
    suite(3, toml=GATES)
    pytester.makepyfile(test_aaa="def test_stop():\n    raise KeyboardInterrupt\n")
    result = evaluate("--finetune-html=page.html", "test_aaa.py", "eval_sets", subprocess=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert len(data(pytester.path / "page.html")["models"][0]["sets"][0]["cases"]) == 3
