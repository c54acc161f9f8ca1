from __future__ import annotations

import subprocess

from pytest_finetune.lifecycle.registry import current_who


def unheard(*_, **__):
    raise FileNotFoundError("git")


def test_the_user_comes_from_git(tmp_path, monkeypatch):
    (tmp_path / "config").write_text("[user]\n email = ana@example.com\n", "utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    assert current_who() == "ana@example.com"


def test_without_git_the_account_is_named(monkeypatch):
    monkeypatch.setattr(subprocess, "run", unheard)
    monkeypatch.setattr("getpass.getuser", lambda: "ana")
    assert current_who() == "ana"


def test_without_either_nothing_fails(monkeypatch):
    for error in (KeyError("uid"), OSError("no name"), ImportError("pwd")):
        monkeypatch.setattr(subprocess, "run", unheard)

        def nameless(error=error):
            raise error

        monkeypatch.setattr("getpass.getuser", nameless)
        assert current_who() == "unknown"


def test_a_name_that_is_not_utf8_is_shown_with_a_mark(tmp_path, monkeypatch):
    (tmp_path / "config").write_bytes(b"[user]\n email = ana\xff@example.com\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    assert current_who() == "ana\ufffd@example.com"
