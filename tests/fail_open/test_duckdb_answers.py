"""No answer passes by what it does to DuckDB, to its process or to files: only the rows of its own query count."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("duckdb")

TOML = '[scorer]\ntype = "sql_result"\ndatabase = "t.sql"\nengine = "duckdb"\n[[gates]]\nmin = 1.0\n'
SCRIPT = "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2)"
RIGHT = "SELECT sum(a) FROM t"


def test_only_queries_with_the_expected_rows_pass(suite, evaluate, pytester):
    stolen = pytester.path / "three.csv"
    stolen.write_text("3\n")
    answers = {
        "right": RIGHT,
        "another way": "SELECT 3",
        "from a file": f"SELECT column0 FROM read_csv('{stolen.as_posix()}', header = false)",
        "changes the table": "INSERT INTO t VALUES (0); SELECT sum(a) FROM t",
        "deletes on the way": "WITH gone AS (DELETE FROM t RETURNING a) SELECT sum(a) FROM gone",
        "kills the process": "SELECT repeat('a', 4000000000)",
        "by chance": "SELECT 3 + floor(random())",
        "unlocks": "SET enable_external_access = true",
        "right again": "SELECT max(a) + min(a) FROM t",
    }
    suite([RIGHT] * len(answers), inputs=list(answers.values()), toml=TOML)
    (pytester.path / "eval_sets/t.sql").write_text(SCRIPT)
    result = evaluate("--concurrency=1")
    assert result.ret == 1
    (record,) = (pytester.path / ".finetune/runs").glob("*/samples.jsonl")
    states = {sample["case_id"]: sample["state"] for sample in map(json.loads, record.read_text().splitlines())}
    passed = [name for number, name in enumerate(answers) if states[f"case-{number}"] == "passed"]
    assert passed == ["right", "another way", "right again"]
    assert set(states.values()) == {"passed", "missed"}


def test_a_set_without_the_package_is_refused_before_any_request(suite, evaluate, server, pytester, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    suite([RIGHT], toml=TOML)
    (pytester.path / "eval_sets/t.sql").write_text(SCRIPT)
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*needs duckdb, which is not installed*"])
    assert not server.requests
