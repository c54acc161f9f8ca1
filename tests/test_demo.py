"""The demo's adapters are those made from its training files, and its script is valid."""

from __future__ import annotations

import json
import subprocess
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
