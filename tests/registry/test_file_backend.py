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


def test_a_registry_file_need_not_exist(path):
    backend = open_registry(path)
    assert backend.location == str(path)
    assert backend.read() == Registry()
    assert list(path.parent.iterdir()) == []


def test_a_written_registry_is_read_back(path, backend):
    written = backend.update(change("promote", "v2", why="better"), now=NOON)
    assert open_registry(str(path)).read() == written
    assert verify(written) == []


def test_a_refused_change_does_not_touch_the_file(path, backend):
    before = path.read_bytes()
    assert "is production" in refusal(backend.update, change("reject", "v1")).problem
    assert path.read_bytes() == before


def test_a_change_decided_on_an_older_registry_is_refused(path, backend):
    seq = backend.read().seq
    backend.update(change("reject", "v2"), expected_seq=seq)
    before = path.read_bytes()
    error = refusal(backend.update, change("retire", "v1", forced=True, why="-"), expected_seq=seq)
    assert error.problem == "changed meanwhile: it is now at event 4, and the change was decided at 3"
    assert error.where == str(path)
    assert path.read_bytes() == before


def test_a_change_is_a_small_diff(path):
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
        ('"format": 1', '"format": 0', "format", "0 is not a known format", "it should be 1"),
        ('"format": 1', '"format": "1"', "format", '"1" is not a known format', "it should be 1"),
        ('"format": 1', '"format": true', "format", "true is not a known format", "it should be 1"),
    ],
)
def test_an_invalid_field_is_reported_at_its_path(path, old, new, place, problem, hint):
    text = write_document(eventful()).decode()
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    error = refusal(FileBackend(path).read)
    assert (error.problem, error.where) == (problem, f"{path}:{place}")
    assert error.hint.endswith(hint)


@pytest.mark.parametrize(
    ("data", "place", "problem", "hint"),
    [
        (b'{\n "format": 1,\n "seq" 0\n}\n', ":3", "not strict JSON: Expecting ':' delimiter", "restore it"),
        (
            b'{\n "format": 1,\n<<<<<<< HEAD\n "seq": 0\n',
            ":3",
            "not strict JSON",
            "these are conflict markers of a merge",
        ),
        (b'{"format": 1, "seq": 0, "seq": 1}', "", "not strict JSON: key 'seq' is repeated", "restore it"),
        (b'{"format": 1, "seq": NaN}', "", "not strict JSON: NaN is not JSON", "restore it"),
        (b'{\n"a": "\xff"}', ":2", "byte 0xff is not UTF-8", "save the file as UTF-8"),
        (b'\n{"a": "\xff"}', ":2", "byte 0xff is not UTF-8", "save the file as UTF-8"),
        (b'\n{"format" 1}', ":2", "not strict JSON: Expecting ':' delimiter", "restore it"),
        (b'{"format": 1, "entries": {"\\ud800": {}}}', "", "invalid JSON", ""),
        (b"[" * 100_000, "", "not strict JSON: nested too deeply", "restore it"),
        (b"", ":1", "not strict JSON", "the file is empty"),
        (b"[]", "", "is not a registry: it has no format", 'a registry has "format": 1'),
        (b"{}", "", "is not a registry: it has no format", 'a registry has "format": 1'),
    ],
)
def test_a_file_that_is_not_a_registry_is_refused_and_kept(path, data, place, problem, hint):
    path.write_bytes(data)
    for call in (FileBackend(path).read, lambda: FileBackend(path).update(change("add", "v1"))):
        error = refusal(call)
        assert error.where == f"{path}{place}"
        assert error.problem.startswith(problem)
        assert error.hint.startswith(hint)
    assert path.read_bytes() == data


def test_a_newer_format_is_refused_and_kept(path):
    data = b'{"format": 2, "models": {"v1": {"wonders": true}}}'
    path.write_bytes(data)
    error = refusal(FileBackend(path).update, change("add", "v1", forced=True, why="I want it"))
    assert str(error) == (
        f"{path}:format: has format 2, and this version reads up to 1\n"
        "  hint: it was written by a newer pytest-finetune: upgrade; the file was not changed"
    )
    assert path.read_bytes() == data


def test_a_byte_order_mark_is_accepted(path):
    path.write_bytes(b"\xef\xbb\xbf" + write_document(eventful()))
    assert FileBackend(path).read() == eventful()


def test_a_folder_instead_of_the_file_is_an_error(tmp_path):
    assert refusal(FileBackend(tmp_path).read).problem == "cannot be read: Is a directory"


def test_a_missing_folder_is_an_error_and_not_created(tmp_path):
    error = refusal(FileBackend(tmp_path / "missing" / "registry.json").update, change("add", "v1"))
    assert error.problem == f"there is no folder {tmp_path / 'missing'}"
    assert list(tmp_path.iterdir()) == []


