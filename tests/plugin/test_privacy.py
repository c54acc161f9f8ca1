"""No report of a redacted session contains a prompt or an answer, and no report of any session contains the API key."""

from __future__ import annotations

import base64
import json
import re

import pytest
from scripted_server import Reply, error
from steady_text import steady

PROMPT, EXPECTED, ANSWER = "zebra crossing", "quokka island", "walrus harbour"
KEY = "sk-proj-Very0Secret1Key2That3Nobody4May5See"
HAS_SUBTESTS = pytest.version_tuple >= (9,)
GATES = "[[gates]]\nmin = 0.5\n"
REPORTS = (
    "--html=out/report.html",
    "--self-contained-html",
    "--junitxml=out/junit.xml",
    "--finetune-html=out/page.html",
    "--finetune-markdown=out/comment.md",
    "-o",
    "junit_logging=all",
    "-o",
    "finetune_junit_texts=true",
)
LOGS = ("--log-cli-level=DEBUG", "--log-file=out/log.txt", "--log-file-level=DEBUG", "-ojunit_family=xunit1")
LOUD = ("-vv", "-l", "--showlocals", "--tb=long", "-rA", "--setup-show", "--log-level=DEBUG")


@pytest.fixture
def reports(pytester, evaluate, monkeypatch):
    """Evaluate with all reports; returns everything printed or written for people, by name."""

    def run(*options, subprocess=False, **how):
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "out/step.md"))
        (pytester.path / "out").mkdir(exist_ok=True)
        result = evaluate(*REPORTS, *LOUD, *options, subprocess=subprocess, **how)
        written = {path.name: path.read_text("utf-8") for path in (pytester.path / "out").iterdir() if path.is_file()}
        return {"terminal": result.stdout.str() + result.stderr.str(), **written}

    return run


def leaks(reports, *markers):
    """The reports that contain a marker, as text or as JSON; its first word is enough."""
    words = [word for marker in markers for word in marker.split()]
    return {(name, word) for name, text in reports.items() for word in words if word in text}


def nothing_leaks(reports):
    assert {"terminal", "report.html", "junit.xml", "page.html", "comment.md", "step.md"} <= set(reports)
    assert leaks(reports, PROMPT, EXPECTED, ANSWER) == set()


@pytest.mark.parametrize("toml", [None, GATES, GATES + "[stability]\nrepeats = 2\n"])
def test_a_redacted_session_shows_no_prompt_and_no_answer(suite, reports, server, toml):
    suite([EXPECTED, "plain"], inputs=[PROMPT, "plain"], toml=toml)
    server.answer = lambda body: ANSWER if "zebra" in str(body) else "plain"
    found = reports("--finetune-redact")
    nothing_leaks(found)
    for name in ("terminal", "report.html", "page.html", "comment.md"):
        assert "case-0" in found[name], name


def test_without_redaction_reports_show_prompts_and_answers(suite, reports, server):
    suite([EXPECTED], inputs=[PROMPT], toml=GATES)
    server.answer = lambda body: ANSWER
    found = reports()
    for name in ("terminal", "report.html", "junit.xml", "page.html", "comment.md"):
        assert leaks({name: found[name]}, ANSWER) != set(), name


def test_keys_and_paths_of_an_answer_are_redacted_too(suite, reports, server):
    toml = 'scorer = "json"\n[stability]\nrepeats = 2\n' + GATES
    suite([{"quokka": "island"}], inputs=[PROMPT], toml=toml)
    answers = iter([json.dumps({"walrus": {"harbour": 1}}), json.dumps({"walrus": "harbour"}), "```walrus```"])
    server.answer = lambda body: next(answers)
    nothing_leaks(reports("--finetune-redact"))


def test_the_flips_of_a_comparison_are_redacted_too(suite, reports, server):
    suite([EXPECTED, "plain"], inputs=[PROMPT, "plain"], toml=GATES)
    reply_by_model = {
        "old": lambda question: EXPECTED if "zebra" in question else "plain",
        "new": lambda question: ANSWER,
    }
    server.answer = lambda body: reply_by_model[body["model"]](body["messages"][-1]["content"])
    nothing_leaks(reports("--finetune-redact", "--baseline=old", model="new"))


@pytest.mark.parametrize("toml", [None, GATES])
def test_a_server_message_that_quotes_the_prompt_is_redacted_too(suite, reports, server, toml):
    suite([EXPECTED], inputs=[PROMPT], toml=toml)
    server.answer = lambda body: error(400, f"cannot answer: {body['messages'][-1]['content']}")
    found = reports("--finetune-redact")
    nothing_leaks(found)
    assert "bad_request: HTTP 400" in found["terminal"]


def test_a_fatal_answer_that_quotes_the_prompt_is_redacted_too(suite, reports, server):
    suite([EXPECTED], inputs=[PROMPT], toml=GATES)
    server.answer = lambda body: error(401, f"no: {body['messages'][-1]['content']}", code="invalid_api_key")
    found = reports("--finetune-redact")
    nothing_leaks(found)
    assert "auth: HTTP 401" in found["terminal"]


