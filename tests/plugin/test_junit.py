"""The file of --junitxml: properties for programs, short messages, and no prompts by default."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from scripted_server import error

GATES = "[[gates]]\nmin = 0.5\n[[gates]]\nmetric = 'valid_rate'\nmin = 0.9\n"
LABELS = 'scorer = "label"\nlabels = ["bug", "feature"]\n'


@pytest.fixture
def junit(pytester, evaluate):
    """Evaluate with --junitxml; returns the file's text, and its testcases by name."""

    def run(*options, **how):
        evaluate("--junitxml=junit.xml", *options, **how)
        text = (pytester.path / "junit.xml").read_text("utf-8")
        cases = {case.get("name"): case for case in ET.fromstring(text).iter("testcase")}
        return text, cases

    return run


def properties(element):
    return {found.get("name"): found.get("value") for found in element.findall("properties/property")}


def ended(case):
    """Tag, message and text of the elements of a testcase besides its properties."""
    (found,) = (child for child in case if child.tag != "properties")
    return found.tag, found.get("message"), found.text


def test_a_whole_file(suite, junit, server, golden):
    suite(["bug", "feature", "bug", "bug"], inputs=["bug", "bug", "neither", "none"], toml=LABELS + GATES, tags=["en"])
    suite(["calm", "plain"], inputs=["storm", "plain"], name="free")
    server.answer = lambda body: error(400, "no") if "none" in str(body) else body["messages"][-1]["content"]
    text, _ = junit()
    ET.indent(tree := ET.fromstring(text))
    text = ET.tostring(tree, encoding="unicode") + "\n"
    for found, put in (
        (r'(time|timestamp|hostname)="[^"]*"', r'\1="-"'),
        (r'(name="finetune.latency_ms" value)="[^"]*"', r'\1="-"'),
        (r'(name="finetune.run" value)="[^"]*"', r'\1="-"'),
    ):
        text = re.sub(found, put, text)
    golden("junit.xml", text)


@pytest.mark.parametrize(("confidence", "uncertain"), [("", True), ("confidence = 0.95\n", False)])
def test_a_gate_whose_interval_crosses_the_bar_is_said_to_be_uncertain(suite, junit, confidence, uncertain):
    suite(["a"] * 20, inputs=["a"] * 20, toml=f"[[gates]]\nmin = {0.95 if uncertain else 0.5}\n{confidence}")
    _, cases = junit()
    (gate,) = (properties(case) for name, case in cases.items() if name.startswith("gate["))
    assert gate["finetune.verdict"] == "pass"
    assert ("finetune.uncertain" in gate) is uncertain


def test_a_case_has_its_figures(suite, junit):
    suite(
        ["a", "b"], inputs=["a", "x"], toml=GATES.replace("valid_rate", "error_rate").replace("min = 0.9", "max = 0.1")
    )
    _, cases = junit()
    found = properties(cases["case-1"])
    assert {name: found[f"finetune.{name}"] for name in ("model", "state", "score", "attempts")} == {
        "model": "ft:test",
        "state": "missed",
        "score": "0",
        "attempts": "1",
    }
    assert int(found["finetune.tokens"]) > 0
    assert int(found["finetune.latency_ms"]) >= 0
    assert re.match(r"[0-9]{8}T", found["finetune.run"])


def test_the_suite_has_the_figures_of_each_set(suite, junit, pytester):
    suite(["a", "b"], inputs=["a", "x"], toml="[[gates]]\nmin = 0.5\n")
    text, _ = junit("--model=ft:other")
    found = properties(ET.fromstring(text).find("testsuite"))
    for model in ("ft:test", "ft:other"):
        assert found[f"finetune.accuracy[eval_sets/tickets.jsonl][{model}]"] == "0.5"
        assert found[f"finetune.gate[accuracy>=0.5][eval_sets/tickets.jsonl][{model}]"] == "pass"
        assert f"finetune.run[{model}]" in found


@pytest.mark.parametrize("toml", [None, "[[gates]]\nmin = 0.5\n"])
def test_a_miss_has_a_short_message_and_no_text(suite, junit, toml):
    suite(["calm"], inputs=["storm"], toml=toml)
    text, cases = junit()
    assert ended(cases["case-0"]) == ("skipped" if toml else "failure", "missed", None)
    assert "storm" not in text


def test_texts_are_written_if_the_ini_value_is_set(suite, junit):
    suite(["calm"], inputs=["storm"])
    _, cases = junit("-o", "finetune_junit_texts=true")
    _, message, text = ended(cases["case-0"])
    assert message == "missed"
    assert "  user:      storm\n  expected:  calm\n  got:       storm" in text


@pytest.mark.parametrize("toml", [None, "[[gates]]\nmin = 0.5\n"])
def test_server_messages_are_written_only_if_the_ini_value_is_set(suite, junit, server, toml):
    suite(["calm"], inputs=["storm"], toml=toml)
    server.answer = lambda body: error(400, "cannot answer storm")
    text, cases = junit()
    assert ended(cases["case-0"])[1] == "error: bad_request: HTTP 400"
    assert "storm" not in text
    _, cases = junit("-o", "finetune_junit_texts=true")
    assert ended(cases["case-0"])[1] == "error: bad_request: HTTP 400: cannot answer storm"


