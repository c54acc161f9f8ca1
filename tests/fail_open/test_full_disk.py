"""A record that cannot be written ends the session at once, with one message, and can be resumed."""

from __future__ import annotations

import pytest

FULL_DISK = """
import errno, os

os_write, left = os.write, 10

def write(file, data):
    global left
    path = os.readlink(f"/proc/self/fd/{file}")
    if not path.endswith("samples.jsonl"):
        return os_write(file, data)
    left -= 1
    if left < 0:
        # The last write is torn: a disk fills up in the middle of a line.
        if left == -1:
            return os_write(file, data[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return os_write(file, data)

def pytest_configure(config):
    if not config.getoption("--finetune-resume"):
        os.write = write
"""
GATE = "[[gates]]\nmin = 0.5\n"


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["one process", "xdist"])
def test_a_full_disk_ends_the_session_with_one_message_and_can_be_resumed(suite, evaluate, server, pytester, options):
    suite(400, toml=GATE)
    pytester.makeconftest(FULL_DISK)
    result = evaluate("--concurrency=4", *options, subprocess=True)
    output = result.stdout.str() + result.stderr.str()
    assert result.ret not in (0, pytest.ExitCode.INTERNAL_ERROR)
    assert "Traceback" not in output
    assert "No space left on device" in " ".join(output.split())
    requested = len(server.questions)
    assert requested < 200
    if not options:
        resumed = evaluate("--resume", subprocess=True)
        assert resumed.ret == 0
        assert len(server.questions) - requested == 390


def test_a_folder_that_cannot_be_written_is_one_message_before_any_request(suite, evaluate, server, pytester):
    suite(3, toml=GATE)
    (pytester.path / ".finetune").write_text("not a folder", "utf-8")
    result = evaluate(subprocess=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the record cannot be written:*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert not server.questions


def test_a_manifest_that_cannot_be_written_is_not_a_pass(suite, evaluate, pytester):
    suite(3, toml=GATE)
    pytester.makeconftest(
        "import errno, os\n"
        "from pytest_finetune.evaluation.runs import run\n"
        "def full(path, data, **options):\n"
        "    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "def pytest_runtest_setup():\n"
        "    run.write_file = full\n"
    )
    result = evaluate(subprocess=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*No space left on device*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
