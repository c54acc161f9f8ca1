"""
Time and peak memory of the data commands on generated files; each command is a separate process.

    python benchmarks/data.py check --rows 100000

`check` exits with 1 if it takes more than 60 s or 500 MiB, or misses planted near duplicates.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-c", "from pytest_finetune.cli import main; main()", "data"]
MOST_SECONDS, MOST_MIB = 60, 500

LABELS = ("bug", "feature", "question", "other", "billing")
CHINESE = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子"


class Rows:
    """
    Varied chat rows: two tasks, short and long texts, templates, Chinese, repeats with a word changed, and dirt.

    Args:
        draw: Where all chance comes from.
    """

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 10))) for _ in range(8000)]
        self.templates = [f"{self.words_of(8, 14)} {{}} {self.words_of(4, 8)}" for _ in range(30)]
        self.asked: list[str] = []
        self.changed = 0

    def words_of(self, least: int, most: int) -> str:
        """This many random words."""
        return " ".join(self.draw.choices(self.words, k=self.draw.randint(least, most)))

    def row(self) -> dict[str, Any]:
        """The next row."""
        asked = self._question()
        if len(self.asked) < 5000:
            self.asked.append(asked)
        if self.draw.random() < 0.5:
            system, answer = "Classify the ticket.", self.draw.choice(LABELS)
        else:
            values = {"item": self.words_of(1, 1), "count": self.draw.randint(1, 9), "note": self.words_of(2, 5)}
            system, answer = "Extract the order as JSON.", json.dumps(values)
        turns = [("system", system), ("user", asked), ("assistant", answer)]
        if self.draw.random() < 0.1:
            turns[2:2] = [("assistant", self.words_of(3, 10)), ("user", self.words_of(4, 20))]
        return {"messages": [{"role": role, "content": content} for role, content in turns]}

    def _question(self) -> str:
        kind = self.draw.random()
        if kind < 0.4:
            return f"{self.words_of(10, 60).capitalize()}."
        if kind < 0.6:
            asked = self.draw.choice(self.templates).format(self.words_of(2, 3))
            return f"{asked} order {self.draw.randint(10**3, 10**9)}"
        if kind < 0.75:
            return "".join(self.draw.choices(CHINESE, k=self.draw.randint(15, 120)))
        if kind < 0.8:
            return self.words_of(200, 400)
        if kind < 0.9 and self.asked:
            return self._changed(self.draw.choice(self.asked))
        number = f"{self.draw.randint(200, 999)}-{self.draw.randint(100, 999)}-{self.draw.randint(1000, 9999)}"
        address = f"{self.words_of(1, 1)}@{self.words_of(1, 1)}.com"
        return f"{self.words_of(5, 15)} call {number} mail {address} {self.words_of(5, 15)}"

    def _changed(self, text: str) -> str:
        words = text.split()
        words[self.draw.randrange(len(words))] = self.words_of(1, 1)
        # Changing one word in twenty keeps about nine letters in ten.
        self.changed += len(words) > 20
        return " ".join(words)


def check(asked: argparse.Namespace) -> bool:
    """Check a file of this many rows; returns whether time, memory and findings are within the limits."""
    with tempfile.TemporaryDirectory() as folder:
        path, rows = Path(folder) / "train.jsonl", Rows(random.Random(asked.seed))
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(rows.row(), ensure_ascii=False) + "\n" for _ in range(asked.rows))
        done, seconds, mib = measured("check", str(path), "--json")
        busy = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        found: dict[str, int] = {}
        for each in json.loads(done.stdout)["counts"]:
            found[each["code"]] = found.get(each["code"], 0) + each["count"]
        print(f"{asked.rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB")
        print(f"{seconds:.1f} s, {busy:.1f} s of CPU, peak {mib:,.0f} MiB")
        print(f"planted near duplicates: {rows.changed:,}; found: {json.dumps(found)}")
    share = asked.rows / 100_000
    return seconds <= MOST_SECONDS * share and mib <= MOST_MIB and found["near_duplicate"] >= 0.9 * rows.changed


def measured(*words: str) -> tuple[subprocess.CompletedProcess[str], float, float]:
    """Run a data command as a process: its output, seconds, and the peak MiB of it and its children."""
    began = time.perf_counter()
    done = subprocess.run([*COMMAND, *words], stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - began
    # Linux counts in KiB, macOS in bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return done, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    checking = commands.add_parser("check")
    checking.add_argument("--rows", type=int, default=100_000)
    checking.add_argument("--seed", type=int, default=1)
    checking.set_defaults(run=check)
    asked = parser.parse_args()
    return 0 if asked.run(asked) else 1


if __name__ == "__main__":
    sys.exit(main())
