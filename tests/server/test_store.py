"""The store of the server: nothing is stored twice or lost, and pages do not overlap."""

from __future__ import annotations

import pytest

from pytest_finetune.server.store import Store, StoredRecord
from pytest_finetune.server.wire import PageQuery


class Note(StoredRecord):
    text: str = ""
    metadata: dict[str, str] | None = None


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "server.db")
    yield store
    store.close()


def note(number, **fields):
    return Note(id=f"note-{number}", created_at=number, **fields)


def ids(found):
    return [record.id for record in found]


def test_written_records_are_read_back(tmp_path):
    first = Store(tmp_path / "server.db")
    first.add(note(1, text="x"))
    # The first store is not closed, as after a kill.
    second = Store(tmp_path / "server.db")
    assert second.find(Note, "note-1") == note(1, text="x")
    first.close()
    second.close()


def test_an_event_is_stored_once(store):
    assert store.add(note(1), parent="job", name="step-1")
    assert not store.add(note(2), parent="job", name="step-1")
    assert store.add(note(3), parent="other", name="step-1")
    assert ids(store.all(Note, parent="job")) == ["note-1"]


def test_pages_have_no_gap_and_no_overlap(store):
    for number in range(7):
        store.add(note(number))
    seen, after, more = [], None, True
    while more:
        found, more = store.page(Note, query=PageQuery(after, limit=3))
        seen += ids(found)
        after = seen[-1]
    assert seen == [f"note-{number}" for number in reversed(range(7))]


def test_a_page_may_start_with_the_oldest(store):
    for number in range(3):
        store.add(note(number))
    found, more = store.page(Note, query=PageQuery(limit=2), oldest_first=True)
    assert (ids(found), more) == (["note-0", "note-1"], True)


def test_there_is_no_page_after_an_unknown_id(store):
    assert store.page(Note, query=PageQuery("note-9")) is None


@pytest.mark.parametrize("key", ["team", "a.b", 'quo"te', "$[0]", "ключ"])
def test_a_filter_matches_exact_values_of_any_key(store, key):
    store.add(note(1, metadata={key: "red"}))
    store.add(note(2, metadata={key: "blue"}))
    store.add(note(3, metadata={"other": "red"}))
    store.add(note(4))
    found, _ = store.page(Note, query=PageQuery(), metadata={key: "red"})
    assert ids(found) == ["note-1"]


def test_a_change_keeps_the_other_fields(store):
    store.add(note(1, text="x", metadata={"a": "b"}))
    store.change(store.find(Note, "note-1"), text="y")
    assert store.find(Note, "note-1") == note(1, text="y", metadata={"a": "b"})
