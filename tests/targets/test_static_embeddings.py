"""`model2vec:PATH` with the real package and a made-up model of a few words."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from static_models import small_model

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.records import Completion, Failure, Message, Request
from pytest_finetune.evaluation.targets import static_embeddings
from pytest_finetune.evaluation.targets.static_embeddings import StaticEmbeddings

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.evaluation.targets import Target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("static"))


def ask(target: Target, *texts: str, api: str = "embeddings") -> Completion | Failure:
    async def run() -> Completion | Failure:
        await target.open()
        try:
            messages = tuple(Message("user", text) for text in texts)
            return await target.ask(Request(target.model, messages, api=api), 5.0)  # type: ignore[arg-type]
        finally:
            await target.close()

    return asyncio.run(run())


def test_texts_are_compared_without_a_server(folder: Path) -> None:
    found = ask(StaticEmbeddings(f"model2vec:{folder}"), "bug", "error", "praise")
    assert isinstance(found, Completion)
    assert json.loads(found.text) == pytest.approx([0.8, 0.0], abs=1e-3)


def test_the_files_of_the_model_are_its_identity(folder: Path, tmp_path: Path) -> None:
    before = StaticEmbeddings(f"model2vec:{folder}").identity
    other = small_model(tmp_path)
    assert StaticEmbeddings(f"model2vec:{other}").identity == before
    (other / "tokenizer.json").write_text("{}")
    assert StaticEmbeddings(f"model2vec:{other}").identity != before


def test_a_text_without_a_known_word_has_no_similarity(folder: Path) -> None:
    found = ask(StaticEmbeddings(f"model2vec:{folder}"), "zeppelin", "bug")
    assert isinstance(found, Failure)
    assert "knows no word" in found.message


def test_it_answers_no_questions(folder: Path) -> None:
    found = ask(StaticEmbeddings(f"model2vec:{folder}"), "bug", api="chat")
    assert isinstance(found, Failure)
    assert found.fatal


def test_a_missing_folder_is_reported() -> None:
    with pytest.raises(TargetError, match="no such folder"):
        StaticEmbeddings("model2vec:./nowhere")


def test_a_folder_that_is_no_model_is_reported(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="cannot load"):
        ask(StaticEmbeddings(f"model2vec:{tmp_path}"), "a", "b")


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(static_embeddings, "find_spec", lambda _: None)
    with pytest.raises(TargetError) as caught:
        StaticEmbeddings(f"model2vec:{folder}")
    assert "pip install 'pytest-finetune[model2vec]'" in str(caught.value)
