"""The remedy of every finding, applied to its planted fault as its text says, removes the finding."""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from more_plants import MORE_PLANTS
from planted_faults import OTHER_TOOL, SYSTEM, TOOL, call, labelled, lines, row, sentence
from plants import PLANTS

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.lifecycle.data.finding import Finding
    from pytest_finetune.lifecycle.data.production import Production

    Edit = Callable[[Any, Finding, re.Match[str]], Any]

ALL = [*PLANTS, *MORE_PLANTS]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(90) + b"IEND\xaeB`\x82"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}}
ANSWER = {"role": "assistant", "content": "other"}


def steps(path: str) -> list[str | int]:
    """The keys and indices of a JSON path."""
    return [int(index) if index else key for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", path)]


def put(value: Any, finding: Finding, change: Callable[[Any], Any] | Any) -> Any:
    """The row with another value where the finding is."""
    *parents, last = steps(finding.path)
    parent = value
    for step in parents:
        parent = parent[step]
    parent[last] = change(parent[last]) if callable(change) else change
    return value


def texts(change: Callable[[str], str]) -> Edit:
    """An edit of every text of the row."""

    def edited(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, dict):
            return {key: edited(item) for key, item in value.items()}
        return [edited(item) for item in value] if isinstance(value, list) else value

    return lambda value, finding, found: edited(value)


def tools(change: Callable[[dict[str, Any]], Any]) -> Edit:
    return lambda value, finding, found: (
        value | {"tools": [change(json.loads(json.dumps(each))) for each in value["tools"]]}
    )


def in_function(**fields: Any) -> Edit:
    return tools(lambda tool: tool | {"function": tool["function"] | fields})


def closest(value: Any, finding: Finding, found: re.Match[str]) -> Any:
    """What `did you mean` names, in the place of the word that the problem names."""
    wrong = re.findall(r"'([^']*)'", finding.problem)[0]
    return texts(lambda text: found[1] if text == wrong else text)(value, finding, found)


def without_key(value: Any, finding: Finding, found: re.Match[str]) -> Any:
    key = re.findall(r"'([^']*)'", finding.problem)[-1]
    return put(value, finding, lambda message: {name: item for name, item in message.items() if name != key})


def with_message(at: Callable[[list[Any]], int], message: dict[str, Any]) -> Edit:
    def edited(value: Any, finding: Finding, found: re.Match[str]) -> Any:
        messages = value["messages"]
        place = at(messages)
        return value | {"messages": [*messages[:place], message, *messages[place:]]}

    return edited


def without_images(value: Any, finding: Finding, found: re.Match[str]) -> Any:
    return texts(str)(value, finding, found) | {
        "messages": [
            each | {"content": each["content"][:1]} if isinstance(each["content"], list) else each
            for each in value["messages"]
        ]
    }


def only_call(value: Any, finding: Finding, found: re.Match[str]) -> Any:
    value["messages"][2]["tool_calls"] = [call()]
    return value


def joined(value: Any, finding: Finding, found: re.Match[str]) -> Any:
    *before, first, second = value["messages"]
    return value | {"messages": [*before, first | {"content": f"{first['content']} {second['content']}"}]}


def masked(text: str) -> Edit:
    """The secret, of which a finding shows the ends, replaced by a text."""

    def edited(value: Any, finding: Finding, found: re.Match[str]) -> Any:
        words = value["messages"][1]["content"].split(" ")
        words[9:-3] = [text]
        value["messages"][1]["content"] = " ".join(words)
        return value

    return edited


def decoded(value: Any, finding: Finding, found: re.Match[str]) -> Any:
    def again(text: str) -> str:
        lost = next((each for each in ("\ufffd", "锟斤拷") if each in text), "")
        return text.replace(lost, "é") if lost else text.encode("cp1252").decode()

    return put(value, finding, again)


GONE = object()
"""The edit that removes the row."""

EDITS: dict[str, Edit | object] = {
    r"write one JSON object per line, in double quotes": row(sentence(901), "other"),
    r"write one object per line$": row(sentence(901), "other"),
    r"save the file as UTF-8$": row(sentence(901), "other"),
    r"write the character itself": row(sentence(901), "other"),
    r"split it, or raise --max-line-bytes": row(sentence(901), "other"),
    r'write \{"role": "user", "content": "…"\}': lambda value, finding, found: put(
        value, finding, {"role": "user", "content": sentence(901)}
    ),
    r'write \{"messages": \[…\]\}, or move|^write \{"messages": \[…\]\}$': row(sentence(901), "other"),
    r"move them to a file of their own": GONE,
    r'write \{"type": "image_url", "image_url"': lambda value, finding, found: put(value, finding, IMAGE),
    r"write an https address, or data:image/png|write data:image/png;base64": lambda value, finding, found: put(
        value, finding, IMAGE
    ),
    r"write it as JPEG, PNG or WEBP|encode the (whole )?file again": lambda value, finding, found: put(
        value, finding, IMAGE
    ),
    r"split the row, or leave some out|remove it: models are trained to answer with text": without_images,
    r"add one of: system, developer, user": lambda value, finding, found: put(
        value, finding, lambda message: {"role": "user", **message}
    ),
    r'write "content": "…"': lambda value, finding, found: (
        put(value, finding, "hello")
        if finding.path.endswith("content")
        else put(value, finding, lambda message: message | {"content": "hello"})
    ),
    r"add the id of the call that this message answers": lambda value, finding, found: put(
        value, finding, lambda message: message | {"tool_call_id": "c1"}
    ),
    r"^remove it; known:": without_key,
    r"did you mean '(.*)'\?": closest,
    r"use a space for an empty input": lambda value, finding, found: put(value, finding, " "),
    r"write a JSON value as a string": lambda value, finding, found: put(value, finding, json.dumps),
    r'write \{"type": "text", "text": "…"\}': lambda value, finding, found: put(
        value, finding, {"type": "text", "text": "hello"}
    ),
    r"end with the answer: (\{.*\})": with_message(len, ANSWER),
    r"add the user's message before the answer": with_message(lambda _: 1, {"role": "user", "content": "hello"}),
    r"a weight is 0 or 1": lambda value, finding, found: put(value, finding, 1),
    r"give the answer to learn weight 1": lambda value, finding, found: (
        value | {"messages": [each | {"weight": 1} if "weight" in each else each for each in value["messages"]]}
    ),
    r"flatten the value, or write it as text": row(sentence(901), "other"),
    r"write it without quotes": lambda value, finding, found: put(value, finding, int),
    r"write the arguments as JSON text|name the function that is called": only_call,
    r"leave it out where nothing is called": lambda value, finding, found: (
        value
        | {"messages": [{key: item for key, item in each.items() if key != "tool_calls"} for each in value["messages"]]}
    ),
    r"remove the row, or (make both answers|prefer one of two)": GONE,
    r"rows for reinforcement fine-tuning end with the prompt": lambda value, finding, found: (
        value | {"messages": value["messages"][:-1]}
    ),
    r"add a column such as reference_answer": lambda value, finding, found: value | {"reference_answer": "7"},
    r"remove it, or write it in another way": texts(lambda text: re.sub(r"<\|.*?\|>", "", text)),
    r"merge the two, or add": joined,
    r"use at most 64 letters, digits, _ and - of ASCII": in_function(name="get_weather"),
    r'"parameters": \{"type": "object", "properties": …\}': in_function(
        parameters={"type": "object", "properties": {}}
    ),
    r'write \[\{"type": "function", "function": \{…\}\}\]': lambda value, finding, found: value | {"tools": [TOOL]},
    r"tool names must be unique": lambda value, finding, found: value | {"tools": [TOOL, OTHER_TOOL]},
    r'write \{"type": "function", "function": \{"name": "…", …\}\}': only_call,
    r"add one; the tool's answer|^ids must be unique": only_call,
    r"add the row's \"tools\"": lambda value, finding, found: value | {"tools": [TOOL]},
    r"arguments must be one JSON object|arguments must match": lambda value, finding, found: put(
        value, finding, '{"number": 7}'
    ),
    r"add a tool message with its answer after the call": with_message(
        lambda _: 3, {"role": "tool", "tool_call_id": "c1", "content": "shipped"}
    ),
    r"remove it, or add the call before it": lambda value, finding, found: (
        value | {"messages": [each for at, each in enumerate(value["messages"]) if at != steps(finding.path)[1]]}
    ),
    r"the answer must be one JSON value|fix the answer or the schema": row(sentence(901), '{"item": 1, "count": 2}'),
    r"shorten the row, or split it": row(sentence(901), "other"),
    r"keep one of them \(--fix does\)|remove one, unless|keep the correct one": GONE,
    r"^write the answer, or remove the row": row(sentence(901), "other"),
    r"name@example\.com": masked("name@example.com"),
    r"such as \+1 212 555 0100": masked("+1 212 555 0100"),
    r"replace it: a model can repeat|remove it, and revoke it": masked("[removed]"),
    r"read the source again with the right encoding": decoded,
}


def cases(edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path], None]:
    """An edit of the first line of the eval set, or else of the validation file."""

    def edited(folder: Path) -> None:
        path = next(each for name in ("evals", "validation") if (each := folder / f"{name}.jsonl").exists())
        path.write_bytes(lines([edit(json.loads(each)) for each in path.read_text().splitlines()]))

    return edited


