"""The examples of docs/server.md run, and all options and paths are documented there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import click
from server_process import chat_lines, needs_training

from pytest_finetune.cli.serve import MODELS, STATE, command
from pytest_finetune.lifecycle.data.limits import LOCAL_LIMIT
from pytest_finetune.server.files import MOST_BYTES
from pytest_finetune.server.trainer.job import TrainingJob

PAGE = (Path(__file__).parents[2] / "docs/server.md").read_text("utf-8")


@needs_training
def test_the_documented_example_runs(running, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", running.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    Path("train.jsonl").write_bytes(chat_lines(10))
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names = {}
    exec(example, names)
    names["client"].close()
    assert names["job"].status == "succeeded", names["job"].error
    assert re.fullmatch(r"ft:smollm2-135m:local:intents:\w{8}", names["job"].fine_tuned_model)
    assert (running.models / f"{names['job'].fine_tuned_model.replace(':', '-')}.gguf").is_file()
    assert capsys.readouterr().out


def test_every_option_is_documented_with_its_default():
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    rows = {row.split("|")[1]: row for row in PAGE.splitlines() if row.startswith("| `--")}
    documented = {name for row in rows for name in re.findall(r"`(--[a-z-]+)`", row)}
    assert documented == {option.opts[0] for option in options}
    assert {"127.0.0.1, 8321" in PAGE, f"`{STATE.as_posix()}`" in PAGE, f"`{MODELS.as_posix()}`" in PAGE} == {True}
    by_name = {option.name: option.default for option in options}
    assert (by_name["host"], by_name["port"], by_name["threads"]) == ("127.0.0.1", 8321, 1)


def test_documented_figures_equal_those_of_the_code():
    job = TrainingJob(training_file=Path("x"))
    assert f"LoRA of rank {job.rank} " in PAGE
    assert f"learning rate is {job.learning_rate} times" in PAGE
    assert f"{LOCAL_LIMIT:,} tokens" in PAGE
    assert f"{MOST_BYTES >> 20} MiB" in PAGE


def test_every_path_is_documented(tmp_path):
    from pytest_finetune.server.app import ServerSettings, make_app

    settings = ServerSettings(tmp_path, tmp_path, tmp_path, places=1, threads=1, key="", log=lambda _: None)
    app = make_app(settings)

    async def start_and_stop():
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(start_and_stop())
    for route in app.routes:
        root, _, rest = route.path.partition("/{")
        assert f"| `{root}` |" in PAGE, route.path
        last = rest.rpartition("/")[2] if "/" in rest else ""
        assert last in PAGE
