"""
Trains the demo's two versions again, with the commands that users have.

It starts a server on this machine (`pytest-finetune serve`) and a job for each version (`pytest-finetune train start
--watch`), and writes the adapters and their provenance to `models/`. If it is interrupted, run it again: it resumes.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DEMO = Path(__file__).parent
STATE = Path(".finetune")
FINETUNE = str(Path(sys.executable).with_name("pytest-finetune"))
VERSIONS = {
    "v1": ("training/routing.first-60.jsonl", 4),
    "v2": ("training/routing.train.jsonl", 3),
}
"""Training file and epochs of each version."""


@contextmanager
def served() -> Iterator[str]:
    """Start a server; gives its base URL, and stops it at the end."""
    command = [FINETUNE, "serve", "--port=0", "--json", "--quiet", f"--state={STATE / 'server'}"]
    with subprocess.Popen(
        [*command, f"--models={STATE / 'models'}"], cwd=DEMO, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["base_url"]
        finally:
            server.terminate()


def train(base_url: str, version: str) -> None:
    """Train a version, and keep its adapter and provenance."""
    file, epochs = VERSIONS[version]
    registry = f"--registry={STATE / 'trained.json'}"
    settings = ["--model=smollm2-135m", f"--suffix=routing-{version}", "--seed=1", f"--epochs={epochs}"]
    data = [file, "--validation=training/routing.validation.jsonl", "--eval=eval_sets/routing.jsonl"]
    where = [registry, f"--version={version}", f"--base-url={base_url}"]
    subprocess.run([FINETUNE, "train", "start", *data, *settings, *where, "--watch"], cwd=DEMO, check=True)
    show = [FINETUNE, "registry", "show", version, registry, "--json"]
    shown = subprocess.run(show, cwd=DEMO, check=True, capture_output=True, text=True).stdout
    keep(version, json.loads(shown))


def keep(version: str, entry: dict[str, Any]) -> None:
    """Copy the adapter to `models/`, and write its registry entry next to it."""
    adapter = DEMO / "models" / f"routing-{version}.gguf"
    adapter.parent.mkdir(exist_ok=True)
    shutil.copyfile(DEMO / STATE / "models" / f"{entry['model_id'].replace(':', '-')}.gguf", adapter)
    provenance = {"adapter_sha256": sha256(adapter.read_bytes()).hexdigest(), "entry": entry}
    adapter.with_suffix(".json").write_text(json.dumps(provenance, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    # The default would end this process without its server and the job.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with served() as base_url:
        for version in VERSIONS:
            train(base_url, version)
    print("The adapters are in demo/models; `make demo` evaluates them.")
