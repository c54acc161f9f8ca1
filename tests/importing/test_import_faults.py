"""`pytest-finetune import` with input that cannot be carried over: an error with its place, and nothing written."""

from __future__ import annotations

import json
import marshal
import tomllib
import zipfile
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from foreign_files import batch_output, batch_request, completion, eval_config, result_row, write_json, write_jsonl
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.data.rows import Row
from pytest_finetune.lifecycle.importing.foreign import Findings, ImportOptions, NotCarried
from pytest_finetune.lifecycle.importing.source import FORMATS
from pytest_finetune.lifecycle.importing.templates import render, value_of
from pytest_finetune.lifecycle.importing.toml import settings_toml


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def import_(*words):
    return CliRunner().invoke(main, ["import", *map(str, words)], prog_name="pytest-finetune")


def refused(*words):
    before = sorted(Path().rglob("*"))
    result = import_(*words)
    assert result.exit_code == 2, result.output
    assert [path for path in Path().rglob("*") if path.is_file() and path not in before] == []
    return result.output


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "none.jsonl: cannot be read"),
        ("none.yaml", None, "none.yaml: cannot be read"),
        ("empty.jsonl", b"", "empty.jsonl: the file is empty"),
        ("empty.json", b"", "empty.json"),
        ("cut.json", b'{"eval": {', "cut.json:1: not strict JSON"),
        (
            "cut-later.json",
            b'{"eval": {},\n"run": {},\n"output_items": [{"datasource_item": {}},',
            "cut-later.json:3: not strict",
        ),
        ("cut.jsonl", b'\n{"item": {"a": 1', "cut.jsonl:2: no row can be read: not strict JSON"),
        (
            "line.jsonl",
            b'{"item": {"a": "' + b"a" * (9 << 20),
            "line.jsonl:1: no row can be read: the line is 9,437,200 bytes",
        ),
        ("cut.yaml", b"prompts: [a\ntests: b", "cut.yaml:2: not YAML"),
        ("list.yaml", b"- 1\n- 2", "does not hold an object"),
        ("cut.eval", b"PK\x03\x04", "not a whole log of Inspect"),
        ("none.eval", None, "none.eval: cannot be read"),
        ("latin.json", b'{"a": "\xe9"}', "not UTF-8"),
        ("zip.jsonl", b"PK\x03\x04", "zip"),
        ("notes.txt", b"hello", "unknown kind of file '.txt'"),
        ("other.jsonl", b'{"colour": "blue"}\n', "other.jsonl:1: unknown format; the keys of the first row: 'colour'"),
        ("data.json", b'{"data": [1]}', "data[0] is not an object"),
    ],
)
def test_files_that_cannot_be_read_are_refused_with_their_place(name, content, message):
    if content is not None:
        Path(name).write_bytes(content)

    assert message in refused(name)


PROMPTFOO = "prompts: ['{{q}}']\ntests:\n"
HEADER = ("header.json", b'{"eval": {"model": "m"}}')
SAMPLE = b'{"id": 1, "input": "hi", "target": "a", "output": {"choices": []}}'
DEEP = b"[" * 5000 + b"]" * 5000
DUMP = b'{"eval": {}, "run": {"id": "r"}, "output_items": [{"datasource_item": {"q": %s}}]}'


