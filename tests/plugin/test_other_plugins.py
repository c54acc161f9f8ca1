"""With other plugins: xdist, reruns, random order, --lf, JUnit, HTML; and with the user's own tests and targets."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from scripted_server import error

from pytest_finetune.evaluation.runs import RunStore

GATE = '[[gates]]\nmetric = "accuracy"\nmin = {bar}\n'


def inputs(count, *wrong):
    return ["wrong" if number in wrong else f"word-{number}" for number in range(count)]


def run_state(pytester):
    run = RunStore(pytester.path / ".finetune" / "runs").find("last")
    return run.manifest, run.samples()


@pytest.mark.parametrize("dist", ["load", "worksteal", "loadfile"])
@pytest.mark.parametrize(("bar", "code"), [(0.9, 0), (0.98, 1)])
def test_xdist_reaches_the_same_verdict(pytester, suite, evaluate, server, dist, bar, code):
    suite(40, inputs=inputs(40, 3, 30), toml=GATE.format(bar=bar))
    result = evaluate("-n2", f"--dist={dist}", subprocess=True)
    assert result.ret == code
    assert f"{38 + (code == 0)} passed, 2 missed" in result.stdout.str()
    manifest, samples = run_state(pytester)
    assert manifest.closed
    assert len(samples) == 40
    assert len(server.requests) == 40


def test_xdist_workers_request_ahead_within_the_session_s_concurrency(suite, evaluate, server):
    suite(120)
    server.latency = 0.05
    assert evaluate("-n2", "--concurrency=12", subprocess=True).ret == 0
    assert 6 < server.max_in_flight <= 12


def test_a_fatal_answer_stops_xdist_too(suite, evaluate, server):
    suite(400, toml=GATE.format(bar=0.5))
    server.answer = lambda body: error(401, "no")
    result = evaluate("-n2", "--concurrency=4", subprocess=True)
    assert result.ret != 0
    assert len(server.requests) < 50
    result.stdout.fnmatch_lines(["*incomplete*"])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_the_items_changes_no_verdict(pytester, suite, evaluate, seed):
    suite(30, inputs=inputs(30, 7), toml=GATE.format(bar=0.96))
    pytester.makeconftest(
        f"""
        import random
        def pytest_collection_modifyitems(items):
            random.Random({seed}).shuffle(items)
        """
    )
    assert evaluate().ret == 0


def test_pytest_randomly_changes_no_verdict(suite, pytester, server):
    suite(30, inputs=inputs(30, 7), toml=GATE.format(bar=0.96))
    result = pytester.runpytest_subprocess("--model=m", f"--model-base-url={server.url}")
    result.stdout.fnmatch_lines(["Using --randomly-seed=*"])
    assert result.ret == 0


def test_a_rerun_sends_no_request_and_changes_nothing(suite, evaluate, server):
    suite(3, inputs=inputs(3, 1))
    result = evaluate("--reruns=2")
    result.assert_outcomes(failed=1, passed=2)
    assert len(server.requests) == 3


def test_lf_runs_what_was_missed(suite, evaluate, server):
    suite(6, inputs=inputs(6, 2, 4), toml=GATE.format(bar=0.9))
    evaluate()
    server.requests.clear()
    result = evaluate("--lf", "-v")
    result.stdout.fnmatch_lines(["*case-2 MISSED*", "*case-4 MISSED*", "*2 missed*"])
    assert len(server.requests) == 2


def test_lf_forgets_gates_and_what_passes_again(suite, evaluate, pytester):
    suite(4, inputs=inputs(4, 2), toml=GATE.format(bar=0.9))
    evaluate()
    suite(4, toml=GATE.format(bar=0.9))
    evaluate()
    result = evaluate("--lf", "-v")
    result.stdout.fnmatch_lines(["*no previously failed tests*"])


def test_junit_has_gates_as_testcases_and_misses_without_prompt_text(pytester, suite, evaluate):
    suite(4, inputs=inputs(4, 2), toml=GATE.format(bar=0.9))
    evaluate("--junitxml=junit.xml")
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "junit.xml").iter("testcase")}
    assert [child.tag for child in cases["gate[accuracy>=0.9]"]] == ["properties", "failure"]
    assert [child.tag for child in cases["case-2"]] == ["properties", "skipped"]
    assert [child.tag for child in cases["case-1"]] == ["properties"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_html_is_written(pytester, suite, evaluate):
    suite(4, inputs=inputs(4, 2), toml=GATE.format(bar=0.9))
    evaluate("--html=report.html", "--self-contained-html")
    assert "gate[accuracy" in (pytester.path / "report.html").read_text("utf-8")


def test_without_a_terminal_the_verdict_still_decides(suite, evaluate):
    suite(4, inputs=inputs(4, 2), toml=GATE.format(bar=0.9))
    assert evaluate("-p", "no:terminal").ret == pytest.ExitCode.TESTS_FAILED


def test_a_marked_function_gets_the_cases_and_their_answers(pytester, suite, evaluate, server):
    path = suite(3)
    path.rename(pytester.path / "own.jsonl")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.eval_set("own.jsonl")
        def test_echo(eval_case, eval_completion):
            assert eval_completion.text == eval_case.messages[-1].content

        @pytest.mark.eval_set("own.jsonl")
        def test_case_alone(eval_case):
            assert eval_case.id
        """
    )
    evaluate().assert_outcomes(passed=6)
    assert len(server.requests) == 3


