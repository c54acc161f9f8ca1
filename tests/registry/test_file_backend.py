from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
import registry_processes
from filelock import FileLock
from registry_samples import NOON, after, change, entry_of, eventful

from pytest_finetune.lifecycle.registry import Entry, FileBackend, Registry, RegistryError, open_registry, verify
from pytest_finetune.lifecycle.registry.document import write_document


@pytest.fixture
def path(tmp_path):
    return tmp_path / "registry.json"


@pytest.fixture
def backend(path):
    """A registry with v1 in production and v2 as a candidate."""
    backend = FileBackend(path)
    for step in (("add", "v1"), ("promote", "v1"), ("add", "v2")):
        backend.update(change(*step), now=NOON)
    return backend


def refusal(call, *arguments, **named):
    with pytest.raises(RegistryError) as caught:
        call(*arguments, **named)
    return caught.value


def many(command, folder, *options):
    script = [sys.executable, registry_processes.__file__, command, str(folder), *options]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def test_a_path_names_a_registry_that_need_not_be_there(path):
    backend = open_registry(path)
    assert backend.location == str(path)
    assert backend.read() == Registry()
    assert list(path.parent.iterdir()) == []


def test_what_was_written_is_read(path, backend):
    written = backend.update(change("promote", "v2", why="better"), now=NOON)
    assert open_registry(str(path)).read() == written
    assert verify(written) == []


def test_a_refused_change_leaves_the_file_as_it_is(path, backend):
    before = path.read_bytes()
    assert "stands at production" in refusal(backend.update, change("reject", "v1")).problem
    assert path.read_bytes() == before


def test_who_decided_on_an_older_registry_is_told(path, backend):
    seq = backend.read().seq
    backend.update(change("reject", "v2"), expected_seq=seq)
    before = path.read_bytes()
    told = refusal(backend.update, change("retire", "v1", forced=True, why="-"), expected_seq=seq)
    assert told.problem == "changed meanwhile: it is at event 4, and the decision was made at 3"
    assert told.where == str(path)
    assert path.read_bytes() == before


def test_the_text_is_made_for_review(path):
    """Sorted, one space a level, a final line feed: the diff of a change is the change."""
    backend = FileBackend(path)
    backend.update(change("add", "v1", entry=Entry(model_id="ft:é", created_at=NOON)), now=NOON)
    text = path.read_text("utf-8")
    assert text.startswith('{\n "entries": {\n  "v1": {\n   "base_model": "",\n   "base_url": "",\n')
    assert text.endswith(' },\n "seq": 1\n}\n')
    assert '"model_id": "ft:é"' in text
    before = text.splitlines()
    backend.update(change("reject", "v1"), now=NOON)
    gone = set(before) - set(path.read_text("utf-8").splitlines())
    assert gone == {'   "status": "candidate",', ' "seq": 1'}


@pytest.mark.parametrize(
    ("old", "new", "place", "problem", "hint"),
    [
        (
            '"model_id"',
            '"modle_id"',
            "entries.v1.evidence.modle_id",
            "unknown field (and 1 more)",
            "did you mean 'model_id'?",
        ),
        ('"rollout"', '"rolout"', "rolout", "unknown field", "did you mean 'rollout'?"),
        ('"salt"', '"slat"', "rollout.slat", "unknown field", "did you mean 'salt'?"),
        ('"who"', '"hwo"', "history[0].hwo", "unknown field (and 1 more)", "did you mean 'who'?"),
        ('"sha256"', '"sha"', "entries.v1.training_file.sha", "unknown field (and 1 more)", "did you mean 'sha256'?"),
        ('"cases":', '"case":', "entries.v1.evidence.eval_sets[0].case", "unknown field (and 1 more)", "'cases'?"),
        ('"deprecated"', '"deprected"', "entries.v3.status", "unknown value 'deprected'", "did you mean 'deprecated'?"),
        ('"seq": 14\n', '"seq": "14"\n', "seq", "input should be a valid integer", ""),
        ('"traffic": 0.1', '"traffic": 1.5', "entries.v4.traffic", "input should be less than or equal to 1", ""),
        ('"format": 1', '"format": 0', "format", "0 is no format", "it should be 1"),
        ('"format": 1', '"format": "1"', "format", '"1" is no format', "it should be 1"),
        ('"format": 1', '"format": true', "format", "true is no format", "it should be 1"),
    ],
)
def test_a_field_that_is_not_right_is_told_at_its_path(path, old, new, place, problem, hint):
    text = write_document(eventful()).decode()
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    told = refusal(FileBackend(path).read)
    assert (told.problem, told.where) == (problem, f"{path}:{place}")
    assert told.hint.endswith(hint)


