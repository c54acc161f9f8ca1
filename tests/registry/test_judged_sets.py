"""Which eval sets a version is judged by: those of the registry's project, however a session was started."""

from __future__ import annotations

import pytest

from pytest_finetune.lifecycle.registry import FileBackend
from pytest_finetune.lifecycle.registry.judged_sets import judged_sets

CONFIGURED = "[pytest]\nfinetune_eval_sets = sets/*.jsonl\n"


@pytest.fixture
def project(tmp_path):
    """A configured project with two eval sets, and a file that is none by its configuration."""
    root = tmp_path / "project"
    write(root, "sets/a.jsonl", "sets/b.jsonl", "other/c.jsonl", config=CONFIGURED)
    return root


def write(root, *sets, config=""):
    for name in sets:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"id": "a", "input": "x", "expected": "y"}\n', "utf-8")
    if config:
        (root / "pytest.ini").write_text(config, "utf-8")


def judged(registry, start, **options):
    found = judged_sets(FileBackend(registry), start=start, **options)
    return [one.name for one in found.eval_sets], found.left_out, found.chosen


def test_the_project_of_the_registry_counts_wherever_a_session_starts(project, tmp_path):
    write(tmp_path / "elsewhere", "sets/z.jsonl", config=CONFIGURED)
    for start in (project, project / "sets", tmp_path / "elsewhere"):
        assert judged(project / "registry.json", start) == (["sets/a.jsonl", "sets/b.jsonl"], (), ())


def test_a_link_does_not_move_the_registry(project, tmp_path):
    write(tmp_path / "elsewhere", "sets/z.jsonl", config=CONFIGURED)
    (project / "registry.json").write_text("")
    link = tmp_path / "elsewhere/registry.json"
    link.symlink_to(project / "registry.json")
    assert judged(link, tmp_path / "elsewhere")[0] == ["sets/a.jsonl", "sets/b.jsonl"]


def test_sets_that_were_not_chosen_are_left_out(project):
    only = [project / "sets/a.jsonl"]
    assert judged(project / "registry.json", project, only=only) == (
        ["sets/a.jsonl"],
        ("sets/b.jsonl",),
        (str(only[0]),),
    )
    assert judged(project / "registry.json", project, only=[project])[:2] == (["sets/a.jsonl", "sets/b.jsonl"], ())


def test_files_that_a_run_covered_are_judged_too_and_none_twice(project):
    also = [project / "other/c.jsonl", project / "sets/a.jsonl"]
    expected = ["sets/a.jsonl", "sets/b.jsonl", "other/c.jsonl"]
    assert judged(project / "registry.json", project, also=also) == (expected, (), ())


def test_a_registry_outside_any_project_takes_that_of_the_session(project, tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    assert judged(loose / "registry.json", project / "sets")[0] == ["sets/a.jsonl", "sets/b.jsonl"]
    bare = tmp_path / "bare"
    bare.mkdir()
    assert judged(loose / "registry.json", bare) == ([], (), ())


def test_of_two_projects_the_larger_counts_unless_the_smaller_is_configured(tmp_path):
    outer = tmp_path / "outer"
    inner = outer / "inner"
    write(outer, "eval_sets/a.jsonl")
    write(inner, "eval_sets/b.jsonl")
    assert judged(inner / "registry.json", outer)[0] == ["eval_sets/a.jsonl", "inner/eval_sets/b.jsonl"]
    assert judged(inner / "registry.json", inner)[0] == ["eval_sets/b.jsonl"]
    write(inner, config="[pytest]\n")
    assert judged(inner / "registry.json", outer)[0] == ["eval_sets/b.jsonl"]


def test_a_registry_on_a_server_takes_the_project_of_the_session(project):
    found = judged_sets(object(), start=project / "sets")
    assert [one.name for one in found.eval_sets] == ["sets/a.jsonl", "sets/b.jsonl"]
