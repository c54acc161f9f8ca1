from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.verdicts.evalset import EvalSet

    Fault = tuple[str, str, str]

GOOD = [{"id": "a", "input": "1", "expected": "bug"}, {"id": "b", "input": "2", "expected": "feature"}]
TAGGED = [
    {
        "id": "a",
        "input": "1",
        "expected": "bug",
        "tags": ["en", "critical"],
        "metadata": {"source": "mail", "paid": True},
    },
    {"id": "b", "input": "2", "expected": "bug", "tags": ["zh"], "metadata": {"source": "chat", "paid": 1}},
]
LABEL = 'scorer = "label"\nlabels = ["bug", "feature"]\n'


def test_a_set_without_settings_is_scored_exactly(load: Callable[..., EvalSet]) -> None:
    eval_set = load(GOOD)
    assert (eval_set.name, [case.id for case in eval_set.cases]) == ("set.jsonl", ["a", "b"])
    assert (eval_set.settings.scorer, eval_set.scorer.name, eval_set.repeats) == ("exact", "exact", 1)
    assert (eval_set.schema_sha256, eval_set.warnings) == ("", ())


def test_cases_keep_their_lines(load: Callable[..., EvalSet]) -> None:
    eval_set = load(["\n", GOOD[0], "\n", "\r\n", GOOD[1]])
    assert [case.line for case in eval_set.cases] == [2, 5]


def test_sets_are_named_from_the_root(tmp_path: Path) -> None:
    folder = tmp_path / "root"
    for path in (folder / "sub" / "a.jsonl", tmp_path / "b.jsonl"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(GOOD[0]), encoding="utf-8")
    sets = load_eval_sets([tmp_path / "b.jsonl", folder / "sub" / "a.jsonl"], root=folder)
    assert [eval_set.name for eval_set in sets] == ["../b.jsonl", "sub/a.jsonl"]


def test_all_faults_of_all_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"input": NaN}\n{"id": "x", "input": "a", "expectd": "b"}\n', encoding="utf-8")
    (tmp_path / "a.toml").write_text('scorr = "exact"\n', encoding="utf-8")
    (tmp_path / "b.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(EvalSetErrors) as caught:
        load_eval_sets([tmp_path / name for name in ("a.jsonl", "b.jsonl", "c.jsonl")], root=tmp_path)
    assert [fault.where for fault in caught.value.faults] == [
        "a.toml:1",
        "a.jsonl:1",
        "a.jsonl:2",
        "b.jsonl:1",
        "c.jsonl",
    ]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_missing_file_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "tickets.jsonl").write_text(json.dumps(GOOD[0]), encoding="utf-8")
    with pytest.raises(EvalSetErrors, match=r"(?s)tickts\.jsonl: cannot be read.*did you mean 'tickets.jsonl'"):
        load_eval_sets([tmp_path / "tickts.jsonl"], root=tmp_path)