@pytest.mark.parametrize(
    ("data", "place", "problem", "hint"),
    [
        (b'{\n "format": 1,\n "seq" 0\n}\n', ":3", "not strict JSON: Expecting ':' delimiter", "restore it"),
        (b'{\n "format": 1,\n<<<<<<< HEAD\n "seq": 0\n', ":3", "not strict JSON", "a merge left its marks"),
        (b'{"format": 1, "seq": 0, "seq": 1}', "", "not strict JSON: key 'seq' is repeated", "restore it"),
        (b'{"format": 1, "seq": NaN}', "", "not strict JSON: NaN is not JSON", "restore it"),
        (b'{\n"a": "\xff"}', ":2", "byte 0xff is not UTF-8", "save the file as UTF-8"),
        (b'{"format": 1, "entries": {"\\ud800": {}}}', "", "invalid JSON", ""),
        (b"[" * 100_000, "", "not strict JSON: nested too deeply", "restore it"),
        (b"", ":1", "not strict JSON", "the file is empty"),
        (b"[]", "", "is not a registry: it has no format", 'one begins as {"format": 1}'),
        (b"{}", "", "is not a registry: it has no format", 'one begins as {"format": 1}'),
    ],
)
def test_what_is_no_registry_is_refused_and_left(path, data, place, problem, hint):
    path.write_bytes(data)
    for call in (FileBackend(path).read, lambda: FileBackend(path).update(change("add", "v1"))):
        told = refusal(call)
        assert told.where == f"{path}{place}"
        assert told.problem.startswith(problem)
        assert told.hint.startswith(hint)
    assert path.read_bytes() == data


def test_a_newer_format_is_refused_and_left_untouched(path):
    data = b'{"format": 2, "models": {"v1": {"wonders": true}}}'
    path.write_bytes(data)
    told = refusal(FileBackend(path).update, change("add", "v1", forced=True, why="I want it"))
    assert str(told) == (
        f"{path}:format: has format 2, and this version reads up to 1\n"
        "  hint: a newer pytest-finetune wrote it: upgrade; the file is left as it is"
    )
    assert path.read_bytes() == data


def test_a_byte_order_mark_that_an_editor_left_is_no_fault(path):
    path.write_bytes(b"\xef\xbb\xbf" + write_document(eventful()))
    assert FileBackend(path).read() == eventful()


def test_a_folder_in_its_place_is_told(tmp_path):
    assert refusal(FileBackend(tmp_path).read).problem == "cannot be read: Is a directory"


def test_a_folder_that_is_not_there_is_told(tmp_path):
    told = refusal(FileBackend(tmp_path / "missing" / "registry.json").update, change("add", "v1"))
    assert told.problem == f"there is no folder {tmp_path / 'missing'}"
    assert list(tmp_path.iterdir()) == []


def test_a_registry_edited_by_hand_takes_no_event_that_would_cover_it_up(path, backend):
    path.write_text(path.read_text("utf-8").replace("acme::v2", "acme::vX"), "utf-8")
    before = path.read_bytes()
    told = refusal(backend.update, change("promote", "v2"))
    assert told.problem.startswith("does not agree with its history: entries.v2: was changed outside the history")
    assert path.read_bytes() == before
    registry = backend.update(change("promote", "v2", forced=True, why="the id was mistyped"))
    assert (registry.history[-1].forced, verify(registry)) == (True, [])


def test_a_registry_that_somebody_else_holds_is_waited_for_and_then_told(path, backend):
    with FileLock(f"{path}.lock"):
        told = refusal(FileBackend(path, lock_timeout=0.05).update, change("promote", "v2"))
    assert told.problem == "another process has held registry.json.lock for 0.05 s"
    assert backend.update(change("promote", "v2")).seq == 4