def more_rows(*rows: Any) -> Callable[[Path], None]:
    def edited(folder: Path) -> None:
        with (folder / "train.jsonl").open("ab") as file:
            file.write(lines([*rows]))

    return edited


def of_training(folder: Path) -> None:
    """Remove from the training or validation file what the eval set, or the validation file, has too."""
    questions = {
        json.loads(each)["messages"][1]["content"].lower()[20:]
        for name in (("evals",) if (folder / "evals.jsonl").exists() else ("validation",))
        for each in (folder / f"{name}.jsonl").read_text().splitlines()
    }
    others = ["train"] + (["validation"] if (folder / "evals.jsonl").exists() else [])
    for path in [folder / f"{name}.jsonl" for name in others if (folder / f"{name}.jsonl").exists()]:
        rows = [json.loads(each) for each in path.read_text().splitlines()]
        path.write_bytes(lines([each for each in rows if each["messages"][1]["content"].lower()[20:] not in questions]))


def known_prompts(value: dict[str, Any]) -> dict[str, Any]:
    turns = [each for each in value["messages"] if each["role"] != "system"]
    same = {key: item for key, item in value.items() if key != "tools"}
    return same | {"messages": [{"role": "system", "content": SYSTEM}, *turns]}


def one_spelling(folder: Path) -> None:
    path = folder / "train.jsonl"
    path.write_text(path.read_text().replace('"Bug"', '"bug"'))


