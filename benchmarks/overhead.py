"""
The overhead of an evaluation beyond the model's own time, compared with the floor and with other clients.

    python benchmarks/overhead.py --cases 1000 10000

A scripted server on loopback answers every request after a fixed latency. The floor is cases / in flight x latency.
Each row is a separate process, start-up included; CPU time and peak memory are as the operating system reports them.
pytest loads this plugin and pytest-html, and no other installed plugin.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent
SERVER = HERE.parent / "tests" / "support" / "scripted_server.py"
MODEL = "bench-model"

AIOHTTP = """
import asyncio, json, sys, aiohttp
url, cases, flight = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3])
async def main():
    left = iter(cases)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=flight)) as client:
        async def asker():
            for body in left:
                async with client.post(url + "/chat/completions", json=body) as answer:
                    (await answer.json())["choices"][0]["message"]["content"]
        await asyncio.gather(*(asker() for _ in range(flight)))
asyncio.run(main())
"""

OFFICIAL = """
import asyncio, json, sys
from openai import AsyncOpenAI
url, cases, flight = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3])
async def main():
    left = iter(cases)
    async with AsyncOpenAI(base_url=url, api_key="none") as client:
        async def asker():
            for body in left:
                (await client.chat.completions.create(**body)).choices[0].message.content
        await asyncio.gather(*(asker() for _ in range(flight)))
asyncio.run(main())
"""

PLAIN_ITEMS = """
import json, pytest
class Plain(pytest.Item):
    def runtest(self): pass
class PlainFile(pytest.File):
    def collect(self):
        for number, line in enumerate(self.path.open(encoding="utf-8")):
            json.loads(line)
            yield Plain.from_parent(self, name=f"case-{number}")
def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".jsonl":
        return PlainFile.from_parent(parent, path=file_path)
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of wall and CPU time and peak MiB of one process."""

    wall: float
    cpu: float
    peak: float


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, scripted_server(arguments.latency) as url:
        # Byte code is compiled once after an installation, not once a run.
        run(plugin(write_eval_set(Path(folder), 1)[0], url), write_eval_set(Path(folder), 1)[0])
        for cases in arguments.cases:
            compare(Path(folder), url, cases, arguments)
        beside_the_wire(Path(folder), url, arguments)


def compare(folder: Path, url: str, cases: int, arguments: argparse.Namespace) -> None:
    floor = cases / arguments.in_flight * arguments.latency
    print(f"\n{cases:,} cases, {arguments.in_flight} in flight, {arguments.latency * 1000:.0f} ms answers")
    print(f"{'':<28}{'wall s':>9}{'x floor':>9}{'CPU s':>9}{'ms/case':>9}{'peak MiB':>10}")
    print(f"{'floor':<28}{floor:>9.2f}{1:>9.2f}")
    suite, bodies = write_eval_set(folder, cases)
    flight = str(arguments.in_flight)
    for name, command in (
        ("this plugin", plugin(suite, url, "--concurrency", flight)),
        ("aiohttp alone", [sys.executable, "-c", AIOHTTP, url, str(bodies), flight]),
        ("official client alone", [sys.executable, "-c", OFFICIAL, url, str(bodies), flight]),
    ):
        costs = sorted((run(command, suite) for _ in range(arguments.runs)), key=lambda cost: cost.wall)
        show(name, costs[len(costs) // 2], cases, floor)
    plain = folder / f"plain-{cases}"
    plain.mkdir()
    (plain / "conftest.py").write_text(PLAIN_ITEMS)
    (plain / "cases.jsonl").symlink_to(suite / "eval_sets" / "cases.jsonl")
    show("plain pytest items", run(pytest(), plain), cases, None)


def beside_the_wire(folder: Path, url: str, arguments: argparse.Namespace) -> None:
    print("\nwithout requests")
    suite, _ = write_eval_set(folder, max(arguments.cases))
    runs = suite / ".finetune" / "runs"
    if not runs.exists():
        run(plugin(suite, url), suite)
    show(f"replay of {max(arguments.cases):,}", run(pytest("--model=replay:last"), suite), max(arguments.cases), None)
    large, _ = write_eval_set(folder, arguments.collect)
    cost = run(plugin(large, url, "--collect-only", "-q", "-q"), large)
    show(f"--collect-only of {arguments.collect:,}", cost, arguments.collect, None)


def write_eval_set(folder: Path, cases: int) -> tuple[Path, Path]:
    suite = folder / f"suite-{cases}"
    lines = suite / "eval_sets" / "cases.jsonl"
    bodies = suite / "bodies.json"
    if lines.exists():
        return suite, bodies
    lines.parent.mkdir(parents=True)
    prompts = [f"Classify this customer message: order {n} came late and the box was open" for n in range(cases)]
    system = {"role": "system", "content": "Answer with one label."}
    rows = [
        {"messages": [system, {"role": "user", "content": prompt}, {"role": "assistant", "content": "ok"}]}
        for prompt in prompts
    ]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines.with_suffix(".toml").write_text("[[gates]]\nmin = 0.5\n")
    asked = [{"model": MODEL, "messages": row["messages"][:-1], "temperature": 0} for row in rows]
    bodies.write_text(json.dumps(asked))
    return suite, bodies


PLUGINS = ("pytest_metadata.plugin", "pytest_html.plugin", "pytest_finetune.plugin")


def pytest(*options: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", *(f"-p{name}" for name in PLUGINS), *options]


def plugin(suite: Path, url: str, *options: str) -> list[str]:
    return pytest(f"--model={MODEL}", f"--model-base-url={url}", f"--rootdir={suite}", *options)


def run(command: Sequence[str], folder: Path) -> Cost:
    started = time.perf_counter()
    with Path(folder, "output.txt").open("wb") as output:
        environ = os.environ | {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPYCACHEPREFIX": str(folder.parent / "pycache"),
        }
        # As after an installation, byte code is compiled once, by the first run.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}:\n{Path(folder, 'output.txt').read_text()[-3000:]}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def show(name: str, cost: Cost, cases: int, floor: float | None) -> None:
    times = f"{cost.wall / floor:>9.2f}" if floor else f"{'':>9}"
    print(f"{name:<28}{cost.wall:>9.2f}{times}{cost.cpu:>9.2f}{cost.cpu / cases * 1000:>9.2f}{cost.peak:>10.0f}")


@contextmanager
def scripted_server(latency: float) -> Iterator[str]:
    command = [sys.executable, str(SERVER), "--latency", str(latency), "--content", "ok"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[1000], help="sizes of the eval set (default: 1000)")
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds the server takes to answer")
    parser.add_argument("--runs", type=int, default=1, help="runs of each row; the median by wall time is shown")
    parser.add_argument("--collect", type=int, default=100_000, help="cases of the --collect-only row")
    return parser.parse_args()


if __name__ == "__main__":
    main()
