"""The progress of commands on a terminal: one line, which is removed at the end."""

from __future__ import annotations

from terminal_screen import own_terminal

from pytest_finetune.cli.output import ProgressLine


def test_a_terminal_shows_the_latest_progress_until_it_is_cleared():
    with own_terminal() as screen:
        line = ProgressLine("local:smollm2-135m")
        line.show(999, 1200)
        line.show(1000, 1200)
        assert screen() == ["local:smollm2-135m: 1,000/1,200"]
        line.clear()
        assert screen() == [""]


def test_without_a_terminal_there_is_no_progress(capsys):
    line = ProgressLine("local:smollm2-135m")
    line.show(1, 2)
    line.clear()
    assert capsys.readouterr() == ("", "")
