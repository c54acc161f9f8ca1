"""Mistakes of the first minute: each is answered with its cause and what to do."""

from __future__ import annotations

import pytest
from scripted_server import Reply, ScriptedServer


class Strict(ScriptedServer):
    """A server that wants a key, and has its API below /v1."""

    def reply(self, request):
        if not request.path.startswith("/v1/"):
            return Reply(status=404, body="<html>Not found</html>")
        if request.headers.get("authorization", "").removeprefix("Bearer").strip() in ("", "none"):
            return Reply(status=401, body={"error": {"message": "You didn't provide an API key."}})
        return super().reply(request)


@pytest.fixture
def server():
    with Strict() as server:
        yield server


def run(pytester, server, *options, base_url=""):
    url = base_url or server.url
    return pytester.runpytest(
        "--model=m", f"--model-base-url={url}", "--finetune-no-cache", "-p", "no:randomly", *options
    )


def test_a_refused_key_that_is_not_set_is_named(suite, pytester, server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    suite(1)
    result = run(pytester, server)
    text = " ".join(result.stdout.str().split())
    assert "stopped: auth: HTTP 401: You didn't provide an API key; OPENAI_API_KEY is not set" in text


def test_a_base_url_without_v1_is_named(suite, pytester, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first-0123456789")
    suite(1)
    root = server.url.removesuffix("/v1")
    result = run(pytester, server, base_url=root)
    text = " ".join(result.stdout.str().split())
    assert f"does the base URL end with /v1, as in {root}/v1?" in text
    assert "does the base URL" not in run(pytester, server, base_url=f"{root}/other").stdout.str()


@pytest.mark.parametrize(
    ("name", "command"),
    [("cases.csv", "init --from cases.csv"), ("tests.yaml", "import tests.yaml"), ("T.TSV", "init --from T.TSV")],
)
def test_a_file_of_another_format_is_answered_with_the_command_that_reads_it(suite, pytester, server, name, command):
    suite(1)
    (pytester.path / name).write_text("a,b\n1,2\n", "utf-8")
    result = run(pytester, server, name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*hint: make it an eval set: pytest-finetune {command}"])
    assert not server.questions


def test_a_pointer_of_git_lfs_is_named(pytester, server):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (pytester.path / "cases.jsonl").write_text(pointer, "utf-8")
    result = run(pytester, server, "cases.jsonl")
    result.stderr.fnmatch_lines(["*cases.jsonl:1: the file is a pointer of Git LFS, not its content", "*git lfs pull*"])
