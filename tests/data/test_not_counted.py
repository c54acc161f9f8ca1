"""What has tokens that cannot be counted offline is named next to every number, which is then an estimate."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from planted_faults import clean_rows, lines, picture, row

from pytest_finetune.cli import main
from pytest_finetune.evaluation.pricing import not_counted
from pytest_finetune.lifecycle.training.money import TrainingPrices
from pytest_finetune.lifecycle.training.plan import plan_training
from pytest_finetune.reports.terminal import forecast_line
from pytest_finetune.reports.training import plan_json, plan_lines

TEXT = {"type": "text", "text": "What is this?"}
SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
PAPER = {"type": "file", "file": {"file_id": "file-1"}}
MODEL = "gpt-4.1-2025-04-14"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*words):
    return CliRunner().invoke(main, ["data", *words], prog_name="pytest-finetune")


def row_with(*parts):
    planted = row("", "other")
    planted["messages"][1]["content"] = [TEXT, *parts]
    return planted


def write(name, rows):
    Path(name).write_bytes(lines(rows))
    return name


@pytest.mark.parametrize(
    ("contents", "found"),
    [
        (["text", None, [TEXT], ()], {}),
        ([[TEXT, picture(1), picture(2)], [SOUND]], {"images": 2, "audio clips": 1}),
        (
            [[PAPER], [{"type": "video_url"}], [{}], ["?"]],
            {"files": 1, "video_url parts": 1, "None parts": 1, "part parts": 1},
        ),
        ([[{"type": "refusal", "refusal": "No."}]], {}),
        ([[{"type": []}]], {"[] parts": 1}),
    ],
)
def test_parts_without_text_are_named(contents, found):
    assert not_counted(contents) == found


def test_the_price_of_a_training_with_pictures_is_an_estimate():
    rows = (
        [row_with(picture(number), picture(number + 100)) for number in range(30)] + clean_rows(20) + [row_with(SOUND)]
    )
    done = invoke("price", write("train.jsonl", rows), "--model", MODEL, "--monthly-calls", "102")
    text = " ".join(done.output.split())
    assert done.exit_code == 0, done.output
    assert "not counted 60 images, 1 audio clip" in text
    assert "the tokens of 60 images, 1 audio clip are not counted; training costs more" in text
    assert "the tokens of 120 images, 2 audio clips are not counted; the month costs more" in text
    (found,) = json.loads(invoke("price", "train.jsonl", "--model", MODEL, "--json").stdout)["models"]
    assert (found["tokens_are"], found["training"]["not_counted"]) == ("estimated", {"images": 60, "audio clips": 1})
    plain = invoke("price", write("plain.jsonl", clean_rows()), "--model", MODEL).output
    assert "(estimate)" in done.output
    assert "(estimate)" not in plain
    assert "not counted" not in plain


def test_the_price_of_an_evaluation_with_pictures_is_an_estimate():
    Path("eval_sets").mkdir()
    write("eval_sets/charts.jsonl", [row_with(picture(1), SOUND)])
    Path("eval_sets/charts.toml").write_text("[stability]\nrepeats = 4\n", "utf-8")
    done = invoke("price", "--eval", "eval_sets", "--model", MODEL, "--json")
    (found,) = json.loads(done.stdout)["models"]
    assert found["evaluations"]["eval_sets/charts.jsonl"]["not_counted"] == {"images": 4, "audio clips": 4}
    assert found["tokens_are"] == "estimated"


def test_reinforcement_is_not_priced_by_tokens():
    rows = [{"messages": [{"role": "user", "content": "2 + 2"}], "reference_answer": 4}] * 12
    (found,) = json.loads(invoke("price", write("train.jsonl", rows), "--model", MODEL, "--json").stdout)["models"]
    assert found["training"]["not_counted"] == {"reinforcement rows": 12}
    assert found["training"]["tokens"] == 0


def test_a_profile_names_what_it_did_not_count():
    write("train.jsonl", [row_with(picture(1)), row_with(picture(2), PAPER)])
    assert "without 2 images, 1 file" in invoke("profile", "train.jsonl", "--no-check", "-o", "page.html").output
    assert "without 2 images, 1 file" in Path("page.html").read_text("utf-8")
    assert json.loads(invoke("profile", "train.jsonl", "--no-check", "--json").stdout)["not_counted"] == {
        "images": 2,
        "files": 1,
    }


def test_the_plan_of_a_training_names_what_it_did_not_count(folder):
    write("train.jsonl", [*clean_rows(), row_with(picture(1))])
    plan = plan_training(folder / "train.jsonl", MODEL, TrainingPrices("https://api.openai.com/v1"))
    text = " ".join(" ".join(line for line, _ in plan_lines(plan, model=MODEL)).split())
    assert "without 1 image, which are not counted" in text
    assert "cost: at least $" in text
    assert (plan_json(plan)["not_counted"], plan_json(plan)["tokens_are"]) == ({"images": 1}, "estimated")


def test_a_forecast_names_what_it_did_not_count():
    assert forecast_line("gpt-4.1", 8, Decimal("0.02"), {"images": 40}) == (
        "gpt-4.1: 8 calls, about $0.02 without 40 images, which are not counted"
    )
    assert "images" not in forecast_line("local:smollm2-135m", 8, Decimal(0), {"images": 40})


def test_legacy_functions_are_counted_as_tools_are():
    tool = {"name": "route", "description": "d" * 400, "parameters": {"type": "object"}}
    called = {"name": "route", "arguments": json.dumps({"to": "x " * 300})}
    user = {"role": "user", "content": "Send it."}
    legacy = {"messages": [user, {"role": "assistant", "content": None, "function_call": called}], "functions": [tool]}
    call = {"id": "a", "type": "function", "function": called}
    modern = {
        "messages": [user, {"role": "assistant", "tool_calls": [call]}],
        "tools": [{"type": "function", "function": tool}],
    }
    write("legacy.jsonl", [legacy])
    write("modern.jsonl", [modern])
    one, other = (
        json.loads(invoke("price", f"{name}.jsonl", "--model", MODEL, "--json").stdout)["models"][0]["training"]
        for name in ("legacy", "modern")
    )
    assert one == other
    assert one["tokens"] > 400