def test_a_registry_edited_by_hand_accepts_only_a_forced_change(path, backend):
    path.write_text(path.read_text("utf-8").replace("acme::v2", "acme::vX"), "utf-8")
    before = path.read_bytes()
    error = refusal(backend.update, change("promote", "v2"))
    assert error.problem.startswith("does not agree with its history: entries.v2: was changed outside the history")
    assert path.read_bytes() == before
    registry = backend.update(change("promote", "v2", forced=True, why="the id was mistyped"))
    assert (registry.history[-1].forced, verify(registry)) == (True, [])


def test_a_locked_registry_is_an_error_after_the_timeout(path, backend):
    with FileLock(f"{path}.lock"):
        error = refusal(FileBackend(path, lock_timeout=0.05).update, change("promote", "v2"))
    assert error.problem == "another process has held registry.json.lock for 0.05 s"
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


def test_a_read_only_file_is_refused(path, backend):
    path.chmod(0o444)
    before = path.read_bytes()
    error = refusal(backend.update, change("add", "v9"))
    assert (error.problem, path.read_bytes()) == ("is read-only", before)
    path.chmod(0o644)


def test_a_link_stays_and_its_target_is_replaced(tmp_path, backend):
    link = tmp_path / "elsewhere" / "models.json"
    link.parent.mkdir()
    link.symlink_to(Path("..", "registry.json"))
    FileBackend(link).update(change("promote", "v2"))
    assert link.is_symlink()
    assert backend.read().seq == 4
    assert [path.name for path in link.parent.iterdir()] == ["models.json"]


def test_a_dangling_link_creates_its_target(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to("target.json")
    FileBackend(link).update(change("add", "v1"))
    assert link.is_symlink()
    assert FileBackend(tmp_path / "target.json").read().seq == 1


def failing(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.chmod"])
def test_a_failed_write_keeps_the_old_file_and_leaves_no_temporary_file(path, backend, monkeypatch, broken):
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(broken, failing)
        error = refusal(backend.update, change("promote", "v2"))
    assert (error.problem, error.where) == ("cannot be written: No space left on device", str(path))
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["registry.json", "registry.json.lock"]
    assert backend.update(change("promote", "v2")).seq == 4


def test_the_file_is_synced_before_the_rename_and_the_folder_after_it(path, backend, monkeypatch):
    steps = []
    sync, move = os.fsync, Path.replace
    monkeypatch.setattr(
        "os.fsync", lambda file: (steps.append("folder" if Path(f"/dev/fd/{file}").is_dir() else "file"), sync(file))
    )
    monkeypatch.setattr("pathlib.Path.replace", lambda source, target: (steps.append("rename"), move(source, target)))
    backend.update(change("promote", "v2"))
    assert steps == ["file", "rename", "folder"]


def test_other_files_in_the_folder_are_not_touched(path, backend):
    neighbour = path.with_name("registry.json.tmp")
    neighbour.write_bytes(b'{"format": 1, "entr')
    assert backend.update(change("promote", "v2")).seq == 4
    assert neighbour.read_bytes() == b'{"format": 1, "entr'


@pytest.mark.slow
def test_one_of_several_processes_that_promote_wins_each_round(tmp_path):
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


@pytest.mark.slow
def test_no_addition_of_concurrent_processes_is_lost(tmp_path):
    found = many("crowd", tmp_path, "--processes", "8", "--rounds", "5")
    assert found == {"failed": 0, "entries": 40, "entries_due": 40, "problems": []}


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path):
    found = many("kill", tmp_path, "--kills", "20")
    assert (found["torn"], found["lost"], found["stuck"]) == (0, 0, 0)
    assert found["old"] + found["new"] == 20


def test_a_value_that_json_cannot_hold_is_refused_before_writing(path, backend):
    before = path.read_bytes()
    bad = change("add", "v3", entry=entry_of("v3", metrics={"loss": float("inf")}))
    assert refusal(backend.update, bad).problem.startswith("a value cannot be written as JSON")
    assert path.read_bytes() == before


def test_a_long_history_is_read_back(path):
    steps = [("add", "v1"), *[change("canary", "v1", traffic=number / 100) for number in range(100)]]
    path.write_bytes(write_document(after(*steps)))
    assert FileBackend(path).read() == after(*steps)


def test_a_lock_that_cannot_be_made_is_an_error(path, backend):
    lock = path.with_name("registry.json.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    assert refusal(backend.update, change("promote", "v2")).problem == "cannot be locked: Is a directory"


def test_a_file_edited_by_hand_is_to_be_restored_or_forced(path, backend):
    path.write_text(path.read_text("utf-8").replace("acme::v2", "acme::vX"), "utf-8")
    hint = refusal(backend.update, change("promote", "v2")).hint
    assert hint == (
        "see `pytest-finetune registry verify`; restore the file from the repository, or force with a reason"
    )
