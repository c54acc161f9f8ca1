from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.records import Completion, Failure, Message, Request, ToolCall, Usage
from pytest_finetune.evaluation.targets.answer_store import BATCH, AnswerStore
from pytest_finetune.evaluation.targets.cache import CachedTarget, is_whole

ANSWER = Completion("bug", usage=Usage(12, 1, 4), model="ft:m:acme::1-real", latency=1.5, retries=2)
REQUEST = Request("ft:m:acme::1", (Message("user", "It crashes."),), MappingProxyType({"temperature": 0.0}))


class Scripted:
    spec = model = "ft:m:acme::1"
    base_url = identity = "https://api.example.com/v1"
    immutable = True
    free = False

    def __init__(self, outcome: Completion | Failure = ANSWER) -> None:
        self.outcome, self.calls, self.opened, self.closed = outcome, 0, 0, 0

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.closed += 1

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        self.calls += 1
        return self.outcome


def ask(target: Scripted, folder: Path, *requests: Request) -> list[Completion | Failure]:
    """One session: open, ask, close."""

    async def session() -> list[Completion | Failure]:
        cached = CachedTarget(target, folder)
        await cached.open()
        try:
            return [await cached.ask(request, 10) for request in requests]
        finally:
            await cached.close()
            warned.extend(cached.warnings)

    warned.clear()
    return asyncio.run(session())


warned: list[str] = []
"""The warnings of the cache in the last session."""


def is_requested_again(folder: Path, second: Request = REQUEST, target: Scripted | None = None) -> bool:
    ask(Scripted(), folder, REQUEST)
    target = target or Scripted()
    ask(target, folder, second)
    return target.calls == 1


def test_an_answer_is_found_again_in_the_next_session(tmp_path):
    ask(Scripted(), tmp_path, REQUEST)
    target = Scripted()
    [again] = ask(target, tmp_path, REQUEST)
    assert target.calls == 0
    assert again == replace(ANSWER, from_cache=True, latency=0.0, retries=0)


def test_an_answer_is_found_again_before_it_is_on_disk(tmp_path):
    target = Scripted()
    first, second = ask(target, tmp_path, REQUEST, REQUEST)
    assert (first.from_cache, second.from_cache, target.calls) == (False, True, 1)


def test_tool_calls_are_kept(tmp_path):
    calls = Completion("", finish_reason="tool_calls", tool_calls=(ToolCall("find", '{"city": "Paris"}'),))
    ask(Scripted(calls), tmp_path, REQUEST)
    assert ask(Scripted(), tmp_path, REQUEST) == [replace(calls, from_cache=True)]


def test_the_cached_target_is_opened_and_closed(tmp_path):
    target = Scripted()
    ask(target, tmp_path)
    assert (target.opened, target.closed) == (1, 1)


@pytest.mark.parametrize(
    "second",
    [
        replace(REQUEST, attempt=1),
        replace(REQUEST, messages=(Message("user", "It crashes!"),)),
        replace(REQUEST, messages=(Message("system", "It crashes."),)),
        replace(REQUEST, params={"temperature": 0.1}),
        replace(REQUEST, params={"temperature": 0.0, "seed": 1}),
        replace(REQUEST, model="ft:m:acme::2"),
    ],
)
def test_another_attempt_or_request_has_another_key(tmp_path, second):
    assert is_requested_again(tmp_path, second)


def test_the_source_line_of_a_request_does_not_change_its_key(tmp_path):
    assert not is_requested_again(tmp_path, replace(REQUEST, eval_set="other.jsonl", case_id="x"))


def test_another_server_or_other_weights_have_another_key(tmp_path):
    other = Scripted()
    other.identity = "sha256 of other weights"
    assert is_requested_again(tmp_path, target=other)


def test_a_model_whose_weights_may_change_is_always_requested(tmp_path):
    target = Scripted()
    target.immutable = False
    ask(target, tmp_path, REQUEST, REQUEST)
    assert target.calls == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "outcome",
    [
        Failure("timeout", "no answer"),
        Completion(""),
        Completion("bu", finish_reason="length"),
        Completion("bug", finish_reason="content_filter"),
        Completion("", refusal="I cannot help with that."),
        Completion("bug", finish_reason=""),
    ],
)
def test_an_incomplete_answer_is_requested_again(tmp_path, outcome):
    target = Scripted(outcome)
    assert ask(target, tmp_path, REQUEST, REQUEST) == [outcome, outcome]
    assert target.calls == 2


def test_a_request_that_is_not_json_is_left_to_the_target(tmp_path):
    target = Scripted()
    ask(target, tmp_path, replace(REQUEST, params={"stop": {1, 2}}))
    assert target.calls == 1


@pytest.mark.parametrize("content", [b"", b"not a database" * 100, b"SQLite format 3\x00" + bytes(3000)])
def test_a_broken_file_is_set_aside_and_replaced(tmp_path, content):
    file = tmp_path / "answers.sqlite3"
    file.write_bytes(content)
    Path(f"{file}-wal").write_bytes(b"left over")
    assert not is_requested_again(tmp_path)
    if content:
        assert Path(f"{file}.broken").read_bytes() == content
    else:
        assert not Path(f"{file}.broken").exists()