def test_a_marked_function_may_be_rerun_and_gets_the_same_answer(pytester, suite, evaluate, server):
    suite(2).rename(pytester.path / "own.jsonl")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.eval_set("own.jsonl")
        def test_fails(eval_case, eval_completion):
            assert eval_completion.text == "something else"
        """
    )
    evaluate("--reruns=2").assert_outcomes(failed=2)
    assert len(server.requests) == 2


def test_the_completion_fixture_can_be_requested_during_a_test(pytester, suite, evaluate):
    suite(2).rename(pytester.path / "own.jsonl")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.eval_set("own.jsonl")
        def test_echo(eval_case, request):
            assert request.getfixturevalue("eval_completion").text == eval_case.messages[-1].content
        """
    )
    evaluate().assert_outcomes(passed=2)


def test_a_marked_set_that_is_collected_too_is_requested_once(pytester, suite, evaluate, server):
    suite(3)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.eval_set("tickets.jsonl")
        def test_echo(eval_case, eval_completion):
            assert eval_completion.text
        """
    )
    evaluate().assert_outcomes(passed=6)
    assert len(server.requests) == 3


def test_a_marked_function_without_a_model_is_skipped_with_a_reason(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.eval_set("no-such-file.jsonl")
        def test_echo(eval_case, eval_completion):
            raise AssertionError
        """
    )
    result = pytester.runpytest_inprocess("-rs", "--strict-markers")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs --model=SPEC*"])


def test_faults_of_a_marked_set_are_reported_without_a_traceback(pytester, evaluate, server):
    pytester.path.joinpath("own.jsonl").write_text('{"input": "x", "expcted": "y"}\n')
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.eval_set("own.jsonl")
        def test_echo(eval_case): ...
        """
    )
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*own.jsonl:1: *expcted*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert server.requests == []


def test_an_error_on_the_wire_is_an_error_of_the_marked_function(pytester, suite, evaluate, server):
    suite(1).rename(pytester.path / "own.jsonl")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.eval_set("own.jsonl")
        def test_echo(eval_completion, eval_case): ...
        """
    )
    server.answer = lambda body: error(400, "no such parameter")
    result = evaluate()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no such parameter*"])


def test_a_hook_adds_a_target_of_its_own(pytester, suite):
    suite(["HELLO"], inputs=["hello"])
    pytester.makeconftest(
        """
        from pytest_finetune.base.records import Completion

        class Shout:
            immutable, model, base_url, free, identity = False, "shout", "", True, ""
            def __init__(self, spec): self.spec = spec
            async def open(self): ...
            async def close(self): ...
            async def ask(self, request, deadline):
                return Completion(request.messages[-1].content.upper())

        def pytest_finetune_target(spec, config):
            return Shout(spec) if spec == "shout" else None
        """
    )
    pytester.runpytest_inprocess("--model=shout").assert_outcomes(passed=1)


