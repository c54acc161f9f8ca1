"""The registry in a session: versions as models, production as the baseline, promotion on the run just made."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from registry_evidence import replaced

from pytest_finetune.base.records import State
from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import BaselineRecord, Run, RunStore
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

GATE = "[[gates]]\nmin = 0.9\n"
AGAINST = '[[gates]]\nagainst = "production"\nmax_flips = 0\n'
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def registry(pytester):
    backend = FileBackend(pytester.path / "registry.json")
    for version, model in (("v1", "old"), ("v2", "new")):
        entry = Entry(model_id=model, created_at=NOW)
        backend.update(Change("add", version, who="test", entry=entry), now=NOW)
    return backend


@pytest.fixture
def production(registry):
    registry.update(Change("promote", "v1", who="test", why="first", forced=True), now=NOW)
    return registry


def statuses(backend):
    return {version: entry.status.value for version, entry in backend.read().entries.items()}


@pytest.mark.parametrize(("spec", "model"), [("v1", "old"), ("v2", "new"), ("candidate", "new"), ("production", "old")])
def test_a_version_is_requested_by_its_own_model_id(suite, evaluate, server, production, spec, model):
    suite(2)
    assert evaluate(model=f"registry:{spec}").ret == 0
    assert {body["model"] for body in server.questions} == {model}


def test_reports_name_the_version_and_its_model(pytester, suite, evaluate, registry):
    suite(2, toml=GATE)
    files = {"--finetune-html": "page.html", "--finetune-markdown": "summary.md", "--junitxml": "junit.xml"}
    result = evaluate(*(f"{option}={name}" for option, name in files.items()), model="registry:candidate")
    result.stdout.fnmatch_lines(["model: v2 (new) at *", "*v2 (new) ships*"])
    texts = {name: (pytester.path / name).read_text("utf-8") for name in files.values()}
    assert all("v2 (new)" in text for text in texts.values())
    (run,) = RunStore(pytester.path / ".finetune/runs").newest_first()
    assert "v2 (new)" in CliRunner().invoke(main, ["runs", "list", "--runs-dir", str(run.parent)]).output
    properties = ET.parse(pytester.path / "junit.xml").iterfind(".//property[@name='finetune.model']")
    assert {found.get("value") for found in properties} == {"v2 (new)"}


def test_a_misspelt_version_is_a_usage_error(suite, evaluate, registry):
    suite(2)
    result = evaluate(model="registry:v3")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no version 'v3'*", "*hint: *v1*"])


@pytest.mark.parametrize("model", ["registry:v2", "new"])
def test_promote_promotes_when_every_gate_passed_and_keeps_the_evidence(suite, evaluate, registry, model):
    suite(12, toml=GATE)
    result = evaluate("--promote", model=model)
    assert result.ret == 0
    result.assert_outcomes(passed=14)
    assert statuses(registry)["v2"] == "production"
    evidence = registry.read().entries["v2"].evidence
    assert (evidence.eval_sets[0].counts["passed"], evidence.model_id) == (12, "new")


def test_nothing_is_promoted_when_a_gate_fails(suite, evaluate, registry):
    suite(4, inputs=["wrong"] * 4, toml=GATE)
    assert evaluate("--promote", model="new").ret == pytest.ExitCode.TESTS_FAILED
    assert statuses(registry)["v2"] == "candidate"


@pytest.mark.parametrize(
    ("answers", "state"), [(["yes"] * 4, "allowed if the session succeeds"), (["wrong"] * 4, "refused")]
)
def test_junit_says_what_the_promotion_still_depends_on(pytester, suite, evaluate, registry, answers, state):
    suite(["yes"] * 4, inputs=answers, toml=GATE)
    evaluate("--promote", "--junitxml=junit.xml", model="new")
    (test,) = ET.parse(pytester.path / "junit.xml").iterfind(".//testcase[@name='promote[v2]']")
    (found,) = test.iterfind("./properties/property[@name='finetune.promotion']")
    assert found.get("value") == state


def test_a_subset_promotes_nothing(suite, evaluate, registry):
    suite(4, toml=GATE)
    assert evaluate("--promote", "-k", "case-1", model="new").ret == pytest.ExitCode.TESTS_FAILED
    assert statuses(registry)["v2"] == "candidate"


def test_a_run_that_stopped_early_is_not_promoted_and_the_reason_is_shown(suite, evaluate, registry):
    suite(40, toml="[[gates]]\nmin = 0.1\n")
    result = evaluate("--promote", "--stop-when-decided", "--concurrency=1", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*FAILED registry.json::promote[[]v2[]]*"])
    assert statuses(registry)["v2"] == "candidate"


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["--model=old"], "only one model can be promoted"), (["--model=stranger"], "no versions of stranger")],
)
def test_an_impossible_promotion_is_refused_before_the_first_request(
    pytester, suite, server, registry, options, expected
):
    suite(2, toml=GATE)
    first = ["--model=new"] if options == ["--model=old"] else []
    result = pytester.runpytest_inprocess(*first, *options, "--promote", f"--model-base-url={server.url}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert expected in result.stderr.str()
    assert server.requests == []


def test_production_without_evidence_is_evaluated_in_the_same_session(suite, evaluate, server, production):
    suite(5, toml=AGAINST)
    result = evaluate(model="new")
    assert result.ret == 0
    assert sorted(body["model"] for body in server.questions) == ["new"] * 5 + ["old"] * 5


@pytest.mark.parametrize(("wrong", "code"), [("none", 0), ("word-3", 1)])
def test_the_stored_evidence_of_production_is_used_where_it_covers_the_sets(
    suite, evaluate, server, production, wrong, code
):
    """v2 is promoted by a session that also evaluates v1; later sessions use its stored evidence."""
    suite(5, toml=AGAINST)
    assert evaluate("--promote", model="new").ret == 0
    assert statuses(production) == {"v1": "deprecated", "v2": "production"}
    server.requests.clear()
    server.answer = lambda body: "wrong" if wrong in str(body) else body["messages"][-1]["content"]
    result = evaluate(model="next")
    assert result.ret == code
    assert {body["model"] for body in server.questions} == {"next"}


def newest_manifest(pytester):
    return RunStore(pytester.path / ".finetune" / "runs").find("last").manifest


def test_the_record_names_the_baseline_and_its_server(pytester, suite, evaluate, server, production):
    suite(5, toml=AGAINST)
    evaluate(model="new")
    manifests = [Run.load(path).manifest for path in RunStore(pytester.path / ".finetune" / "runs").newest_first()]
    (manifest,) = (one for one in manifests if one.target.model == "old")
    (judged,) = (one for one in manifests if one.target.model == "new")
    assert judged.baselines == (
        BaselineRecord(
            name="registry:production",
            model="old",
            base_url=server.url,
            identity=server.url,
            run=manifest.id,
            answered_by=("old",),
        ),
    )


def test_a_replay_of_production_on_its_own_server_is_accepted_as_production(suite, evaluate, production):
    suite(5, toml=AGAINST)
    evaluate(model="old")
    assert evaluate("--promote", "--baseline=replay:last", model="new").ret == 0
    assert statuses(production) == {"v1": "deprecated", "v2": "production"}


def edit_production(pytester):
    """Edit a record of production: worse answers under correct checksums."""
    run = RunStore(pytester.path / ".finetune" / "runs").find("last")
    sample = next(iter(run.samples().values()))
    replaced(run, replace(sample, state=State.MISSED, completion=replace(sample.completion, text="wrong")))


def test_a_replay_of_a_record_that_was_edited_promotes_nothing(pytester, suite, evaluate, production):
    suite(5, toml=AGAINST)
    evaluate(model="old")
    edit_production(pytester)
    result = evaluate("--promote", "--baseline=replay:last", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*compared with replay:last*samples.jsonl changed*"])
    assert statuses(production)["v2"] == "candidate"


def test_a_replay_of_production_under_other_settings_promotes_nothing(suite, evaluate, production):
    suite(5, toml="[request]\ntemperature = 1.0\n" + AGAINST)
    evaluate(model="old")
    suite(5, toml=AGAINST)
    result = evaluate("--promote", "--baseline=replay:last", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*compared with replay:last*used other settings*"])


def test_another_model_in_place_of_production_promotes_nothing(suite, evaluate, production):
    suite(5, toml=AGAINST)
    result = evaluate("--promote", "--baseline=older", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*compared with older, but production is old*"])


def test_a_first_version_passes_no_gate_against_production_in_the_session(pytester, suite, evaluate, registry):
    """In a session only passed gates count; `registry promote` skips the comparison of a first version."""
    suite(12, toml=GATE + AGAINST)
    result = evaluate("--promote", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*no baseline to compare with*"])
    assert statuses(registry)["v2"] == "candidate"
    words = ["registry", "promote", "v2", "--run", "last", "--who", "ada@acme.example"]
    promoted = CliRunner().invoke(main, words)
    assert promoted.exit_code == 0, promoted.output
    assert newest_manifest(pytester).baselines == ()
    assert statuses(registry)["v2"] == "production"


def test_xdist_promotes_on_the_controller(suite, evaluate, registry):
    suite(12, toml=GATE)
    assert evaluate("--promote", "-n2", model="registry:v2", subprocess=True).ret == 0
    assert statuses(registry)["v2"] == "production"


def test_production_compared_with_itself_passes_no_gate(suite, evaluate, production):
    suite(5, toml=AGAINST)
    result = evaluate(model="old")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*flips<=0,vs=production*incomplete*"])


def test_a_set_that_was_left_out_promotes_nothing(suite, evaluate, registry):
    suite(4, toml=GATE, name="gated")
    suite(2, name="other")
    result = evaluate("--promote", "eval_sets/other.jsonl", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*gated.jsonl*not evaluated in this run*"])
    assert statuses(registry)["v2"] == "candidate"


def test_fewer_repeats_than_the_settings_say_promote_nothing(suite, evaluate, registry):
    suite(12, toml="[stability]\nrepeats = 3\n" + GATE)
    assert evaluate("--promote", "--repeats=1", model="new").ret == pytest.ExitCode.TESTS_FAILED
    assert statuses(registry)["v2"] == "candidate"


def test_a_red_session_promotes_nothing(pytester, suite, evaluate, registry):
    suite(12, toml=GATE)
    pytester.makepyfile("def test_own(): assert 0")
    result = evaluate("--promote", ".", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 test of this session failed*"])
    assert statuses(registry)["v2"] == "candidate"


def test_a_version_that_the_router_fell_back_from_needs_force(suite, evaluate, registry):
    suite(12, toml=GATE)
    later = datetime(2099, 1, 1, tzinfo=UTC)
    registry.update(Change("fallback", "v2", who="router", why="significantly worse"), now=later)
    result = evaluate("--promote", model="new")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the router fell back from it*significantly worse*"])


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("pytest.exit('enough', returncode=0)", "*session ended before all its tests*"),
        ("stop(request)", "*Interrupted: enough*"),
    ],
)
def test_a_session_that_was_cut_short_promotes_nothing(pytester, suite, evaluate, registry, end, expected):
    """Every gate passed and no test failed, but the test that would have failed was never run."""
    path = suite(3, toml=GATE)
    pytester.makepyfile(
        test_own=f"""
        import pytest
        def stop(request):
            request.session.shouldstop = "enough"
        def test_a(request):
            {end}
        def test_b():
            assert False
        """
    )
    result = evaluate("--promote", str(path), "test_own.py", model="new")
    result.stdout.fnmatch_lines([expected])
    assert statuses(registry)["v2"] == "candidate"


def test_a_last_sample_written_by_another_process_does_not_prevent_a_promotion(pytester, suite, evaluate, registry):
    """Two xdist workers may send the same request: the judged answer is the one on record."""
    path = suite(4, toml=GATE)
    pytester.makepyfile(
        test_own="""
        from dataclasses import replace
        from pathlib import Path
        from pytest_finetune.base.records import State
        from pytest_finetune.evaluation.runs import RunStore, sample_to_dict
        def test_own():
            run = RunStore(Path(".finetune/runs").resolve()).find("last")
            judged = next(iter(run.samples().values()))
            run.append(sample_to_dict(replace(judged, state=State.MISSED)))
            run.release()
        """
    )
    assert evaluate("--promote", str(path), "test_own.py", model="new").ret == 0
    assert statuses(registry)["v2"] == "production"
    states = {one.state for one in RunStore(pytester.path / ".finetune" / "runs").find("last").samples().values()}
    assert states == {State.PASSED}
