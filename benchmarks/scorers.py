"""
The time that each scorer takes for one answer.

    python benchmarks/scorers.py

Expected and answered texts of a sentence, and the records, calls and statements that models are fine-tuned for. Exits
with 1 if a scorer takes longer than 0.2 ms of CPU time. Functions and patterns depend on what they run. SQL that is
executed, or written in another way so that it has to be parsed, is measured below the table.
"""

from __future__ import annotations

import sys
import tempfile
import time
import timeit
from pathlib import Path
from typing import Any

from pytest_finetune.base.records import Case, Completion, ToolCall
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.scoring import make_scorer

LIMIT = 0.2
_HERE = Path()
EXPECTED = "The quick brown fox jumps over the lazy dog and runs away into the forest at night."
ANSWER = "A quick brown fox jumped over a lazy dog and ran away into the forest at night."
RECORD = '{"name": "Ada Lovelace", "age": 36, "city": "London", "tags": ["a", "b"], "address": {"zip": "W1", "no": 7}}'
QUERY = "SELECT a, COUNT(*) FROM t JOIN u ON t.id = u.id WHERE b > 3 GROUP BY a ORDER BY a"
LONG = (
    "WITH x AS (SELECT a, b, SUM(c) OVER (PARTITION BY d ORDER BY e) AS s FROM t LEFT JOIN u ON t.id = u.id "
    "WHERE b > 3 AND c IN (1, 2, 3)) SELECT a, COUNT(*), CASE WHEN s > 3 THEN 'x' ELSE 'y' END FROM x GROUP BY a "
    "HAVING COUNT(*) > 2 ORDER BY a LIMIT 10"
)
SCHEMA = "CREATE TABLE t (id, a, b); CREATE TABLE u (id); INSERT INTO t VALUES (1, 2, 4); INSERT INTO u VALUES (1);"

ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "exact": ({}, EXPECTED, ANSWER),
    "contains": ({}, EXPECTED, ANSWER),
    "label": ({"labels": ["bug", "feature", "question"]}, "bug", "feature"),
    "number": ({"scorer_options": {"relative": 0.01}}, "1234.5", "1230"),
    "fuzzy": ({"scorer_options": {"threshold": 0.9}}, EXPECTED, ANSWER),
    "f1": ({"scorer_options": {"threshold": 0.9}}, EXPECTED, ANSWER),
    "rouge_l": ({"scorer_options": {"threshold": 0.9}}, EXPECTED, ANSWER),
    "chrf": ({"scorer_options": {"threshold": 0.9}}, EXPECTED, ANSWER),
    "bleu": ({"scorer_options": {"threshold": 0.9}}, EXPECTED, ANSWER),
    "refusal": ({}, "answer", ANSWER * 5),
    "not": ({"scorer_options": {"of": "contains"}}, EXPECTED, ANSWER),
    "json": ({}, RECORD, RECORD.replace("36", "37")),
    "sql": ({}, QUERY, f"{QUERY.replace(' JOIN', '  join').replace('COUNT', 'count')};"),
}

PARSED: dict[str, tuple[str, str]] = {
    "another way, 27 tokens": (QUERY, QUERY.replace("JOIN", "INNER JOIN")),
    "wrong, 27 tokens": (QUERY, QUERY.replace("3", "4")),
    "wrong, 83 tokens": (LONG, LONG.replace("> 3", "> 4")),
}


def milliseconds(name: str, settings: dict[str, Any], expected: str, answer: str, folder: Path = _HERE) -> float:
    """CPU milliseconds for one answer, the fastest of some rounds."""
    scorer = make_scorer(EvalSettings.model_validate({"scorer": name, **settings}), folder)
    case, completion = Case("one", 1, (), expected=(expected,)), Completion(answer)
    if problem := scorer.check(case):
        raise SystemExit(f"{name}: {problem}")
    timer = timeit.Timer(lambda: scorer.score(case, completion), timer=time.process_time)
    return min(timer.repeat(repeat=7, number=200)) / 200 * 1000


def calls() -> float:
    """As `milliseconds`, for `tool_call`."""
    scorer = make_scorer(EvalSettings(scorer="tool_call"), _HERE)
    case = Case("one", 1, (), tool_calls=(ToolCall("save", RECORD),))
    completion = Completion("", "tool_calls", tool_calls=(ToolCall("save", RECORD.replace("36", "37")),))
    timer = timeit.Timer(lambda: scorer.score(case, completion), timer=time.process_time)
    return min(timer.repeat(repeat=7, number=200)) / 200 * 1000


def main() -> int:
    """Print the table."""
    measured = {name: milliseconds(name, *row) for name, row in ROWS.items()} | {"tool_call": calls()}
    print("| scorer | ms for one answer |\n|---|---|")
    for name, taken in measured.items():
        print(f"| `{name}` | {taken:.3f}{' (too slow)' if taken > LIMIT else ''} |")
    print("\n| `sql`, parsed | ms for one answer |\n|---|---|")
    for name, (expected, answer) in PARSED.items():
        print(f"| {name} | {milliseconds('sql', {}, expected, answer):.2f} |")
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "shop.sql").write_text(SCHEMA)
        settings = {"scorer_options": {"database": "shop.sql"}}
        executed = milliseconds("sql_result", settings, QUERY, QUERY.replace("3", "4"), Path(name))
    print(f"| `sql_result`, executed by SQLite | {executed:.2f} |")
    return int(max(measured.values()) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