def test_a_hook_may_return_a_client_of_the_official_package(pytester, suite, server):
    suite(2)
    pytester.makeconftest(
        f"""
        import openai

        def pytest_finetune_target(spec, config):
            return openai.AsyncOpenAI(base_url={server.url!r}, api_key="none")
        """
    )
    # In a process of its own: the client's modules, imported by an inner session, would be imported twice.
    pytester.runpytest_subprocess("--model=ft:mine", "--finetune-no-cache").assert_outcomes(passed=2)
    assert {body["model"] for body in server.questions} == {"ft:mine"}


def test_a_hook_that_returns_no_target_is_a_usage_error(pytester, suite):
    suite(1)
    pytester.makeconftest("def pytest_finetune_target(spec, config): return 'model'")
    result = pytester.runpytest_inprocess("--model=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the hook returned a str*"])


def test_an_incomplete_target_is_refused_with_the_missing_name(pytester, suite):
    suite(1)
    pytester.makeconftest(
        """
        class Half:
            spec = model = base_url = ""
            async def ask(self, request, deadline): ...

        def pytest_finetune_target(spec, config): return Half()
        """
    )
    result = pytester.runpytest_inprocess("--model=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*Half has no immutable, free, identity, open, close*"])


def test_a_clash_over_a_short_option_leaves_the_long_form(pytester, suite, server):
    suite(2)
    pytester.makepyfile(
        clash="""
        def pytest_addoption(parser):
            parser.addoption("--concurrency", default="theirs")
        """
    )
    options = ("-p", "clash", "--finetune-model=ft:x", f"--finetune-model-base-url={server.url}")
    result = pytester.runpytest_subprocess(
        *options, "--finetune-concurrency=2", "--concurrency=mine", "--finetune-no-cache"
    )
    result.assert_outcomes(passed=2)


def test_a_marked_set_that_is_collected_too_does_not_wait_for_ever_under_xdist(pytester, suite, evaluate):
    suite(40, toml=GATE.format(bar=0.9))
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.eval_set("tickets.jsonl")
        def test_echo(eval_case, eval_completion):
            assert eval_completion.text
        """
    )
    result = evaluate("-n2", subprocess=True)
    result.assert_outcomes(passed=81)


def test_a_hook_that_raises_is_one_readable_message(pytester, suite):
    suite(1)
    pytester.makeconftest("def pytest_finetune_target(spec, config): raise ValueError('no such region')")
    result = pytester.runpytest_inprocess("--model=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the hook failed for 'x': ValueError: no such region*"])


def test_an_exception_of_a_target_is_named_in_its_errors(pytester, suite):
    suite(2, toml=GATE.format(bar=0.9))
    pytester.makeconftest(
        """
        class Raising:
            immutable, model, base_url, free, identity = False, "m", "", True, ""
            def __init__(self, spec): self.spec = spec
            async def open(self): ...
            async def close(self): ...
            async def ask(self, request, deadline): raise KeyError("region")

        def pytest_finetune_target(spec, config): return Raising(spec)
        """
    )
    result = pytester.runpytest_inprocess("--model=m", "-v")
    result.stdout.fnmatch_lines(["*ask broke: KeyError: 'region'*", "*incomplete*"])


def test_resume_with_nothing_to_resume_is_a_usage_error_under_xdist_too(suite, evaluate):
    suite(2)
    result = evaluate("--resume", "-n2", subprocess=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no open run of ft:test*"])


def test_a_model_without_cases_does_not_pass_under_xdist_either(pytester, server):
    pytester.makepyfile("def test_own(): pass")
    result = pytester.runpytest_subprocess("--model=m", f"--model-base-url={server.url}", "-n2")
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR)