def test_workers_redact_as_well(suite, reports, server):
    suite([EXPECTED, "plain"], inputs=[PROMPT, "plain"], toml=GATES)
    server.answer = lambda body: ANSWER
    nothing_leaks(reports("--finetune-redact", "-n2", subprocess=True))


OWN_TESTS = """
import logging, sys, warnings
import pytest

@pytest.mark.eval_set("tickets.jsonl")
def test_fails(eval_case, eval_completion, record_property):
    kept = eval_completion.text
    print(eval_case.messages, kept)
    print(kept, file=sys.stderr)
    logging.getLogger("own").error("%s", kept)
    record_property("kept", kept)
    assert kept == str(eval_case.expected)

@pytest.mark.filterwarnings("default")
@pytest.mark.eval_set("tickets.jsonl")
def test_warns(eval_completion, eval_case):
    warnings.warn(eval_completion.text)

@pytest.mark.eval_set("tickets.jsonl")
def test_skips(eval_completion, eval_case):
    pytest.skip(eval_completion.text)

@pytest.mark.eval_set("tickets.jsonl")
def test_skips_in_the_words_of_the_plugin(eval_completion, eval_case):
    pytest.skip(f"unrun: {eval_completion.text}")

@pytest.mark.eval_set("tickets.jsonl")
def test_xfails(eval_completion, eval_case):
    pytest.xfail(eval_completion.text)

@pytest.fixture
def broken(eval_completion):
    yield
    raise ValueError(eval_completion.text)

@pytest.mark.eval_set("tickets.jsonl")
def test_breaks_in_teardown(broken, eval_case):
    pass

@pytest.mark.eval_set("tickets.jsonl")
def test_records(eval_completion, eval_case, record_xml_attribute, record_testsuite_property):
    record_xml_attribute("kept", eval_completion.text)
    record_testsuite_property("kept", eval_completion.text)

def test_of_no_case():
    logging.getLogger("own").error("free to say")
"""
OWN_SUBTESTS = """
@pytest.mark.eval_set("tickets.jsonl")
def test_has_subtests(subtests, eval_completion, eval_case):
    kept = eval_completion.text
    with subtests.test(msg=kept, kept=kept):
        print(kept)
        logging.getLogger("own").error("%s", kept)
        assert 0, kept
"""


@pytest.mark.parametrize("options", [(), ("-n1",)])
def test_the_users_own_tests_over_cases_are_redacted(pytester, suite, reports, server, options):
    pytester.makepyfile(test_own=OWN_TESTS + (OWN_SUBTESTS if HAS_SUBTESTS else ""))
    suite([EXPECTED], inputs=[PROMPT], toml=GATES)
    server.answer = lambda body: ANSWER
    found = reports("--finetune-redact", *LOGS, "test_own.py", *options, subprocess=True)
    assert options or "free to say" in found["log.txt"]
    assert leaks(found, PROMPT, EXPECTED, ANSWER) == set()
    assert re.search(r"test_own\.py:\d+: in test_fails", found["terminal"])
    assert "AssertionError: sha256:" in found["terminal"]
    assert "2 skipped" in found["terminal"]


@pytest.mark.parametrize(
    "hook", ["pytest_runtest_setup(item)", "pytest_runtest_call(item)", "pytest_runtest_teardown(item)"]
)
def test_a_users_hook_that_raises_is_redacted(pytester, suite, reports, server, hook):
    broken = f"def {hook}:\n    case = item.case\n    raise RuntimeError(str(case))\n"
    pytester.makeconftest(broken)
    suite([EXPECTED], inputs=[PROMPT], toml=GATES)
    server.answer = lambda body: ANSWER
    found = reports("--finetune-redact")
    nothing_leaks(found)
    assert "RuntimeError: sha256:" in found["terminal"]


def test_an_internal_error_is_redacted(pytester, suite, reports, server):
    pytester.makeconftest(
        "def pytest_runtest_logreport(report):\n    raise RuntimeError(str(report.longrepr) + 'zebra')\n"
    )
    suite([EXPECTED], inputs=[PROMPT], toml=GATES)
    found = reports("--finetune-redact")
    assert "INTERNALERROR> RuntimeError: sha256:" in found["terminal"]
    assert leaks(found, PROMPT, EXPECTED, ANSWER) == set()


def test_the_record_on_disk_still_contains_the_answers(pytester, suite, reports, server):
    suite([EXPECTED], inputs=[PROMPT], toml=GATES)
    server.answer = lambda body: ANSWER
    reports("--finetune-redact")
    (samples,) = pytester.path.glob(".finetune/runs/*/samples.jsonl")
    assert ANSWER in samples.read_text("utf-8")


