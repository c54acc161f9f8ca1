"""
Many processes with one registry file: racing promotions, concurrent additions, and kills during writes.

    python tests/support/registry_processes.py race FOLDER --processes 50 --rounds 100

Each command prints its findings as one JSON object; the tests and `benchmarks/registry.py` judge them. It runs in a
process of its own, so that it may fork.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend, RegistryError, VersionStatus, verify

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

FORK = multiprocessing.get_context("fork")
BORN = datetime(2026, 1, 1, tzinfo=UTC)


def add(backend: FileBackend, version: str) -> None:
    """Add a candidate."""
    backend.update(Change("add", version, "test", entry=Entry(model_id=f"ft:{version}", created_at=BORN)))


def race(path: Path, processes: int, rounds: int) -> dict[str, Any]:
    """In each round all processes read the same registry, and each promotes its own candidate."""
    backend, barrier = FileBackend(path, lock_timeout=120), FORK.Barrier(processes)
    versions = [f"p{number}-r0" for number in range(processes)]
    for version in versions:
        add(backend, version)
    lines, workers = _start_racers(path, processes, barrier)
    winners: list[int] = []
    answers: Counter[str] = Counter()
    disagreements = 0
    began = time.perf_counter()
    for number in range(1, rounds + 1):
        seq = backend.read().seq
        for line, version in zip(lines, versions, strict=True):
            line.send((seq, version))
        replies = [line.recv() for line in lines]
        answers.update(replies)
        won = [index for index, answer in enumerate(replies) if answer == "won"]
        winners.append(len(won))
        in_production = [v for v, entry in backend.read().entries.items() if entry.status is VersionStatus.PRODUCTION]
        disagreements += in_production != [versions[index] for index in won]
        for index in won:
            versions[index] = f"p{index}-r{number}"
            add(backend, versions[index])
    seconds = time.perf_counter() - began
    for line, worker in zip(lines, workers, strict=True):
        line.send(None)
        worker.join()
    registry = backend.read()
    return {
        "rounds": rounds,
        "rounds_with_one_winner": winners.count(1),
        "rounds_whose_production_is_not_the_winner": disagreements,
        "answers": dict(answers),
        "events": registry.seq,
        "events_due": processes + 2 * rounds,
        "problems": verify(registry),
        "seconds": round(seconds, 1),
    }


def _start_racers(path: Path, processes: int, barrier: Barrier) -> tuple[list[Connection], list[Any]]:
    pairs = [FORK.Pipe() for _ in range(processes)]
    workers = [FORK.Process(target=_racer, args=(path, theirs, barrier)) for _, theirs in pairs]
    for worker in workers:
        worker.start()
    return [ours for ours, _ in pairs], workers


def _racer(path: Path, line: Connection, barrier: Barrier) -> None:
    backend = FileBackend(path, lock_timeout=120)
    while (task := line.recv()) is not None:
        seq, version = task
        barrier.wait(timeout=60)
        try:
            backend.update(Change("promote", version, "racer"), expected_seq=seq)
        except RegistryError as error:
            line.send("lost" if error.problem.startswith("changed meanwhile") else str(error))
        else:
            line.send("won")


def crowd(path: Path, processes: int, rounds: int) -> dict[str, Any]:
    """All processes add versions at once, without checking the sequence number: no addition may be lost."""

    def join_in(number: int) -> None:
        for turn in range(rounds):
            add(FileBackend(path, lock_timeout=120), f"p{number}-r{turn}")

    workers = [FORK.Process(target=join_in, args=(number,)) for number in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    registry = FileBackend(path).read()
    return {
        "failed": sum(worker.exitcode != 0 for worker in workers),
        "entries": len(registry.entries),
        "entries_due": processes * rounds,
        "problems": verify(registry),
    }


def kill(path: Path, kills: int, longest: float, seed: int) -> dict[str, Any]:
    """Kill a writer at random times; every change reported as written must be there, and at most one more."""
    rng = random.Random(seed)
    findings: Counter[str] = Counter(dict.fromkeys(("old", "new", "torn", "lost", "unwritten", "stuck"), 0))
    backend = FileBackend(path, lock_timeout=5)
    for _ in range(kills):
        if not path.exists() or backend.read().seq > 50:
            path.unlink(missing_ok=True)
            add(backend, "v1")
        before = backend.read().seq
        reported = max(_killed_after(path, rng.uniform(0, longest)), before)
        for unwritten in path.parent.glob(".pytest-finetune-*.tmp"):
            findings["unwritten"] += 1
            unwritten.unlink()
        findings[_state_of(backend, reported)] += 1
        try:
            backend.update(Change("canary", "v1", "next", traffic=0.5))
        except RegistryError:
            findings["stuck"] += 1
    return dict(findings)


def _killed_after(path: Path, seconds: float) -> int:
    """Kill a writer this long after its start; returns the last sequence number reported to it, or 0."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _write_on(path, writing)
    os.close(writing)
    os.read(reading, 8)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as file:
        numbers = file.read()
    return int.from_bytes(numbers[-8:], "big") if numbers else 0


def _write_on(path: Path, writing: int) -> None:
    backend = FileBackend(path)
    os.write(writing, bytes(8))
    while True:
        registry = backend.update(Change("canary", "v1", "writer", traffic=0.25))
        # A write of a few bytes to a pipe is atomic.
        os.write(writing, registry.seq.to_bytes(8, "big"))


def _state_of(backend: FileBackend, reported: int) -> str:
    try:
        registry = backend.read()
    except RegistryError:
        return "torn"
    if verify(registry) or registry.seq > reported + 1:
        return "torn"
    if registry.seq < reported:
        return "lost"
    return "old" if registry.seq == reported else "new"


def main() -> None:
    """Run one command and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("race", "crowd", "kill"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=0.02, help="seconds that a writer lives at most")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    path = options.folder / "registry.json"
    if options.command == "kill":
        found = kill(path, options.kills, options.longest, options.seed)
    else:
        found = {"race": race, "crowd": crowd}[options.command](path, options.processes, options.rounds)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