FILES: dict[str, Callable[[Path], None]] = {
    r"use one spelling per label": one_spelling,
    r'write one \{"messages": \[…\]\} per line': more_rows(row(sentence(901), "other")),
    r"input is text or a list of messages": cases(lambda value: value | ({"input": "a"} if "input" in value else {})),
    r"add more; 100 to 500": more_rows(*labelled({"bug": 100, "other": 100})),
    r"add more, at least 10, or drop it": more_rows(
        *[row(sentence(7000 + at), label) for at in range(20) for label in ("feature", "praise")]
    ),
    r"add examples of the rare label": more_rows(*[row(sentence(7000 + at), "other") for at in range(20)]),
    r"how to answer incomplete inputs": more_rows(row("?", "other")),
    r"how to answer long inputs": more_rows(row(sentence(7000, 60), "other")),
    r"how to answer ambiguous inputs": more_rows(*[row(sentence(7000 + at), "unclear") for at in range(20)]),
    r"remove it from the (training|validation) file or from this one": of_training,
    r"train, evaluate and serve with the same prompts and tools": cases(known_prompts),
    r"make the training answers and the response_format": lambda folder: (folder / "evals.toml").write_text(""),
}


def run_command(hint: str, folder: Path) -> Path:
    """Run the command of a hint; the file that it writes."""
    words = shlex.split(hint)
    if words[0] == "pytest-finetune":
        words = [{"input=…": "input=question", "output=…": "output=reply"}.get(word, word) for word in words]
        done = CliRunner().invoke(main, words[1:])
        assert done.exit_code in (0, 1), done.output
        return folder / "NEW.jsonl"
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is not installed")
    subprocess.run(hint, shell=True, check=True, cwd=folder, timeout=60)
    return folder / "NEW.jsonl"