def archive(*members):
    """The bytes of a ZIP archive."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members:
            written.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no-header.eval", archive(("samples/1.json", SAMPLE)), "no item named 'header.json'"),
        ("no-samples.eval", archive(HEADER), "no row can be read"),
        ("binary.eval", archive(HEADER, ("samples/1.json", b"\xff\xfe")), "not a whole log of Inspect"),
        ("deep.eval", archive(HEADER, ("samples/1.json", b'{"input": %s}' % DEEP)), "nested too deeply"),
        ("list.eval", archive(HEADER, ("samples/1.json", b"[1]")), "holds no sample"),
        ("bomb.eval", archive(HEADER, ("samples/1.json", b" " * (65 << 20))), "larger than 64 MiB"),
        ("cut.eval", archive(HEADER, ("samples/1.json", SAMPLE))[:80], "not a whole log of Inspect"),
        ("changed.eval", archive(HEADER, ("samples/1.json", SAMPLE)).replace(b"header", b"footer"), "not a whole log"),
        (
            "tag.yaml",
            f"{PROMPTFOO}- vars: {{q: !!python/object/apply:os.getcwd []}}\n".encode(),
            "tag.yaml:3: not YAML",
        ),
        ("self.yaml", b"a: &a [*a]\n", "self.yaml:1: not YAML: an alias refers to a node that contains it"),
        ("deep.yaml", b"a: %s\n" % DEEP, "not YAML"),
        ("digits.yaml", b"a: " + b"9" * 10_000, "digits.yaml:1: not YAML: a number has too many digits"),
        ("nul.yaml", b'a: "b\0"', "not YAML"),
        ("utf16.yaml", PROMPTFOO.encode("utf-16"), "not UTF-8"),
        ("large.yaml", b"# " + b"a" * (9 << 20), "larger than 8 MiB"),
        ("deep.json", DUMP % DEEP, "not strict JSON: nested too deeply"),
        ("nan.json", DUMP % b"NaN", "NaN is not JSON"),
        ("digits.json", DUMP % (b"9" * 10_000), "too many digits"),
        ("double.json", DUMP % b"1e999", "beyond a double"),
        ("nul.json", DUMP % b'"a\0"', "not strict JSON"),
        ("utf16.json", (DUMP % b"1").decode().encode("utf-16"), "utf16.json"),
        ("binary.json", b"{" + bytes(range(256)), "binary.json"),
        ("items.json", DUMP.replace(b"[{", b"[1, null, [], {").replace(b"datasource_item", b"x") % b"1", "and 3 more"),
        ("run.json", b'{"eval": {}, "run": [], "output_items": []}', "run.json:1: unknown format"),
        ("quote.csv", b'input,expected\n"hi,a\n', "quote.csv:2: not CSV"),
        ("nul.csv", b"input,expected\nh\0i,a\n", "'input' has a NUL character; remove it, or check its encoding"),
        ("latin.csv", "input,expected\ncaf\xe9,a\n".encode("latin-1"), "hint: save it as UTF-8"),
        ("utf16.csv", "input,expected\nhi,a\n".encode("utf-16"), "hint: save it as UTF-8"),
        ("twice.csv", b"input,input\na,b\n", "two columns are named 'input'"),
        ("long.csv", b"input,expected\n" + b"a" * (20 << 20), "long.csv:2: a line is longer"),
        ("open.csv", b'input,expected\n"' + b"a,b\n" * (5 << 20), "open.csv:2: not CSV"),
        ("long.jsonl", b'{"input": "%s"}\n' % (b"a" * (20 << 20)), "bytes long"),
        ("zeros.jsonl", bytes(20 << 20), "zeros.jsonl"),
        ("mixed.jsonl", b'\xef\xbb\xbf{"colour": 1}\n\xff\n[]\n', "mixed.jsonl:1: unknown format"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
)
def test_hostile_files_are_refused_and_leave_nothing_behind(name, content, message):
    Path(name).write_bytes(content)
    output = refused(name)
    assert message in output.replace("\n", " ").replace("    ", ""), output
    assert "Traceback" not in output
    assert "--encoding" not in output
    assert "--max-line-bytes" not in output


def test_an_alias_bomb_is_refused_before_it_is_expanded():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{after}: &{after} [{', '.join([f'*{name}'] * 10)}]" for name, after in pairwise("abcdefghij")]
    Path("bomb.yaml").write_text("\n".join(lines), "utf-8")
    assert "stand for more than 1,000,000 values" in refused("bomb.yaml")


def test_a_lone_surrogate_in_a_sample_ends_up_in_no_file():
    Path("log.eval").write_bytes(archive(HEADER, ("samples/1.json", SAMPLE.replace(b"hi", rb"\ud800"))))
    assert "log.eval:1: no record is usable: it has half of a surrogate pair" in refused("log.eval")


def test_an_unnamed_prompt_or_answer_is_an_error_with_the_option_to_use():
    data = write_jsonl("data.jsonl", {"item": {"question": "Q?", "answer": "A"}})

    assert "set it with --prompt or --config" in refused(data)
    assert "set it with --expected or --config" in refused(data, "--prompt", "{{ item.question }}")
    assert import_(data, "--prompt", "{{ item.question }}", "--expected", "{{ item.answer }}").exit_code == 0


def test_a_template_that_no_row_has_is_refused():
    data = write_jsonl("data.jsonl", {"item": {"question": "Q?", "answer": None}})

    assert "the row has no 'item.quest'" in refused(data, "--prompt", "{{ item.quest }}", "--expected", "A")
    assert "item.answer is null" in refused(data, "--prompt", "Q", "--expected", "{{ item.answer }}")
    assert "is not one of the item" in refused(data, "--prompt", "{{ sample.x }}", "--expected", "A")


def test_a_format_that_the_file_does_not_have_is_refused_with_the_one_it_has():
    path = write_jsonl("rows.jsonl", {"input": "a", "target": "b"})

    assert "did you mean 'inspect'?" in refused(path, "--format", "batch")


def test_existing_files_are_only_overwritten_by_force():
    path = write_jsonl("rows.jsonl", {"input": "a", "target": "b"})
    assert import_(path).exit_code == 0
    Path("eval_sets", "rows.toml").write_text("mine", encoding="utf-8")

    assert "exists already" in refused(path)
    assert Path("eval_sets", "rows.toml").read_text(encoding="utf-8") == "mine"
    assert import_(path, "--force").exit_code == 0


def test_a_file_is_never_written_over_itself():
    path = write_jsonl("rows.jsonl", {"input": "a", "target": "b"})

    assert "the output file is the input" in refused(path, "-o", "rows.jsonl", "--force")
    assert json.loads(path.read_text(encoding="utf-8")) == {"input": "a", "target": "b"}


def test_rows_of_a_batch_without_their_request_are_skipped_by_name():
    write_jsonl("requests.jsonl", batch_request("known", "hi"))
    rows = [batch_output("known", completion("a")), batch_output("lost", completion("b"))]

    result = import_(write_jsonl("batch.jsonl", *rows), "--with", "requests.jsonl")

    assert result.exit_code == 1
    assert "batch.jsonl:2: no request has the custom_id 'lost'" in result.output


def test_two_requests_with_one_custom_id_are_refused():
    write_jsonl("requests.jsonl", batch_request("same", "hi"), batch_request("same", "ho"))

    output = refused(write_jsonl("batch.jsonl", batch_output("same", completion("a"))), "--with", "requests.jsonl")

    assert "requests.jsonl:2: duplicate custom_id 'same'" in output


def test_ids_that_cannot_name_a_test_are_replaced_and_equal_ids_numbered():
    rows = [{"input": f"q{n}", "target": "a", "id": name} for n, name in enumerate(["x", "x", "a::b", "é" * 300, " "])]

    assert import_(write_jsonl("rows.jsonl", *rows)).exit_code == 0

    lines = Path("eval_sets", "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["x", "x-2", "case-3", "case-4", "case-5"]


def test_an_imported_run_is_not_evidence_for_a_promotion():
    write_json("eval.json", eval_config())
    Path("eval.toml").write_text("", encoding="utf-8")
    row = result_row("ft:mine", 0, "2 + 2?", "4", "4", passes={"match": True})
    assert import_(write_jsonl("sums.jsonl", row), "--config", "eval.json").exit_code == 0
    run = CliRunner().invoke
    added = run(main, ["registry", "add", "v1", "--model-id=ft:mine"], prog_name="pytest-finetune")
    assert added.exit_code == 0, added.output

    promoted = run(main, ["registry", "promote", "v1", "--run=last"], prog_name="pytest-finetune")

    assert promoted.exit_code == 1, promoted.output
    assert "imported answers are no evidence" in " ".join(promoted.output.split())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "messages", "error", "output", "role", "content"]), VALUES, max_size=4)
MOST = {
    "openai-evals": {"item": OBJECTS, "sample": OBJECTS},
    "openai-results": {
        "item": OBJECTS,
        "run_id": VALUES,
        "data_source_idx": VALUES,
        "sample": OBJECTS,
        "passes": OBJECTS,
    },
    "openai-dump": {
        "eval": VALUES,
        "run": OBJECTS,
        "output_items": st.lists(VALUES | st.fixed_dictionaries({"datasource_item": OBJECTS, "sample": OBJECTS})),
    },
    "batch": {"custom_id": st.just("known"), "response": VALUES | st.fixed_dictionaries({"body": OBJECTS})},
    "stored-completions": {
        "choices": st.lists(st.fixed_dictionaries({"message": OBJECTS | VALUES})),
        "messages": VALUES | st.lists(OBJECTS),
        "tools": VALUES,
    },
    "promptfoo": {
        "prompts": VALUES | st.just(["hi {{a}}"]),
        "tests": VALUES
        | st.lists(st.fixed_dictionaries({"vars": OBJECTS | VALUES, "assert": VALUES | st.lists(OBJECTS)})),
        "defaultTest": VALUES,
    },
    "inspect-log": {
        "id": VALUES,
        "epoch": VALUES,
        "input": VALUES,
        "target": VALUES,
        "messages": VALUES | st.lists(OBJECTS),
        "output": st.fixed_dictionaries({"choices": VALUES | st.lists(OBJECTS), "usage": VALUES}),
        "scores": VALUES,
    },
    "bfcl": {
        "id": VALUES | st.just("known"),
        "question": VALUES | st.just([[{"role": "user", "content": "hi"}]]),
        "function": st.lists(OBJECTS) | st.fixed_dictionaries({"name": st.just("f"), "parameters": VALUES | OBJECTS}),
        "ground_truth": VALUES | st.lists(st.fixed_dictionaries({"f": VALUES | st.dictionaries(st.text(), VALUES)})),
    },
    "deepeval": {"input": VALUES, "actual_output": VALUES, "expected_output": VALUES, "additional_metadata": VALUES},
    "inspect": {"input": VALUES | st.lists(OBJECTS), "target": VALUES, "choices": VALUES, "id": VALUES},
    "lm-eval": {"doc": OBJECTS, "target": VALUES, "arguments": VALUES, "resps": VALUES, "doc_id": VALUES},
    "langfuse": {"input": VALUES | OBJECTS, "expectedOutput": VALUES | OBJECTS, "metadata": VALUES},
    "langsmith": {"inputs": VALUES | OBJECTS, "outputs": VALUES | OBJECTS, "tags": VALUES},
    "braintrust": {"input": VALUES | OBJECTS, "expected": VALUES, "output": VALUES},
}


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data(), prompt=st.sampled_from(["", "hi"]))
def test_no_row_breaks_a_reader(name, data, prompt):
    form, value = FORMATS[name], data.draw(st.fixed_dictionaries(MOST[name]))
    assert form.fits(value)
    skipped = []
    request = {"custom_id": "known", "body": {"messages": [{"role": "user", "content": "hi"}]}}
    others = {"known": marshal.dumps(request)}
    options = ImportOptions(prompt=prompt, expected="A" if prompt else "", others=others)

    cases = list(form.read([Row("f", 1, value)], options, Findings(), lambda _line, reason: skipped.append(reason)))

    assert all(skipped)
    assert all(case.case.get("input") or case.case.get("messages") for case in cases)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8), st.text() | st.integers(0, 9) | st.lists(st.text(max_size=5)), max_size=5
    )
)
def test_any_setting_is_read_back_as_it_was(settings):
    plain = {f"k{n}": value for n, value in enumerate(settings.values())}
    nested = {**plain, "table": settings}

    assert tomllib.loads("\n".join(settings_toml(nested))) == nested


@pytest.mark.parametrize(
    ("template", "item", "value"),
    [
        ("{{ item.a }}", {"a": {"b": 1}}, {"b": 1}),
        ("{{item.a.b}}", {"a": {"b": 1}}, 1),
        ("{{ item.a[1] }}", {"a": [1, "x"]}, "x"),
        ("{{ item['a key'] }}", {"a key": "v"}, "v"),
        ("say {{ item.a }}!", {"a": [1, 2]}, "say [1,2]!"),
        ("no variable", {}, "no variable"),
    ],
)
def test_templates_read_the_item(template, item, value):
    assert value_of(template, item) == value


@pytest.mark.parametrize("template", ["{{ item }}", "{{ item.a.b }}", "{{ item.a[7] }}", "{{ env.KEY }}", "{{ }}"])
def test_variables_that_are_not_there_are_never_empty_text(template):
    with pytest.raises(NotCarried):
        render(f"x {template}", {"a": [1]})
