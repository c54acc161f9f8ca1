"""
The time that each scorer takes for one answer.

    python benchmarks/scorers.py

Expected and answered texts of a sentence, and the records, calls and statements that models are fine-tuned for. Exits
with 1 if a scorer takes longer than 0.2 ms of CPU time. Functions, patterns and SQL depend on what they run.
"""

from __future__ import annotations

import sys
import time
import timeit
from pathlib import Path
from typing import Any

from pytest_finetune.base.records import Case, Completion, ToolCall
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.scoring import make_scorer

LIMIT = 0.2
EXPECTED = "The quick brown fox jumps over the lazy dog and runs away into the forest at night."
ANSWER = "A quick brown fox jumped over a lazy dog and ran away into the forest at night."
RECORD = '{"name": "Ada Lovelace", "age": 36, "city": "London", "tags": ["a", "b"], "address": {"zip": "W1", "no": 7}}'
QUERY = "SELECT a, COUNT(*) FROM t JOIN u ON t.id = u.id WHERE b > 3 GROUP BY a ORDER BY a"

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
}


def milliseconds(name: str, settings: dict[str, Any], expected: str, answer: str) -> float:
    """CPU milliseconds for one answer, the fastest of some rounds."""
    scorer = make_scorer(EvalSettings.model_validate({"scorer": name, **settings}), Path())
    case, completion = Case("one", 1, (), expected=(expected,)), Completion(answer)
    if problem := scorer.check(case):
        raise SystemExit(f"{name}: {problem}")
    timer = timeit.Timer(lambda: scorer.score(case, completion), timer=time.process_time)
    return min(timer.repeat(repeat=7, number=200)) / 200 * 1000


def calls() -> float:
    """As `milliseconds`, for `tool_call`."""
    scorer = make_scorer(EvalSettings(scorer="tool_call"), Path())
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
    parsing = milliseconds("sql", {}, QUERY, QUERY.replace("3", "4"))
    print(f"\n`sql` parses each answer that is not written like the expected one: {parsing:.1f} ms")
    return int(max(measured.values()) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
