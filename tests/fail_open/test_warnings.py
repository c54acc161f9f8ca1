"""Warnings cannot be overlooked: they are in the record, in every report, and in the terminal however quiet it is."""

from __future__ import annotations

import json

import pytest
from scripted_server import Reply

GATE = "[[gates]]\nmin = 0.5\n"
SCHEMA = 'scorer = "schema"\nschema = "s.json"\n' + GATE


def test_a_misspelt_schema_keyword_is_a_fault(suite, evaluate):
    path = suite(["{}"], toml=SCHEMA)
    path.with_name("s.json").write_text('{"type": "object", "requierd": ["label"]}')
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*s.json: $: unknown keyword 'requierd'*", "*did you mean 'required'*"])


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "object", "requierd": ["label"]}, "unknown keyword 'requierd'"),
        ({"properties": {"a": {"$ref": "#/$defs/gone"}}}, "leads nowhere"),
        ({"type": "objekt"}, "not a JSON Schema"),
    ],
)
def test_a_faulty_response_schema_is_refused_as_a_scorers_is(suite, evaluate, server, schema, problem):
    path = suite(["{}"], toml='scorer = "json"\n[request]\nresponse_schema = "r.json"\n')
    path.with_name("r.json").write_text(json.dumps(schema))
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*tickets.toml:3: request.response_schema: r.json: *{problem}*"])
    assert server.requests == []


def test_a_schema_in_the_settings_is_checked_too(suite, evaluate):
    schema = '{ type = "json_schema", json_schema = { name = "a", schema = { requierd = ["label"] } } }'
    suite(["{}"], toml=f'scorer = "json"\n[request]\nresponse_format = {schema}\n')
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tickets.toml:3: request.response_format: *unknown keyword 'requierd'*"])


def test_a_schema_that_is_sent_and_scored_is_warned_of_once(suite, evaluate):
    path = suite(["{}"], toml=SCHEMA.replace('schema = "s', 'request.response_schema = "s.json"\nschema = "s'))
    path.with_name("s.json").write_text('{"nullable": true}')
    closing = " ".join(evaluate("--no-header").stdout.str().split())
    assert closing.count("unknown keyword 'nullable'") == 1


def test_a_missing_baseline_is_in_the_closing_section_the_record_and_every_report(suite, evaluate, pytester):
    suite(2, toml='[[gates]]\nmax_drop = 0.02\nagainst = "production"\n')
    result = evaluate("-qq", "--finetune-html=page.html", "--finetune-markdown=summary.md", "--junitxml=junit.xml")
    expected = "eval_sets/tickets.jsonl is compared with production, but has no --baseline"
    assert expected in " ".join(result.stdout.str().split())
    for report in ("page.html", "summary.md", "junit.xml"):
        assert expected in pytester.path.joinpath(report).read_text("utf-8"), report
    (manifest,) = (pytester.path / ".finetune" / "runs").glob("*/*.json")
    assert expected in json.loads(manifest.read_text())["warnings"]


@pytest.fixture
def doubtful(suite):
    """A set whose schema has an unknown keyword."""
    path = suite(["{}", "[]"], inputs=["{}", "[]"], toml=SCHEMA)
    path.with_name("s.json").write_text('{"nullable": true}')
    return path


@pytest.mark.parametrize("quiet", ["-v", "-q", "-qq", "--no-header"])
def test_a_warning_is_in_the_closing_section_however_quiet_the_session_is(doubtful, evaluate, quiet):
    result = evaluate(quiet)
    assert result.ret == 0
    closing = " ".join(result.stdout.str().partition("ft:test ships")[2].split())
    assert "eval_sets/tickets.jsonl: s.json: $: unknown keyword 'nullable' is ignored" in closing


def test_every_report_and_the_record_have_the_warning(doubtful, evaluate, pytester):
    evaluate("--finetune-html=page.html", "--finetune-markdown=summary.md", "--junitxml=junit.xml", "--html=rows.html")
    for report in ("page.html", "summary.md", "junit.xml", "rows.html"):
        text = (pytester.path / report).read_text("utf-8")
        assert "nullable" in text, report
    (manifest,) = (pytester.path / ".finetune" / "runs").glob("*/*.json")
    assert any("nullable" in warning for warning in json.loads(manifest.read_text())["warnings"])


def test_another_model_that_answered_is_named_with_qq_and_in_reports(suite, evaluate, server, pytester):
    suite(2)
    server.answer = lambda body: Reply(body["messages"][-1]["content"], model="somebody-else")
    result = evaluate("-qq", "--finetune-markdown=summary.md", "--junitxml=junit.xml")
    expected = "requested ft:test, but somebody-else answered"
    result.stdout.fnmatch_lines([f"warning: {expected}"])
    for report in ("summary.md", "junit.xml"):
        assert expected in pytester.path.joinpath(report).read_text("utf-8")


def test_junit_has_the_warning_about_gates(suite, evaluate, pytester):
    suite(2, toml='[[gates]]\nmetric = "error_rate"\nmax = 0.5\n')
    evaluate("-qq", "--junitxml=junit.xml")
    assert "No gate guards the quality of eval_sets/tickets.jsonl" in pytester.path.joinpath("junit.xml").read_text()