def test_a_folder_is_not_an_eval_set(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(EvalSetErrors, match=r"a\.jsonl: cannot be read: Is a directory"):
        load_eval_sets([tmp_path / "a.jsonl"], root=tmp_path)


def test_two_cases_with_the_same_id_are_a_fault(fault: Callable[..., Fault]) -> None:
    assert fault([GOOD[0], GOOD[1], {**GOOD[1], "id": "a"}]) == (
        "set.jsonl:3",
        "duplicate id 'a' (first used on line 1)",
        "give each case an id of its own",
    )


def test_a_number_and_its_text_are_the_same_id(fault: Callable[..., Fault]) -> None:
    assert fault([{**GOOD[0], "id": 1}, {**GOOD[1], "id": "1"}])[1] == "duplicate id '1' (first used on line 1)"


def test_the_same_case_twice_is_a_fault_in_any_shape(fault: Callable[..., Fault]) -> None:
    chat = {"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "bug"}]}
    where, problem, _ = fault([{"input": "1", "expected": "bug"}, {"input": "2", "expected": "bug"}, chat])
    assert (where, problem) == ("set.jsonl:3", "the same case as on line 1")


def test_a_fault_without_a_settings_file_is_reported_at_the_set(tmp_path: Path, fault: Callable[..., Fault]) -> None:
    assert fault("")[0] == "set.jsonl:1"


def test_a_broken_link_to_the_settings_is_a_fault(tmp_path: Path, fault: Callable[..., Fault]) -> None:
    (tmp_path / "set.toml").symlink_to(tmp_path / "moved.toml")
    assert fault(GOOD)[:2] == ("set.toml", "cannot be read: No such file or directory")


def test_a_scorer_that_cannot_be_created_is_reported_at_its_key(fault: Callable[..., Fault]) -> None:
    where, problem, hint = fault(GOOD, '\nscorer = "lable"\n')
    assert (where, problem) == ("set.toml:2", "scorer: unknown scorer 'lable'")
    assert hint == "did you mean 'label'?"


@pytest.mark.parametrize(
    ("toml", "where", "problem"),
    [
        ('scorer = "label"\n', 1, "scorer: scorer 'label' needs labels"),
        ('scorer = "label"\nlabels = ["a", " a"]\n', 2, "labels: labels 'a' and ' a' are the same"),
        ('scorer = "exact"\nlabels = ["a"]\n', 2, "labels: 'labels' has no effect on scorer 'exact'"),
        ('scorer = "json"\nschema = "no.json"\n', 2, "schema: no.json: the schema cannot be read"),
        ('scorer = "json"\nschema = "bad.json"\n', 2, "schema: bad.json: $.type: not a JSON Schema"),
    ],
)
def test_a_setting_that_the_scorer_refuses_is_reported_at_its_key(
    tmp_path: Path, fault: Callable[..., Fault], toml: str, where: int, problem: str
) -> None:
    (tmp_path / "bad.json").write_text('{"type": 3}', encoding="utf-8")
    found = fault(GOOD, toml)
    assert found[0] == f"set.toml:{where}"
    assert found[1].startswith(problem)


def test_an_expected_answer_that_the_scorer_cannot_use_is_reported_at_its_line(
    faults: Callable[..., list[Fault]],
) -> None:
    found = faults([*GOOD, {"id": "c", "input": "3", "expected": "feture"}], LABEL)
    assert [where for where, _, _ in found] == ["set.jsonl:3"]
    assert "feture" in found[0][1]


@pytest.mark.parametrize(
    "gate", ['where = { tag = "en" }', 'where = { tag = "zh", source = "chat" }', "where = { paid = true }"]
)
def test_a_gate_over_some_cases_is_valid(load: Callable[..., EvalSet], gate: str) -> None:
    assert load(TAGGED, f"[[gates]]\nmin = 1.0\n{gate}\n")


@pytest.mark.parametrize(
    ("where", "problem", "hint"),
    [
        ('{ tag = "critcal" }', "gates[0].where.tag: no case has the tag 'critcal'", "did you mean 'critical'?"),
        ('{ source = "phone" }', "gates[0].where.source: no case has 'phone' in its metadata", "known: chat, mail"),
        ('{ sorce = "mail" }', "gates[0].where.sorce: no case has 'mail' in its metadata", "did you mean 'source'?"),
        ('{ tag = "zh", source = "mail" }', "gates[0].where: no case matches all of it", "a gate over nothing"),
        ("{ paid = false }", "gates[0].where.paid: no case has False in its metadata", "known: 1, True"),
    ],
)
def test_a_gate_over_no_cases_is_a_fault(fault: Callable[..., Fault], where: str, problem: str, hint: str) -> None:
    found = fault(TAGGED, f"[[gates]]\nmin = 1.0\nwhere = {where}\n")
    assert found[:2] == ("set.toml:3", problem)
    assert found[2].startswith(hint)


def test_must_pass_over_no_cases_is_a_fault(fault: Callable[..., Fault]) -> None:
    found = fault(TAGGED, '[[gates]]\nmust_pass = ["en", "criticl"]\n')
    assert found == ("set.toml:2", "gates[0].must_pass: no case has the tag 'criticl'", "did you mean 'critical'?")


def test_a_gate_on_a_tag_when_no_case_has_any(fault: Callable[..., Fault]) -> None:
    assert fault(GOOD, '[[gates]]\nmust_pass = ["en"]\n')[2] == "give some cases tags"


def test_a_faulty_line_does_not_make_gates_look_empty(faults: Callable[..., list[Fault]]) -> None:
    found = faults([TAGGED[1], {**TAGGED[0], "expectd": 1}], '[[gates]]\nmust_pass = ["critical"]\n')
    assert [where for where, _, _ in found] == ["set.jsonl:2"]


@pytest.mark.parametrize(("repeats", "attempts"), [(1, "1 attempt"), (3, "3 attempts")])
def test_per_case_has_to_fit_the_repeats(fault: Callable[..., Fault], repeats: int, attempts: str) -> None:
    toml = f'[stability]\nrepeats = {repeats}\n[[gates]]\nmin = 1.0\nper_case = "3 of 5"\n'
    where, problem, _ = fault(GOOD, toml)
    assert (where, problem) == (
        "set.toml:5",
        f"gates[0].per_case: per_case is '3 of 5', but every case has {attempts}",
    )


def test_a_gate_that_so_few_cases_can_never_pass_is_a_fault(fault: Callable[..., Fault]) -> None:
    where, problem, hint = fault(GOOD, "[[gates]]\nmin = 0.95\nconfidence = 0.95\n")
    assert where == "set.toml:3"
    assert problem.startswith("gates[0].confidence: 2 cases cannot show accuracy >= 0.95")
    assert hint == "add cases, lower the bar, or leave confidence out"
    where, problem, hint = fault(GOOD, "[[gates]]\nmin = 0.95\nrisk = 0.05\n")
    assert where == "set.toml:3"
    assert problem.startswith("gates[0].risk: 2 cases cannot show accuracy >= 0.95 with confidence 0.9")
    assert hint == "add cases, lower the bar, or leave risk out"


def test_a_gate_whose_parts_do_not_fit_is_a_fault(fault: Callable[..., Fault]) -> None:
    toml = '[[gates]]\nmetric = "error_rate"\nmax = 0.1\nper_case = "1 of 1"\n'
    assert fault(GOOD, toml)[:2] == (
        "set.toml:4",
        "gates[0].per_case: per_case says when a case passes, which error_rate does not count",
    )


@pytest.mark.parametrize("metric", ["macro_f1", "field_accuracy", "valid_rate", "format_stability"])
def test_a_metric_that_the_scorer_does_not_support_is_a_fault(fault: Callable[..., Fault], metric: str) -> None:
    where, problem, hint = fault(GOOD, f'[[gates]]\nmetric = "{metric}"\nmin = 1.0\n')
    assert (where, problem) == ("set.toml:2", f"gates[0].metric: scorer exact does not support {metric}")
    assert 'scorer = "' in hint


@pytest.mark.parametrize("metric", ["macro_f1", "valid_rate", "accuracy"])
def test_a_metric_that_the_scorer_supports_is_valid(load: Callable[..., EvalSet], metric: str) -> None:
    assert load(GOOD, f'{LABEL}[[gates]]\nmetric = "{metric}"\nmin = 1.0\n').warnings == ()


@pytest.mark.parametrize(("repeats", "warnings"), [(1, 1), (2, 0)])
def test_stability_of_a_single_answer_is_warned_about(
    load: Callable[..., EvalSet], repeats: int, warnings: int
) -> None:
    gates = '[[gates]]\nmetric = "format_stability"\nmin = 1.0\n'
    found = load(GOOD, f"{LABEL}[stability]\nrepeats = {repeats}\n{gates}").warnings
    assert [warning.startswith("gate format_stability>=1: ") for warning in found] == [True] * warnings


def test_a_key_of_the_lines_that_is_not_sent_is_warned_about(load: Callable[..., EvalSet]) -> None:
    line = {
        "messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "bug"}],
        "parallel_tool_calls": False,
    }
    assert load([line]).warnings == ("parallel_tool_calls in the lines is not sent; set it under [request]",)
    assert load([line], "[request]\nparallel_tool_calls = false\n").warnings == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file or directory"), (b"{", "not strict JSON: "), (b"\xff", "the file is not UTF-8")],
)
def test_a_response_schema_that_cannot_be_read_is_a_fault(
    tmp_path: Path, fault: Callable[..., Fault], content: Any, problem: str
) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    where, found, _ = fault(GOOD, '[request]\nresponse_schema = "a.json"\n')
    assert where == "set.toml:2"
    assert found.startswith(f"request.response_schema: a.json: {problem}")


def test_a_response_schema_that_is_no_json_schema_is_a_fault(tmp_path: Path, fault: Callable[..., Fault]) -> None:
    (tmp_path / "a.json").write_text('{"properties": {"a": {"type": "strng"}}}', encoding="utf-8")
    where, in_file, _ = fault(GOOD, '[request]\nresponse_schema = "a.json"\n')
    assert (where, in_file.split(": not")[0]) == ("set.toml:2", "request.response_schema: a.json: $.properties.a.type")
    inline = "response_format.json_schema.schema.properties.a"
    where, problem, _ = fault(GOOD, f'[request]\n{inline}.type = "strng"\n')
    assert where == "set.toml:2"
    assert "'strng'" in problem


def test_two_response_formats_are_a_fault(tmp_path: Path, fault: Callable[..., Fault]) -> None:
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    where, problem, _ = fault(GOOD, '[request]\nresponse_format = "json_object"\nresponse_schema = "a.json"\n')
    assert where == "set.toml:3"
    assert "both decide the format" in problem


def test_the_hash_of_the_cases_depends_on_their_content_only(load: Callable[..., EvalSet]) -> None:
    plain = load(GOOD)
    spaced = load("\ufeff" + "\r\n\r\n".join(json.dumps(dict(reversed(line.items())), indent=None) for line in GOOD))
    assert plain.cases_sha256 == spaced.cases_sha256


@pytest.mark.parametrize(
    "changed",
    [
        list(reversed(GOOD)),
        GOOD[:1],
        [GOOD[0], {**GOOD[1], "id": "c"}],
        [GOOD[0], {**GOOD[1], "input": "3"}],
        [GOOD[0], {**GOOD[1], "expected": "bug"}],
        [GOOD[0], {**GOOD[1], "tags": ["critical"]}],
        [GOOD[0], {**GOOD[1], "metadata": {"a": 1}}],
    ],
)
def test_the_hash_of_the_cases_changes_with_their_content(load: Callable[..., EvalSet], changed: Any) -> None:
    assert load(GOOD).cases_sha256 != load(changed).cases_sha256


def test_the_hash_of_the_settings_depends_on_their_meaning_only(load: Callable[..., EvalSet]) -> None:
    first = load(GOOD, "# one\nmax_errors = 1\n[stability]\nrepeats = 2\n")
    assert first.settings_sha256 == load(GOOD, "stability = { repeats = 2 }\nmax_errors = 1\n").settings_sha256
    assert first.settings_sha256 != load(GOOD, "max_errors = 2\n[stability]\nrepeats = 2\n").settings_sha256


def test_the_hash_of_the_settings_is_the_same_for_a_default_spelt_out(load: Callable[..., EvalSet]) -> None:
    spelt_out = load(GOOD, 'scorer = "exact"\nmax_errors = 0\n[request]\ntemperature = 0.0\n')
    assert load(GOOD, "").settings_sha256 == spelt_out.settings_sha256


def test_the_hash_of_the_settings_covers_normalization(load: Callable[..., EvalSet]) -> None:
    assert load(GOOD, "").settings_sha256 != load(GOOD, 'normalize = ["strip"]\n').settings_sha256


def test_the_hash_of_the_schemas_covers_their_bytes(tmp_path: Path, load: Callable[..., EvalSet]) -> None:
    def sha256(text: str) -> str:
        (tmp_path / "a.json").write_text(text, encoding="utf-8")
        return load(GOOD, '[request]\nresponse_schema = "a.json"\n').schema_sha256

    assert len({sha256("{}"), sha256("{ }"), ""}) == 3


def test_a_loaded_set_cannot_be_changed_in_place(load: Callable[..., EvalSet]) -> None:
    eval_set = load(GOOD)
    with pytest.raises(AttributeError):
        eval_set.name = "other"  # type: ignore[misc]
    assert replace(eval_set, name="other").name == "other"


def test_a_loaded_set_is_hashable(load: Callable[..., EvalSet]) -> None:
    eval_set = load(GOOD)
    assert {eval_set: 1}[eval_set] == 1