def test_properties_can_be_switched_off(suite, junit):
    suite(2, toml="[[gates]]\nmin = 0.5\n")
    text, _ = junit("-o", "finetune_junit_properties=false")
    assert "<propert" not in text


PROBLEMS = {name: {"type", "message"} for name in ("failure", "error", "skipped")}
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "errors", "failures", "skipped", "tests", "time", "timestamp", "hostname"},
    "testcase": {"classname", "name", "time"},
    **PROBLEMS,
}
WITHIN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase", "system-out", "system-err"},
    "testcase": {*PROBLEMS, "system-out", "system-err"},
}
"""Elements and attributes of the schema junit-10.xsd of Jenkins's xUnit plugin, as far as pytest writes them."""


def against_xunit2(element):
    """What a strict reader would refuse in this element and below."""
    for name in set(element.attrib) - ATTRIBUTES.get(element.tag, set()):
        yield f"{element.tag} has {name}"
    for child in element:
        if child.tag not in WITHIN.get(element.tag, ()):
            yield f"{child.tag} in {element.tag}"
        elif child.tag != "properties":
            yield from against_xunit2(child)


def test_without_properties_a_strict_reader_of_xunit2_takes_the_whole_file(pytester, suite, junit, server):
    pytester.makepyfile("import pytest\ndef test_own(): assert 0\n@pytest.mark.xfail\ndef test_known(): assert 0\n")
    suite(["bug", "feature", "bug", "bug"], inputs=["bug", "bug", "neither", "none"], toml=LABELS + GATES)
    suite(["calm", "plain", "none"], inputs=["storm", "plain", "none"], name="free")
    server.answer = lambda body: error(400, "no") if "none" in str(body) else body["messages"][-1]["content"]
    everything = ("-o", "junit_logging=all", "-o", "finetune_junit_texts=true", ".")
    text, _ = junit("-o", "finetune_junit_properties=false", *everything)
    assert list(against_xunit2(ET.fromstring(text))) == []
    text, _ = junit(*everything)
    assert set(against_xunit2(ET.fromstring(text))) == {"properties in testcase"}


def test_gates_are_testcases_with_their_verdict(suite, junit):
    suite(["a", "b"], inputs=["a", "x"], toml="[[gates]]\nmin = 0.9\n")
    _, cases = junit()
    gate = cases["gate[accuracy>=0.9]"]
    assert ended(gate)[0] == "failure"
    found = properties(gate)
    assert (found["finetune.verdict"], found["finetune.value"], found["finetune.bar"]) == ("fail", "0.5", "0.9")


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_what_a_model_wrote_leaves_the_xml_sound(suite, junit, server, family):
    hostile = "\x1b[31m]]>\x00<a>&\ufffe\u202e\uffff"
    suite(["calm"], inputs=["storm"])
    server.answer = lambda body: hostile
    text, cases = junit("-o", f"junit_family={family}", "-o", "finetune_junit_texts=true", "-o", "junit_logging=all")
    assert r"\x1b[31m]]>\x00<a>&" in ended_failure(cases["case-0"])
    assert "\u202e" not in text


def ended_failure(case):
    return case.find("failure").text


def test_a_users_own_properties_and_tests_stay(pytester, suite, junit):
    pytester.makepyfile(
        test_own="def test_own(record_property):\n    record_property('team', 'web')\n    assert 0, 'of its own'\n"
    )
    suite(1)
    _, cases = junit(".", "-o", "junit_family=xunit1")
    assert properties(cases["test_own"]) == {"team": "web"}
    assert "of its own" in ended_failure(cases["test_own"])


def test_a_failing_teardown_leaves_figures_on_the_case(pytester, suite, junit):
    pytester.makeconftest("def pytest_runtest_teardown(item):\n    raise RuntimeError('late')\n")
    suite(["calm"], inputs=["storm"])
    text, _ = junit()
    both = [case for case in ET.fromstring(text).iter("testcase") if case.get("name") == "case-0"]
    assert [properties(case)["finetune.state"] for case in both] == ["missed", "missed"]


def test_workers_make_the_same_file(suite, junit):
    suite(["a", "b"], inputs=["a", "x"], toml="[[gates]]\nmin = 0.5\n")
    _, alone = junit("-o", "junit_logging=all")
    _, shared = junit("-n2", "-o", "junit_logging=all", subprocess=True)
    changing = {"finetune.run", "finetune.latency_ms"}

    def kept(cases):
        return {
            name: (
                {k: v for k, v in properties(case).items() if k not in changing},
                [(c.tag, c.get("message")) for c in case],
            )
            for name, case in cases.items()
        }

    assert kept(shared) == kept(alone)
