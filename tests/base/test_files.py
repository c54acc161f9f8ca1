"""Every file is written whole or not at all, and nothing next to it changes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_finetune.base.files import PendingFile, atomic_writer, copy_file, is_stream, write_file

NO_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.html"


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_new_file_has_the_mode_of_the_umask(path):
    old = os.umask(0o027)
    try:
        write_file(path, b"new")
    finally:
        os.umask(old)
    assert (path.read_bytes(), mode(path)) == (b"new", 0o640)


@pytest.mark.parametrize("kept", [0o600, 0o664, 0o755])
def test_an_existing_file_keeps_its_mode(path, kept):
    path.write_bytes(b"old")
    path.chmod(kept)
    write_file(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", kept)


def test_a_private_file_is_private_while_it_is_written(path):
    path.write_bytes(b"old")
    path.chmod(0o600)
    with atomic_writer(path) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600


def test_neighbours_with_any_likely_name_are_left_alone(path):
    neighbours = [path.with_name(path.name + end) for end in (".tmp", ".part", "~", f".{os.getpid()}.tmp")]
    neighbours += [path.with_name(f".{path.name}.tmp"), path.with_suffix(".tmp"), path.with_suffix(".part")]
    for each in neighbours:
        each.write_bytes(b"mine")
    write_file(path, b"new")
    assert all(each.read_bytes() == b"mine" for each in neighbours)
    assert sorted(path.parent.iterdir()) == sorted([path, *neighbours])


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link(tmp_path, path, there):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real.html"
    if there:
        target.write_bytes(b"old")
    middle = tmp_path / "middle.html"
    middle.symlink_to("elsewhere/real.html")
    path.symlink_to("middle.html")
    write_file(path, b"new")
    assert path.is_symlink()
    assert middle.is_symlink()
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_a_link_to_itself_is_an_error(path):
    path.symlink_to(path.name)
    with pytest.raises(OSError, match="symbolic links"):
        write_file(path, b"new")
    assert path.is_symlink()


def test_a_library_may_write_by_the_name_of_the_open_file(path):
    with atomic_writer(path) as file:
        Path(file.name).write_bytes(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_during_the_write_keeps_the_old_file(path, error):
    path.write_bytes(b"old")

    def fail():
        with atomic_writer(path) as file:
            file.write(b"half")
            file.flush()
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_a_full_disk_keeps_the_old_file(path, monkeypatch):
    path.write_bytes(b"old")
    full = lambda name, mode, opener: (os.close(opener(name, os.O_CREAT)), open("/dev/full", "wb"))[1]  # noqa: E731, PTH123, SIM115
    monkeypatch.setattr("pytest_finetune.base.files.open", full, raising=False)
    with pytest.raises(OSError, match="No space left"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_content_and_folder_are_synced_in_that_order(path, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    write_file(path, b"new")
    assert synced[0].suffix == ".tmp"
    assert synced[1:] == [path.parent]


@NO_ROOT
def test_a_read_only_folder_is_an_error_that_names_the_file(path):
    path.write_bytes(b"old")
    path.parent.chmod(0o555)
    try:
        with pytest.raises(PermissionError) as caught:
            write_file(path, b"new")
    finally:
        path.parent.chmod(0o755)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"


@NO_ROOT
def test_a_read_only_file_is_not_replaced(path):
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(PermissionError):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_file(tmp_path / "none" / "a", b"new")
    assert caught.value.filename == str(tmp_path / "none" / "a")


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path, b"new")


def test_a_name_of_maximal_length_is_written(tmp_path):
    path = tmp_path / ("n" * 255)
    write_file(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays_a_pipe(path):
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    write_file(path, b"new")
    reader.join(5)
    assert read == [b"new"]
    assert path.is_fifo()
    assert list(path.parent.iterdir()) == [path]


WRITE = """
import sys
from pathlib import Path
from pytest_finetune.base.files import write_file
print("before", flush=True)
write_file(Path(sys.argv[1]), b"new\\n")
print("after")
"""


def test_standard_output_is_written_to(path):
    command = [sys.executable, "-c", WRITE, "/dev/stdout"]
    assert subprocess.run(command, capture_output=True, check=True, timeout=60).stdout == b"before\nnew\nafter\n"


@pytest.mark.parametrize("named", ["/dev/stdout", "/dev/fd/1", "report.html", "link"])
def test_a_file_that_is_standard_output_is_appended_to(path, named):
    path.with_name("link").symlink_to(path)
    with path.open("ab") as out:
        command = [sys.executable, "-c", WRITE, named]
        subprocess.run(command, stdout=out, cwd=path.parent, check=True, timeout=60)
    assert path.read_bytes() == b"before\nnew\nafter\n"


def test_only_regular_files_that_are_not_this_output_are_replaced(path):
    assert not is_stream(path)
    path.touch()
    assert not is_stream(path)
    assert is_stream(path.parent)


def test_several_files_are_on_disk_before_the_first_appears(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    with PendingFile(one) as first, PendingFile(two) as second:
        first.file.write(b"1")
        second.file.write(b"2")
        first.sync()
        second.sync()
        assert not one.exists()
        first.commit()
    assert one.read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [one]


def test_a_copy_has_the_content_and_not_the_mode(tmp_path, path):
    source = tmp_path / "source"
    source.write_bytes(b"text")
    source.chmod(0o600)
    path.write_bytes(b"old")
    path.chmod(0o644)
    copy_file(source, path)
    assert (path.read_bytes(), mode(path)) == (b"text", 0o644)
