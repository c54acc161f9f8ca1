"""Ctrl-C ends a command with one line and a code of its own."""

from __future__ import annotations

from click.testing import CliRunner

from pytest_finetune.cli import INTERRUPTED, main


def test_ctrl_c_has_an_exit_code_of_its_own(monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_finetune.cli.runs.options.RunStore", interrupted)
    result = CliRunner().invoke(main, ["runs", "list", "--runs-dir", str(tmp_path)])
    assert (result.exit_code, result.stderr) == (INTERRUPTED, "interrupted\n")
