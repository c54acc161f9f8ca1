"""A judge that can be scripted, and eval sets with answers that people have labelled."""

from __future__ import annotations

import json

TOML = """\
[scorer]
type = "judge"
model = "judge-2026-01-01"
rubric = "Polite answers are good."
labels = ["good", "bad"]
passes = ["good"]
"""
GATED = TOML + "[[gates]]\nmin = 0.5\nconfidence = 0.9\n"


def judged(body):
    """What a scripted judge is asked to grade; None if the request is not for the judge."""
    if not body["model"].startswith("judge"):
        return None
    return json.loads(body["messages"][-1]["content"])


def polite(body, *, right="VERDICT: good", wrong="VERDICT: bad"):
    """The model under test echoes; the judge finds whatever says "please" good."""
    data = judged(body)
    if data is None:
        return body["messages"][-1]["content"]
    return right if "please" in data["answer"] else wrong


def write_labelled(folder, *, errs=3, count=30, scorer=""):
    """As many answers that people call good and bad, of each of which the judge gets `errs` wrong."""
    rows = [("good", f"please {n}" if n >= errs else f"now {n}") for n in range(count)]
    rows += [("bad", f"now {n + 100}" if n >= errs else f"please {n + 100}") for n in range(count)]
    lines = [
        {"input": f"ask {n}", "expected": "anything", "answer": answer, "human": human}
        for n, (human, answer) in enumerate(rows)
    ]
    path = folder / "eval_sets" / f"tickets{scorer and '.'}{scorer}.calibration.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