def test_a_broken_file_is_reported_once_with_its_path(tmp_path):
    (tmp_path / "answers.sqlite3").write_bytes(b"not a database" * 100)
    ask(Scripted(), tmp_path, REQUEST)
    [warning] = warned
    assert str(tmp_path / "answers.sqlite3") in warning
    assert "answers.sqlite3.broken" in warning
    ask(Scripted(), tmp_path, REQUEST)
    assert warned == []


def test_a_file_of_another_program_is_set_aside(tmp_path):
    with sqlite3.connect(tmp_path / "answers.sqlite3") as other:
        other.execute("CREATE TABLE answers (question TEXT)")
    other.close()
    assert not is_requested_again(tmp_path)


def test_a_file_that_breaks_during_the_session_is_not_an_error(tmp_path):
    store = AnswerStore(tmp_path / "answers.sqlite3")
    store.open()
    for number in range(20 * BATCH):
        store.put(number.to_bytes(32, "big"), "x" * 200)
    store.close()
    file = tmp_path / "answers.sqlite3"
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 60_000)
    store = AnswerStore(file)
    store.open()
    found = [store.get(number.to_bytes(32, "big")) for number in range(20 * BATCH)]
    store.put(b"new", "answer")
    assert store.get(b"new") == "answer"
    store.close()
    assert None in found
    assert store.warnings


@pytest.mark.parametrize("entry", ["", "[]", "{}", "null", '["bug"]', '["bug","length","m",[],null]', "\x00"])
def test_a_damaged_entry_is_requested_and_stored_again(tmp_path, entry):
    ask(Scripted(), tmp_path, REQUEST)
    with sqlite3.connect(tmp_path / "answers.sqlite3") as file:
        file.execute("UPDATE answers SET answer = ?", (entry,))
    file.close()
    target = Scripted()
    ask(target, tmp_path, REQUEST)
    assert target.calls == 1
    ask(target, tmp_path, REQUEST)
    assert target.calls == 1


def test_a_folder_that_cannot_be_created_disables_the_cache(tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    target = Scripted()
    ask(target, tmp_path / "taken" / "cache", REQUEST, REQUEST)
    assert target.calls == 2
    assert "answers are not cached" in warned[0]


def test_a_folder_in_place_of_the_file_disables_the_cache(tmp_path):
    (tmp_path / "answers.sqlite3").mkdir()
    target = Scripted()
    ask(target, tmp_path, REQUEST, REQUEST)
    assert target.calls == 2
    assert len(warned) == 1


def test_an_answer_waits_for_its_batch_while_another_process_writes(tmp_path):
    store = AnswerStore(tmp_path / "answers.sqlite3")
    store.open()
    other = sqlite3.connect(store.path)
    other.execute("BEGIN IMMEDIATE")
    store.put(b"key", "answer")
    assert store.get(b"key") == "answer"
    assert store.warnings == []
    other.rollback()
    store.close()
    assert other.execute("SELECT answer FROM answers").fetchall() == [("answer",)]
    other.close()


def _fill(folder: Path, first: int) -> None:
    store = AnswerStore(folder / "answers.sqlite3")
    store.open()
    for number in range(first, first + 3 * BATCH):
        store.put(number.to_bytes(32, "big"), str(number))
    store.close()


@pytest.mark.slow
def test_many_processes_share_one_file(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(tmp_path, first * 1000)) for first in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    store = AnswerStore(tmp_path / "answers.sqlite3")
    store.open()
    wanted = [number for first in range(4) for number in range(first * 1000, first * 1000 + 3 * BATCH)]
    assert [store.get(number.to_bytes(32, "big")) for number in wanted] == [str(number) for number in wanted]
    store.close()
    assert not Path(f"{store.path}.broken").exists()


def test_the_file_contains_neither_requests_nor_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    ask(Scripted(), tmp_path, REQUEST)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"bug" in stored
    assert b"It crashes" not in stored
    assert b"sk-very-secret" not in stored


texts = st.text(st.characters(exclude_categories=()), max_size=30)


@given(
    completion=st.builds(
        Completion,
        text=texts,
        finish_reason=st.sampled_from(["stop", "tool_calls", "length", ""]),
        model=texts,
        tool_calls=st.lists(st.builds(ToolCall, texts, texts), max_size=2).map(tuple),
        refusal=st.sampled_from(["", "no"]),
        usage=st.none() | st.builds(Usage, st.integers(0), st.integers(0), st.integers(0)),
    )
)
def test_exactly_the_complete_answers_are_returned_unchanged(tmp_path_factory, completion):
    folder = tmp_path_factory.mktemp("cache")
    first, second = ask(Scripted(completion), folder, REQUEST, REQUEST)
    assert first == completion
    assert second == replace(completion, from_cache=is_whole(completion))
