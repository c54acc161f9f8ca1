from __future__ import annotations

import io
import struct
from contextlib import suppress
from hashlib import sha256

import pytest
from gguf_files import gguf
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.errors import TargetError
from pytest_finetune.evaluation.targets import weights
from pytest_finetune.evaluation.targets.gguf_header import read_general_type
from pytest_finetune.evaluation.targets.weights import BASE, Weights, find_weights


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A stand-in for the installed weights of smollm2-135m."""
    path = tmp_path / "base.gguf"
    path.write_bytes(b"weights")
    monkeypatch.setattr(weights, "_base", lambda _: path)
    return path


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def test_the_small_model_needs_no_file(base, models):
    assert find_weights("local:smollm2-135m", models) == Weights(BASE, base)


def test_a_path_to_a_whole_model_is_used_alone(base, tmp_path, models):
    path = tmp_path / "tuned.gguf"
    path.write_bytes(gguf({"general.architecture": "llama", "general.type": "model"}))
    assert find_weights(f"local:{path}", models) == Weights("tuned", path)


@pytest.mark.parametrize("by", ["name", "path"])
def test_an_adapter_is_added_to_the_small_model(base, models, by):
    path = models / "tickets-v2.gguf"
    path.write_bytes(gguf({"general.type": "adapter"}))
    spec = "local:tickets-v2" if by == "name" else f"local:{path}"
    assert find_weights(spec, models) == Weights("tickets-v2", base, path)


def test_a_misspelt_name_gets_a_suggestion(base, models):
    (models / "tickets-v2.gguf").write_bytes(gguf({}))
    with pytest.raises(TargetError, match=r"no local model 'ticket-v2'\n  hint: did you mean 'tickets-v2'\?"):
        find_weights("local:ticket-v2", models)
    with pytest.raises(TargetError, match="did you mean 'smollm2-135m'"):
        find_weights("local:smollm2", models)


@pytest.mark.parametrize("name", ["", "nothing/like/it", "gone.gguf"])
def test_a_name_without_a_file_is_refused(base, models, name):
    with pytest.raises(TargetError, match="there is no local model"):
        find_weights(f"local:{name}", models)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"PK\x03\x04" + bytes(40), gguf({"a": "b"})[:30]])
def test_a_file_that_is_not_gguf_is_refused_before_it_is_loaded(models, content):
    (models / "broken.gguf").write_bytes(content)
    with pytest.raises(TargetError, match=r"broken\.gguf cannot be read as GGUF"):
        find_weights("local:broken", models)


def test_weights_that_are_not_installed_are_an_error_with_a_remedy(models, monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    with pytest.raises(TargetError, match="make weights"):
        find_weights("local:smollm2-135m", models)


def test_the_hash_covers_every_byte_of_model_and_adapter(tmp_path):
    model, adapter = tmp_path / "model.gguf", tmp_path / "adapter.gguf"
    model.write_bytes(b"model")
    adapter.write_bytes(b"adapter")
    assert Weights("m", model).sha256() == sha256(b"model").hexdigest()
    assert Weights("m", model, adapter).sha256() == f"{sha256(b'model').hexdigest()}+{sha256(b'adapter').hexdigest()}"
    assert Weights("m", model, adapter).size() == 12


def test_the_type_is_found_after_values_of_every_type():
    before = {"a": "text", "b": 7, "c": 0.5, "d": True, "e": ["x", "y"], "f": b"\x01\x02"}
    assert read_general_type(io.BytesIO(gguf({**before, "general.type": "adapter"}))) == "adapter"


def test_a_file_without_a_type_is_a_whole_model():
    assert read_general_type(io.BytesIO(gguf({"general.architecture": "llama"}))) == "model"


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: gguf({"k": ["v"]})[:24] + tail))
def test_any_bytes_are_read_or_refused(content):
    with suppress(ValueError, struct.error):
        assert isinstance(read_general_type(io.BytesIO(content)), str)
