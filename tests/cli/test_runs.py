"""`pytest-finetune runs`: golden outputs, exit codes and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from recorded_runs import TICKETS, Recorder, plan, sample, samples

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import BaselineRecord

if TYPE_CHECKING:
    from pathlib import Path

Command = Callable[..., Result]
Golden = Callable[[str, str], None]

PROFILE = "eval_sets/profile.jsonl"


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.chdir(tmp_path)
    return Recorder(tmp_path, monkeypatch)


@pytest.fixture
def runs() -> Command:
    return lambda *words, **how: CliRunner().invoke(main, ["runs", *words], prog_name="pytest-finetune", **how)


def unfolded(result: Result) -> str:
    return " ".join(result.output.split())


def ids(record: Recorder) -> list[str]:
    return [path.name for path in record.store.newest_first()]


def test_a_list_shows_the_newest_first(record: Recorder, runs: Command, golden: Golden) -> None:
    record("ppm", verdicts=[("accuracy>=0.6", "pass"), ("accuracy>=0.9", "fail")])
    record("ppp", spec="ft:gpt-4.1-nano:acme:tickets:9Kx2", verdicts=[("accuracy>=0.6", "pass")])
    record("pe.", closed=False)
    result = runs("list")
    golden("runs-list.txt", result.output)
    assert result.exit_code == 0


def test_a_long_list_is_cut_with_a_note(record: Recorder, runs: Command) -> None:
    for _ in range(3):
        record("p")
    result = runs("list", "-n", "1")
    assert result.output.startswith(ids(record)[0])
    assert result.output.endswith("\n2 older runs; -n 3 lists all\n")


def test_a_list_for_programs(record: Recorder, runs: Command) -> None:
    record("ppm", verdicts=[("a", "pass"), ("b", "fail"), ("c", "pass")])
    record("pe.", closed=False)
    newest, oldest = json.loads(runs("list", "--json").output)
    assert (newest["closed"], newest["verdicts"], newest["totals"]["unrun"]) == (False, {}, 1)
    assert (oldest["closed"], oldest["verdicts"], oldest["totals"]["passed"]) == (True, {"pass": 2, "fail": 1}, 2)
    assert oldest["eval_sets"] == [TICKETS]


def test_an_unreadable_record_does_not_hide_the_others(record: Recorder, runs: Command) -> None:
    good, bad, torn = record("p"), record("p"), record("pp", closed=False)
    (bad.path / "manifest.json").write_text("{}", "utf-8")
    lines = torn.path / "samples.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b"bug", b"bog"))
    result = runs("list")
    assert [good.id in result.output, result.output.count("  cannot be read: ")] == [True, 2]
    assert [("error" in entry) for entry in json.loads(runs("list", "--json").output)] == [True, True, False]


def test_an_empty_list_says_what_to_do(record: Recorder, runs: Command) -> None:
    result = runs("list")
    assert result.output.endswith("evaluate a model first: pytest --model=…\n")
    assert (result.exit_code, runs("list", "--json").output) == (0, "[]\n")


def test_a_run_is_shown_whole(record: Recorder, runs: Command, golden: Golden) -> None:
    plans = [plan(repeats=2), plan(PROFILE, 1200, schema_sha256="5c" * 32)]
    record(["pp", "pm", "ee"], plans=plans, verdicts=[("accuracy>=0.6", "pass"), ("macro_f1>=0.9", "inconclusive")])
    golden("runs-show.txt", runs("show", "last").output)


def test_an_open_run_is_shown_with_its_samples_so_far(record: Recorder, runs: Command, golden: Golden) -> None:
    record("pm.", closed=False)
    golden("runs-show-open.txt", runs("show", "last").output)


def test_a_run_for_programs_is_its_manifest(record: Recorder, runs: Command) -> None:
    run = record("ppm")
    shown = json.loads(runs("show", run.id, "--json").output)
    manifest = json.loads((run.path / "manifest.json").read_text("utf-8"))
    assert shown == {**manifest, "seal_fault": "", "path": str(run.path)}


def test_a_run_is_shown_with_what_it_was_compared_with_and_whether_its_seal_holds(
    record: Recorder, runs: Command
) -> None:
    run = record("ppm", closed=False)
    server, doubt = "http://127.0.0.1:1/v1", "its run is open"
    old = BaselineRecord(name="production", model="ft:old", base_url=server, run="r0", doubt=doubt)
    run.update(closed=True, baselines=(old,))
    shown = " ".join(runs("show", "last").output.split())
    assert "compared with production: ft:old at http://127.0.0.1:1/v1, run r0, but its run is open" in shown
    assert "seal intact" in shown
    lines = run.path / "samples.jsonl"
    lines.write_bytes(lines.read_bytes()[1:])
    assert "seal has a broken seal: samples.jsonl changed" in " ".join(runs("show", "last").output.split())
    assert "samples.jsonl" in json.loads(runs("show", "last", "--json").output)["seal_fault"]


def test_a_run_is_named_by_id_prefix_path_or_last(
    record: Recorder, runs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, run = record("p"), record("p")
    names = [run.id, run.id[:13], str(run.path), f".finetune/runs/{run.id}", "last"]
    assert {runs("show", name).output.splitlines()[0] for name in names} == {f"run {run.id}"}
    monkeypatch.chdir(first.path)
    assert runs("show", ".").output.startswith(f"run {first.id}\n")


def test_a_prefix_of_several_runs_is_refused(record: Recorder, runs: Command) -> None:
    record("p")
    record("p")
    result = runs("show", "2026")
    assert (result.exit_code, "'2026' is ambiguous: 2 runs match" in result.output) == (2, True)


def test_an_unknown_run_gets_suggestions(record: Recorder, runs: Command) -> None:
    run = record("p")
    result = runs("show", run.id[:-1] + "?")
    assert (result.exit_code, f"did you mean '{run.id}'?" in result.output) == (2, True)


def test_runs_are_found_from_a_folder_below_and_in_another_place(
    record: Recorder, runs: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record("p")
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert run.id in runs("list").output
    assert "no runs in" in runs("list", "--runs-dir", str(below)).output
    assert run.id in runs("list", "--runs-dir", "../../.finetune/runs").output


def test_a_comparison_shows_the_flips_both_ways(record: Recorder, runs: Command, golden: Golden) -> None:
    record("ppppm" * 6, spec="ft:old")
    record("pmpep" * 6, spec="ft:new")
    old, new = reversed(ids(record))
    result = runs("compare", old, new, "--show", "4")
    golden("runs-compare.txt", result.output)
    assert result.exit_code == 0


def test_a_comparison_over_several_sets_says_which_were_not_compared(
    record: Recorder, runs: Command, golden: Golden
) -> None:
    shared, only_old, only_new = plan(cases=1), plan("eval_sets/a.jsonl", 1), plan("eval_sets/b.jsonl", 1)
    changed = plan(PROFILE, 2), plan(PROFILE, 3, cases_sha256="d")
    more_old = [
        *samples("p", eval_set=only_old.name),
        *(sample(case, "p", eval_set=PROFILE) for case in ("kept", "gone")),
    ]
    more_new = [
        *samples("p", eval_set=only_new.name),
        sample("kept", "p", eval_set=PROFILE, prompt="another question"),
        *samples("pp", prefix="new-", eval_set=PROFILE),
    ]
    a = record("p", plans=[shared, changed[0], only_old], more=more_old)
    b = record("p", plans=[shared, changed[1], only_new], more=more_new)
    result = runs("compare", a.id, b.id)
    golden("runs-compare-refused.txt", result.output)
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("answers", "options", "code"),
    [
        (("pppppp", "mmmmmm"), [], 1),
        (("pppppp", "mmmmmm"), ["--confidence", "0.99"], 0),
        (("ppppp", "mmmmm"), [], 0),
        (("ppppp", "mmmmm"), ["--confidence", "0.9"], 1),
        (("mmmmmm", "pppppp"), [], 0),
        (("pppppp", "eeeeee"), [], 1),
        (("pppppp", "pppppp"), [], 0),
    ],
)
def test_the_exit_code_says_whether_the_second_run_is_worse(
    record: Recorder, runs: Command, answers: tuple[str, str], options: list[str], code: int
) -> None:
    a, b = map(record, answers)
    assert runs("compare", a.id, b.id, *options).exit_code == code
    report = json.loads(runs("compare", a.id, b.id, "--json", *options).output)
    assert report["worse"] is (code == 1)


def test_a_loss_in_one_set_is_reported_though_another_set_was_refused(record: Recorder, runs: Command) -> None:
    plans = [plan(cases=6), plan(PROFILE, 1)], [plan(cases=6), plan(PROFILE, 1, cases_sha256="d")]
    more = samples("p", eval_set=PROFILE)
    a, b = record("p" * 6, plans=plans[0], more=more), record("m" * 6, plans=plans[1], more=more)
    assert runs("compare", a.id, b.id).exit_code == 1


def test_a_comparison_for_programs_counts_gains_above_zero(record: Recorder, runs: Command) -> None:
    a, b = record("mmmp"), record("ppmm")
    report = json.loads(runs("compare", a.id, b.id, "--json").output)
    (found,) = report["eval_sets"]
    assert (report["a"]["id"], report["b"]["id"], report["refused"]) == (a.id, b.id, [])
    assert (found["accuracy"], found["difference"]) == ({"a": 0.25, "b": 0.5}, 0.25)
    assert found["interval"]["low"] < 0.25 < found["interval"]["high"]
    assert [(flip["case"], flip["lost"]) for flip in found["flips"]] == [
        ("case-03", True),
        ("case-00", False),
        ("case-01", False),
    ]
    assert found["flips"][0]["b"][0]["completion"]["text"] == "question"


def test_no_control_code_of_a_model_reaches_the_terminal(record: Recorder, runs: Command) -> None:
    a, b = record("p", text="\x1b[2J\x9b\u202e"), record("m", text="\x07")
    for options in ([], ["--json"]):
        output = runs("compare", a.id, b.id, *options, color=True).output
        assert "\\x1b[2J" in output or "\\u001b[2J" in output
        assert not {"\x9b", "\u202e", "\x07"} & set(output)
        assert "\x1b[2J" not in output


def test_an_open_run_is_compared_only_with_the_option(record: Recorder, runs: Command) -> None:
    a, b = record("pppp"), record("pp..", closed=False)
    refused = runs("compare", a.id, b.id)
    assert (refused.exit_code, "this run is open" in refused.output) == (2, True)
    result = runs("compare", a.id, b.id, "--open")
    assert "accuracy 1.000 -> 0.500" in result.output
    assert "samples missing, counted as not passed: 2 in B" in result.output


def test_a_case_that_neither_run_got_to_stays_in_the_denominator(record: Recorder, runs: Command) -> None:
    a, b = record("p...", closed=False), record("p...", closed=False)
    assert "accuracy 0.250 -> 0.250" in runs("compare", a.id, b.id, "--open").output


def test_a_closed_record_that_lost_samples_is_not_compared(record: Recorder, runs: Command) -> None:
    a, b = record("ppp"), record("pp.")
    result = runs("compare", a.id, b.id)
    assert (result.exit_code, "the records lack 0 and 1 of 3 samples" in unfolded(result)) == (2, True)


def test_a_record_with_more_cases_than_its_plan_is_not_compared(record: Recorder, runs: Command) -> None:
    plans = [plan(cases=2)]
    a, b = record("ppp", plans=plans), record("ppp", plans=plans)
    result = runs("compare", a.id, b.id)
    assert (result.exit_code, "hold 3 cases, their manifests say 2" in unfolded(result)) == (2, True)


def test_other_repeats_are_refused(record: Recorder, runs: Command) -> None:
    a, b = record(["pp"]), record(["ppp"])
    result = runs("compare", a.id, b.id)
    assert (result.exit_code, "2 attempts per case in one run and 3 in the other" in unfolded(result)) == (2, True)


def test_another_prompt_under_the_same_hash_is_refused_with_its_case(record: Recorder, runs: Command) -> None:
    a, b = record("ppp"), record("pp.", more=[sample("case-02", "p", prompt="with other tools")])
    report = json.loads(runs("compare", a.id, b.id, "--json").output)
    assert report["refused"][0]["asked_otherwise"] == ["case-02"]


def test_changed_expected_answers_are_refused_with_that_reason(record: Recorder, runs: Command) -> None:
    a, b = record("p"), record("p", plans=[plan(cases=1, cases_sha256="d")])
    result = runs("compare", a.id, b.id)
    assert result.exit_code == 2
    assert "the same questions with other expected answers" in unfolded(result)


def test_runs_without_a_common_set_are_refused(record: Recorder, runs: Command) -> None:
    a, b = record("p"), record("p", eval_set=PROFILE, plans=[plan(PROFILE, 1)])
    result = runs("compare", a.id, b.id)
    assert (result.exit_code, f"no eval set in common: {TICKETS} and {PROFILE}" in result.output) == (2, True)


def test_different_settings_are_reported(record: Recorder, runs: Command) -> None:
    a, b = record("p"), record("p", plans=[plan(cases=1, settings_sha256="6")])
    result = runs("compare", a.id, b.id)
    assert (result.exit_code, "the settings differ" in result.output) == (0, True)


def test_colour_is_for_terminals(record: Recorder, runs: Command) -> None:
    a, b = record("p"), record("m")
    assert "\x1b[31m" in runs("compare", a.id, b.id, color=True).output
    assert "\x1b" not in runs("compare", a.id, b.id).output


def test_the_help_of_compare_lists_its_exit_codes(runs: Command, golden: Golden) -> None:
    result = runs("compare", "--help", terminal_width=80)
    golden("runs-compare-help.txt", result.output)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_redacted_comparison_shows_no_answer(record: Recorder, runs: Command, options: tuple[str, ...]) -> None:
    both = {"plans": [plan(cases=2)]}
    a = record("", more=[sample("one", "p", text="zebra"), sample("two", "m", text="quokka")], **both)
    b = record("", more=[sample("one", "m", text="walrus"), sample("two", "p", text="zebra")], **both)
    assert "walrus" in runs("compare", a.id, b.id, *options).output
    output = runs("compare", a.id, b.id, "--redact", *options).output
    assert not [word for word in ("zebra", "quokka", "walrus") if word in output]
    assert "sha256:" in output


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"stopped_kind": "auth", "stopped_status": 401}, "auth: HTTP 401"),
        # As recorded by an earlier version.
        ({}, "the reason is in the run record"),
    ],
)
def test_redacted_a_run_does_not_show_the_message_of_a_server(
    record: Recorder, runs: Command, options: tuple[str, ...], facts: dict[str, object], shown: str
) -> None:
    run = record("p.", closed=False)
    path = run.path / "manifest.json"
    manifest = json.loads(path.read_text("utf-8")) | {"stopped": "HTTP 401: no zebra here", **facts}
    path.write_text(json.dumps(manifest), "utf-8")
    assert "no zebra" in runs("show", run.id, *options).output
    output = runs("show", run.id, "--redact", *options).output
    assert shown in output
    assert "zebra" not in output


def test_a_report_is_written_and_not_over_another_file_without_force(
    record: Recorder, runs: Command, tmp_path: Path
) -> None:
    run = record("ppm", verdicts=[("accuracy>=0.6", "pass")])
    written = runs("report", run.id)
    assert (written.exit_code, written.output) == (0, "wrote report.html: Ships: 1 of 1 gates passed\n")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "accuracy" in page
    assert "<html" in page
    refused = runs("report", "last")
    assert (refused.exit_code, "the file already exists" in refused.output) == (2, True)
    assert runs("report", "last", "--force", "--against", run.id).exit_code == 0
    missing = runs("report", "last", "-o", "nowhere/report.html")
    assert (missing.exit_code, "cannot write" in missing.output) == (2, True)