def test_threads_wait_for_each_other(path):
    threads = [
        Thread(target=FileBackend(path).update, args=(change("add", f"v{number}"),), daemon=True) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    registry = FileBackend(path).read()
    assert (registry.seq, len(registry.entries), verify(registry)) == (8, 8, [])


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_mode_of_the_file_is_kept(path, backend):
    for mode in (0o640, 0o600, 0o664):
        path.chmod(mode)
        backend.update(change("canary", "v2", traffic=0.1))
        assert path.stat().st_mode & 0o777 == mode


def test_a_read_only_file_is_left_as_it_is(path, backend):
    path.chmod(0o444)
    before = path.read_bytes()
    error = refusal(backend.update, change("add", "v9"))
    assert (error.problem, path.read_bytes()) == ("is read-only", before)
    path.chmod(0o644)


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path, backend):
    link = tmp_path / "elsewhere" / "models.json"
    link.parent.mkdir()
    link.symlink_to(Path("..", "registry.json"))
    FileBackend(link).update(change("promote", "v2"))
    assert link.is_symlink()
    assert backend.read().seq == 4
    assert [path.name for path in link.parent.iterdir()] == ["models.json"]


def test_a_link_to_nothing_makes_the_file_it_points_to(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to("target.json")
    FileBackend(link).update(change("add", "v1"))
    assert link.is_symlink()
    assert FileBackend(tmp_path / "target.json").read().seq == 1


def failing(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.chmod"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(path, backend, monkeypatch, broken):
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(broken, failing)
        told = refusal(backend.update, change("promote", "v2"))
    assert (told.problem, told.where) == ("cannot be written: No space left on device", str(path))
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["registry.json", "registry.json.lock"]
    assert backend.update(change("promote", "v2")).seq == 4


def test_the_file_is_on_the_disk_before_it_is_in_its_place_and_the_folder_after(path, backend, monkeypatch):
    steps = []
    sync, move = os.fsync, Path.replace
    monkeypatch.setattr(
        "os.fsync", lambda file: (steps.append("folder" if Path(f"/dev/fd/{file}").is_dir() else "file"), sync(file))
    )
    monkeypatch.setattr("pathlib.Path.replace", lambda source, target: (steps.append("rename"), move(source, target)))
    backend.update(change("promote", "v2"))
    assert steps == ["file", "rename", "folder"]


def test_neighbours_are_left_alone(path, backend):
    neighbour = path.with_name("registry.json.tmp")
    neighbour.write_bytes(b'{"format": 1, "entr')
    assert backend.update(change("promote", "v2")).seq == 4
    assert neighbour.read_bytes() == b'{"format": 1, "entr'


def test_of_processes_that_promote_at_once_one_wins_each_round(tmp_path):
    found = many("race", tmp_path, "--processes", "8", "--rounds", "5")
    del found["seconds"]
    assert found == {
        "rounds": 5,
        "rounds_with_one_winner": 5,
        "rounds_whose_production_is_not_the_winner": 0,
        "answers": {"won": 5, "lost": 35},
        "events": 18,
        "events_due": 18,
        "problems": [],
    }


def test_of_processes_that_add_at_once_none_is_lost(tmp_path):
    found = many("crowd", tmp_path, "--processes", "8", "--rounds", "5")
    assert found == {"failed": 0, "entries": 40, "entries_due": 40, "problems": []}


def test_a_writer_killed_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path):
    found = many("kill", tmp_path, "--kills", "20")
    assert (found["torn"], found["lost"], found["stuck"]) == (0, 0, 0)
    assert found["old"] + found["new"] == 20


def test_what_cannot_be_written_is_told_before_anything_is(path, backend):
    before = path.read_bytes()
    bad = change("add", "v3", entry=entry_of("v3", metrics={"loss": float("inf")}))
    assert refusal(backend.update, bad).problem.startswith("a value cannot be written as JSON")
    assert path.read_bytes() == before


def test_a_large_history_is_read_as_it_was_written(path):
    steps = [("add", "v1"), *[change("canary", "v1", traffic=number / 100) for number in range(100)]]
    path.write_bytes(write_document(after(*steps)))
    assert FileBackend(path).read() == after(*steps)
