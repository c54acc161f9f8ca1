"""
The embedded model, without fine-tuning, on two published data sets.

    python benchmarks/real_data.py FOLDER

The folder holds `banking-intents/` (classification) and `voice-slots/` (extraction to JSON), each with `train.jsonl`
and `validation.jsonl` in chat format. Nothing is copied: the cases are read in place.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

BANKING = """
scorer = "label"
normalize = ["strip", "casefold"]
labels = {labels}
[request]
max_completion_tokens = 16
[[gates]]
min = 0.9
confidence = 0.95
[[gates]]
metric = "valid_rate"
min = 0.99
"""

VOICE = """
scorer = "json"
schema = "voice-slots.schema.json"
[request]
max_completion_tokens = 96
{constrained}
[[gates]]
min = 0.8
confidence = 0.95
[[gates]]
metric = "field_accuracy"
min = 0.9
[[gates]]
metric = "valid_rate"
min = 0.99
"""


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    data = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        sets = Path(folder, "eval_sets")
        sets.mkdir()
        banking, voice = data / "banking-intents", data / "voice-slots"
        labels = sorted({answer(line) for line in (banking / "train.jsonl").open(encoding="utf-8")})
        add(sets, "banking", banking / "validation.jsonl", BANKING.format(labels=json.dumps(labels)))
        add(sets, "voice", voice / "validation.jsonl", VOICE.format(constrained=""))
        constrained = 'response_schema = "voice-slots.schema.json"'
        add(sets, "voice-constrained", voice / "validation.jsonl", VOICE.format(constrained=constrained))
        (sets / "voice-slots.schema.json").symlink_to(voice / "voice-slots.schema.json")
        options = ["--model=local:smollm2-135m", "-q", "-p", "no:randomly", "-rN", "--tb=no", *sys.argv[2:]]
        sys.exit(subprocess.run([sys.executable, "-m", "pytest", *options], cwd=folder, check=False).returncode)


def answer(line: str) -> str:
    return str(json.loads(line)["messages"][-1]["content"])


def add(sets: Path, name: str, cases: Path, settings: str) -> None:
    (sets / f"{name}.jsonl").symlink_to(cases)
    (sets / f"{name}.toml").write_text(settings, encoding="utf-8")


if __name__ == "__main__":
    main()
