"""
Time and peak memory of preparing and splitting a large file.

    python benchmarks/data_files.py --megabytes 1000

The rows are generated, about a kilobyte each: a shared system prompt, a question of random words, and an answer in
JSON. Each command is a separate process, start-up included.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """Seconds of wall and CPU time and peak MiB of one process."""

    wall: float
    cpu: float
    memory: float


def generate(raw: Path, chat: Path, size: int) -> int:
    """Write the same rows raw and in chat format, the latter of about `size` bytes; returns the number of rows."""
    rng = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(20_000)]
    system = " ".join(rng.choices(words, k=60))
    rows = written = 0
    with raw.open("w", encoding="utf-8") as raw_file, chat.open("w", encoding="utf-8") as chat_file:
        while written < size:
            asked = " ".join(rng.choices(words, k=rng.randint(20, 100)))
            answer = {"team": rng.choice("abcdef"), "order": str(rng.randint(1, 99_999))}
            raw_file.write(json.dumps({"system_prompt": system, "input": asked, "output": answer}) + "\n")
            said = (("system", system), ("user", asked), ("assistant", json.dumps(answer)))
            messages = [{"role": role, "content": content} for role, content in said]
            written += chat_file.write(json.dumps({"messages": messages}) + "\n")
            rows += 1
    return rows


def measure(*words: str | Path) -> Cost:
    """Run `pytest-finetune data` once."""
    began = time.perf_counter()
    command = [sys.executable, "-c", "from pytest_finetune.cli import main; main()", "data", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} ended with {process.returncode}")
    # Kilobytes on Linux, bytes on macOS.
    unit = 1024 if sys.platform == "darwin" else 1
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    size = parser.parse_args().megabytes * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        raw, chat, out = Path(folder, "raw.jsonl"), Path(folder, "chat.jsonl"), Path(folder, "out")
        rows = generate(raw, chat, size)
        print(f"{rows:,} rows, {raw.stat().st_size / 1e6:,.0f} MB raw, {chat.stat().st_size / 1e6:,.0f} MB as chats")
        print(f"{'':<22}{'seconds':>9}{'CPU':>9}{'MiB':>9}{'rows/s':>10}")
        for name, words in (
            ("prepare", ("prepare", raw, "-o", out.with_suffix(".jsonl"))),
            ("split", ("split", chat, "-o", out)),
            ("split --exact-only", ("split", chat, "-o", out, "--exact-only", "--force")),
        ):
            cost = measure(*words)
            print(
                f"{name:<22}{cost.wall:>9.1f}{cost.cpu:>9.1f}{cost.memory:>9.0f}{rows / cost.wall:>10,.0f}", flush=True
            )


if __name__ == "__main__":
    main()
