"""
The registry with many concurrent writers and with killed writers, and the time of a change.

    python benchmarks/registry.py --processes 50 --rounds 100 --kills 200

Exits with 1 if a round does not have exactly one winner, the hash chain is broken, or a killed writer left anything
but the old file or the new one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend, Registry, apply, verify
from pytest_finetune.lifecycle.registry.document import write_document

PROCESSES = Path(__file__).parent.parent / "tests" / "support" / "registry_processes.py"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def many(command: str, **options: float) -> dict[str, Any]:
    """Run a command of `tests/support/registry_processes.py` in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        done = subprocess.run([sys.executable, PROCESSES, command, folder, *given], stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def with_events(number: int) -> Registry:
    """A registry with this many events, and a version for every third."""
    registry = Registry()
    for turn in range(-(-number // 3)):
        version = f"v{turn}"
        entry = Entry(model_id=f"ft:{version}", created_at=NOW)
        for change in (
            Change("add", version, "bench", entry=entry),
            Change("canary", version, "bench", traffic=0.1),
            Change("promote", version, "bench"),
        ):
            registry = apply(registry, change, now=NOW)
    return registry


def milliseconds(call: Any, times: int) -> float:
    """Median time of a call."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[times // 2] * 1000


def cost(number: int, times: int = 15) -> None:
    registry = with_events(number)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.json"
        path.write_bytes(write_document(registry))
        backend = FileBackend(path)
        size = path.stat().st_size / 1024
        read = milliseconds(backend.read, times)
        check = milliseconds(lambda: verify(registry), times)
        fallback = Change("fallback", "v0", "bench")
        update = milliseconds(lambda: backend.update(fallback), times)
    print(f"{registry.seq:7} {size:8.0f} {read:8.1f} {check:8.1f} {update:8.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--kills", type=int, default=200)
    asked = parser.parse_args()
    raced = many("race", processes=asked.processes, rounds=asked.rounds)
    print(f"race of {asked.processes} processes: {json.dumps(raced)}")
    crowded = many("crowd", processes=asked.processes, rounds=5)
    print(f"crowd of {asked.processes} processes: {json.dumps(crowded)}")
    killed = many("kill", kills=asked.kills)
    print(f"killed {asked.kills} times: {json.dumps(killed)}")
    print("\n events      KiB  read ms verify ms update ms")
    for number in (12, 120, 1200):
        cost(number)
    sound = (
        raced["rounds_with_one_winner"] == asked.rounds
        and not raced["rounds_whose_production_is_not_the_winner"]
        and raced["events"] == raced["events_due"]
        and crowded["entries"] == crowded["entries_due"]
        and not (raced["problems"] or crowded["problems"])
        and not (killed["torn"] or killed["lost"] or killed["stuck"])
    )
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
