"""The demo's adapters are those made from its training files, and its script is valid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[1] / "demo"


def digest(path):
    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_adapter_is_shipped_with_its_provenance(version):
    provenance = json.loads((DEMO / f"models/routing-{version}.json").read_text("utf-8"))
    entry = provenance["entry"]
    assert provenance["adapter_sha256"] == digest(DEMO / f"models/routing-{version}.gguf")
    for file in (entry["training_file"], entry["validation_file"]):
        assert file["sha256"] == digest(DEMO / file["path"])
    assert (entry["version"], entry["base_model"], entry["status"]) == (version, "smollm2-135m", "candidate")
    assert entry["hyperparameters"]["n_epochs"] == {"v1": 4, "v2": 3}[version]


def test_the_story_is_valid_bash():
    subprocess.run(["bash", "-n", DEMO / "story.sh"], check=True)


COMMAND = """#!{python}
import json, os, sys, time
open({pids!r}, "a").write(f"{{os.getpid()}}\\n")
if "serve" in sys.argv:
    print(json.dumps({{"base_url": "http://localhost:1"}}), flush=True)
time.sleep(300)
"""


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_a_stopped_training_leaves_no_process(tmp_path):
    pids, command, program = (tmp_path / name for name in ("pids", "pytest-finetune", "train.py"))
    command.write_text(COMMAND.format(python=sys.executable, pids=str(pids)))
    command.chmod(0o755)
    text = (DEMO / "train.py").read_text("utf-8")
    found = 'FINETUNE = str(Path(sys.executable).with_name("pytest-finetune"))'
    assert found in text
    program.write_text(text.replace(found, f"FINETUNE = {str(command)!r}"), "utf-8")
    running = subprocess.Popen([sys.executable, program], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not pids.exists() or len(pids.read_text().split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 128 + signal.SIGTERM
    assert not any(map(is_running, map(int, pids.read_text().split())))
