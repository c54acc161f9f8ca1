"""
Importing 100,000 rows, compared with reading and writing the same JSON.

    python benchmarks/importing.py --rows 100000

Each row is a separate process; CPU time and peak memory are as the operating system reports them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOOR = """
import json, sys
with open(sys.argv[1]) as source, open("floor.jsonl", "w") as target:
    for line in source:
        target.write(json.dumps(json.loads(line)) + "\\n")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own: the peak of a process includes what the one that started it held.
        writer = multiprocessing.get_context("spawn").Process(target=write, args=(folder, rows))
        writer.start()
        writer.join()
        program = [sys.executable, "-c", "from pytest_finetune.cli import main; main()", "import"]
        print(f"{rows:,} rows{'':<21}{'wall s':>9}{'CPU s':>9}{'peak MiB':>10}")
        measure("json alone", [sys.executable, "-c", FLOOR, "deepeval.jsonl"], folder)
        measure("rows with an answer expected", [*program, "deepeval.jsonl"], folder)
        batch = [*program, "batch.jsonl", "--with", "requests.jsonl", "--force"]
        measure("a batch, without runs", [*batch, "--no-runs"], folder)
        measure("a batch, with its run", batch, folder)
        measure("a dump of OpenAI's Evals", [*program, "dump.json", "--force"], folder)


def write(folder: Path, rows: int) -> None:
    """One file of each format."""
    texts = [f"Customer message {n}: the box was open and the order came late, please help" for n in range(rows)]
    system = {"role": "system", "content": "Answer with one label: bug, feature, question or other."}
    with (folder / "deepeval.jsonl").open("w") as file:
        for number, text in enumerate(texts):
            row = {"input": text, "expected_output": f"label {number % 7}", "actual_output": None, "context": None}
            file.write(json.dumps(row) + "\n")
    write_dump(folder, texts)
    with (folder / "requests.jsonl").open("w") as requests, (folder / "batch.jsonl").open("w") as outputs:
        for number, text in enumerate(texts):
            body = {"model": "m", "max_tokens": 8, "messages": [system, {"role": "user", "content": text}]}
            requests.write(json.dumps({"custom_id": f"c{number}", "method": "POST", "body": body}) + "\n")
            message = {"role": "assistant", "content": f"label {number % 7}"}
            usage = {"prompt_tokens": 40, "completion_tokens": 2}
            answer = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
            response = {"status_code": 200, "body": answer}
            outputs.write(json.dumps({"custom_id": f"c{number}", "response": response, "error": None}) + "\n")


def write_dump(folder: Path, texts: list[str]) -> None:
    """As GET /evals/runs/output_items gives it, with the eval and the run."""
    items = [
        {
            "object": "eval.run.output_item",
            "id": f"item_{number}",
            "datasource_item_id": number,
            "datasource_item": {"ticket": text, "label": f"label {number % 7}"},
            "results": [{"name": "label", "passed": True, "score": 1.0}],
            "sample": {
                "input": [{"role": "user", "content": text}],
                "output": [{"role": "assistant", "content": f"label {number % 7}"}],
                "finish_reason": "stop",
                "model": "gpt-4o-mini-2024-07-18",
                "usage": {"total_tokens": 42, "completion_tokens": 2, "prompt_tokens": 40},
                "error": None,
            },
        }
        for number, text in enumerate(texts)
    ]
    check = {"type": "string_check", "name": "label", "operation": "eq"}
    check |= {"input": "{{ sample.output_text }}", "reference": "{{ item.label }}"}
    run = {"id": "run_1", "model": "gpt-4o-mini"}
    dump = {"eval": {"testing_criteria": [check]}, "run": run, "output_items": items}
    (folder / "dump.json").write_text(json.dumps(dump))


def measure(name: str, command: list[str], folder: Path) -> None:
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{command} failed")
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(f"{name:<31}{time.perf_counter() - started:>9.1f}{cpu:>9.1f}{peak:>10.0f}", flush=True)


if __name__ == "__main__":
    main()