def test_a_redacted_session_at_the_terminal(suite, evaluate, server, monkeypatch, golden):
    # With either of these pytest prints its summary uncut.
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    suite([EXPECTED, "plain"], inputs=[PROMPT, "plain"], toml="[[gates]]\nmin = 0.9\n")
    suite([EXPECTED, EXPECTED], inputs=[PROMPT, "plain"], name="free")
    server.answer = lambda body: ANSWER if "zebra" in str(body) else error(400, "no: plain")
    text = evaluate("--finetune-redact", "--concurrency=1").stdout.str()
    golden("redacted.txt", steady(text[text.index("eval_sets/free.jsonl ") :]))


def everything(pytester, result):
    written = {str(path): path.read_bytes() for path in pytester.path.rglob("*") if path.is_file()}
    return {**written, "stdout": result.stdout.str().encode(), "stderr": result.stderr.str().encode()}


KEY_TESTS = """
import logging, os, warnings
import pytest
import pytest_html

@pytest.mark.eval_set("tickets.jsonl")
def test_own(eval_case, eval_completion, record_property):
    environ = dict(os.environ)
    key = os.environ["OPENAI_API_KEY"]
    record_property("key", key)
    print(key)
    padding = "x" * 100 + key + "y" * 100
    warnings.warn(key)
    assert eval_completion.text == key

KEY = os.environ["OPENAI_API_KEY"]

def test_environment():
    padding = "." * 80 + KEY + "." * 120
    assert 0, KEY

def test_logs():
    try:
        raise ValueError(KEY)
    except ValueError:
        logging.getLogger("own").exception("live %s", KEY)

def test_records(record_property, record_testsuite_property, record_xml_attribute, extras):
    record_property("note", {"key": KEY})
    record_testsuite_property("note", KEY)
    record_xml_attribute("note", KEY)
    extras += [pytest_html.extras.text(KEY), pytest_html.extras.json({"key": KEY})]

@pytest.mark.xfail(reason=f"as {KEY}")
def test_xfails():
    assert 0

def test_skips():
    pytest.skip(f"for {KEY}")
"""
KEY_SUBTESTS = """
def test_subtests(subtests):
    with subtests.test(msg=KEY, key=KEY):
        print(KEY)
        logging.getLogger("own").error(KEY)
        assert 0, KEY
"""


def embedded(html):
    """The content that pytest-html embeds in links."""
    return [base64.b64decode(packed) for packed in re.findall(rb"base64,([\w+/=]+)", html)]


def is_there(content):
    """Whether a text contains the key, or a piece of it longer than the common prefix of keys."""
    return any(KEY[at : at + 12].encode() in content for at in range(4, len(KEY) - 12))


@pytest.mark.parametrize("options", [(), ("-n1",)])
def test_the_key_is_in_no_file_and_no_output(pytester, suite, evaluate, server, monkeypatch, options):
    """The server repeats the Authorization header in an answer and in an error, and tests print all they can read."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    pytester.makepyfile(test_own=KEY_TESTS + (KEY_SUBTESTS if HAS_SUBTESTS else ""))
    suite(["a", "b", "c"], toml=GATES)
    replies = {"a": f"your key is {KEY}", "b": error(400, f"Authorization: Bearer {KEY} {KEY[:-3]}")}
    replies["c"] = Reply(body={"choices": [{"message": {"content": 3}}], "echo": KEY})
    server.answer = lambda body: replies[body["messages"][-1]["content"]]
    result = evaluate(*REPORTS, *LOUD, *LOGS, ".", *options, subprocess=True, cache=True)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "your key is [API key]" in result.stdout.str()
    result.stdout.fnmatch_lines(["*SKIPPED*: for [[]API key]", "*XFAIL*as [[]API key]"])
    found = everything(pytester, result)
    assert not [text for text in embedded(found[str(pytester.path / "out/report.html")]) if is_there(text)]
    assert sum("samples.jsonl" in name or "answers.sqlite3" in name for name in found) >= 2
    assert [name for name, content in found.items() if is_there(content) and not name.endswith(".pyc")] == []


@pytest.mark.parametrize("key", ["EMPTY", "not-needed", "placeholder"])
def test_a_key_that_is_not_secret_is_not_masked(suite, evaluate, monkeypatch, key):
    """Such words are sent to servers without keys; a model may answer them."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    suite([f"{key} it is"])
    assert evaluate().ret == 0


def test_the_key_in_an_error_of_a_user_s_target_is_masked(pytester, suite, evaluate, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    raises = "raise OSError('refused ' + os.environ['OPENAI_API_KEY'])"
    pytester.makeconftest(f"import os\n\ndef pytest_finetune_target(spec, config):\n    {raises}\n")
    suite(1)
    result = evaluate(subprocess=True)
    assert "refused [API key]" in result.stderr.str()
    assert not is_there(result.stderr.str().encode() + result.stdout.str().encode())
