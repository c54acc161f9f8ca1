"""New files are written completely or not at all, and nothing is overwritten by accident."""

from __future__ import annotations

import os

import pytest

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data.writing import new_files, refuse_own_source


def test_files_appear_together_and_only_at_the_end(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    with new_files(paths) as files:
        for file in files:
            file.write(b"text")
        assert not any(path.exists() for path in paths)
    assert [path.read_bytes() for path in paths] == [b"text", b"text"]
    assert sorted(tmp_path.iterdir()) == paths


def test_a_failure_leaves_no_files(tmp_path):
    def fail():
        with new_files([tmp_path / "a"]) as (file,):
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_overwritten_only_with_force(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(DataError, match="exists already"), new_files([path]):
        pass
    with new_files([path], force=True) as (file,):
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_file_created_in_the_meantime_is_not_overwritten(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(DataError, match="exists already"), new_files([path]):
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_pipes_and_equal_paths_are_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, problem in (("folder", "a folder"), ("pipe", "not a regular file"), ("none/a", "cannot be written")):
        with pytest.raises(DataError, match=problem), new_files([tmp_path / name], force=True):
            pass
    with pytest.raises(DataError, match="the same name"), new_files([tmp_path / "a", tmp_path / "folder" / ".." / "a"]):
        pass


def test_writing_to_the_source_is_refused(tmp_path):
    source, link = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"")
    link.symlink_to(source)
    with pytest.raises(DataError, match="the output file is the input"):
        refuse_own_source(source, [tmp_path / "c", link])
    refuse_own_source(source, [tmp_path / "c"])