def in_step(production: Production, folder: Path) -> Production:
    """What production sends once it is changed together with the model, and the files with it."""
    hashes = {}
    if production.hashes:
        (eval_set,) = load_eval_sets([folder / "evals.jsonl"], root=folder)
        hashes = {eval_set.name: (eval_set.settings_sha256, eval_set.schema_sha256)}
    sent = {name: value for name in ("system", "tools", "response_format") if (value := getattr(production, name))}
    now = {"system": SYSTEM, "tools": "", "response_format": ""}
    return replace(production, hashes=hashes, **{name: now[name] for name in sent})


def edit_row(path: Path, finding: Finding, edit: Any, found: re.Match[str]) -> None:
    raw = path.read_bytes().split(b"\n")
    at = finding.line - 1
    if edit is GONE:
        del raw[at]
    elif callable(edit):
        raw[at] = json.dumps(edit(json.loads(raw[at].decode("utf-8", "surrogatepass")), finding, found)).encode()
    else:
        raw[at] = json.dumps(edit).encode()
    path.write_bytes(b"\n".join(raw))


def apply(finding: Finding, files: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Do what the hint says; the arguments of the next check."""
    hint, options = finding.hint, files["options"]
    if choice := re.search(r"keep the columns of one: (.*); for (\S+) add ([^,]*)", hint):
        return files | {"training": [run_command(f"{choice[1]} {choice[3]}", folder)]}
    if "--fix" in hint or (command := re.search(r"(pytest-finetune|jq|gunzip|unzip|iconv) .*", hint)):
        fix = f"pytest-finetune data check {finding.file} --fix NEW.jsonl"
        return files | {"training": [run_command(fix if "--fix" in hint else command[0], folder)]}
    if "leave out --shape" in hint:
        return files | {"options": replace(options, shape="")}
    if shape := re.search(r"say so: --shape (\S+)", hint):
        return files | {"options": replace(options, shape=shape[1])}
    if "change production together with the model" in hint:
        return files | {"options": replace(options, production=in_step(options.production, folder))}
    edits = [(found, edit) for each, edit in EDITS.items() if (found := re.search(each, hint))]
    changes = [change for each, change in FILES.items() if re.search(each, hint)]
    assert len(edits) + len(changes) == 1, f"no edit, or several, for the remedy {hint!r}"
    for change in changes:
        change(folder)
    for found, edit in edits:
        edit_row(folder / finding.file, finding, edit, found)
    return files


@pytest.mark.slow
@pytest.mark.parametrize("plant", ALL, ids=[f"{plant.code}-{number}" for number, plant in enumerate(ALL)])
def test_a_remedy_removes_its_finding(plant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = plant.write(tmp_path)
    before = check(**files)
    (finding,) = [each for each in before.findings if each.code == plant.code]
    after = check(**apply(finding, files, tmp_path))
    assert plant.code not in after.by_code, [(each.place, each.path, each.problem) for each in after.findings]
    assert sum(after.rows.values()) >= len(plant.evals), "the remedy keeps the rows"


@pytest.mark.slow
def test_every_remedy_of_the_table_is_used(tmp_path_factory):
    hints = set()
    for plant in ALL:
        hints |= {each.hint for each in check(**plant.write(tmp_path_factory.mktemp("plant"))).findings}
    unused = [each for each in [*EDITS, *FILES] if not any(re.search(each, hint) for hint in hints)]
    assert unused == []
