"""Creating a target: key, address, identity, and the cost of the import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.model_ids import names_fixed_weights
from pytest_finetune.evaluation.targets import OpenAITarget

KEY = "sk-made-up-0123456789"


def test_openais_own_server_needs_a_key() -> None:
    with pytest.raises(TargetError, match="OPENAI_API_KEY"):
        OpenAITarget("gpt", environ={})
    assert OpenAITarget("gpt", environ={"OPENAI_API_KEY": KEY}).base_url == "https://api.openai.com/v1"


def test_the_argument_wins_over_the_environment() -> None:
    environ = {"OPENAI_BASE_URL": "http://a.example/v1/"}
    assert OpenAITarget("m", environ=environ).base_url == "http://a.example/v1"
    assert OpenAITarget("m", base_url="http://b.example/v1", environ=environ).base_url == "http://b.example/v1"


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"])
def test_a_value_that_no_header_can_carry_is_refused_by_name_and_not_shown(variable: str) -> None:
    with pytest.raises(TargetError, match=variable) as caught:
        OpenAITarget("m", base_url="https://a.example", environ={variable: "se\u200bcret\r\nX: y"})
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "fixed"),
    [
        ("ft:gpt-4.1-mini:acme::abc", True),
        ("gpt-4.1-mini-2025-04-14", True),
        ("gpt-4.1-mini", False),
        ("gpt-4.1-mini-latest", False),
        ("model-2025-13-01", False),
        ("2025-04-14", False),
        ("ft:", False),
        ("gpt-4o-2024-05-13-preview", False),
    ],
)
def test_only_ids_that_name_the_same_weights_for_ever_are_immutable(model: str, fixed: bool) -> None:  # noqa: FBT001
    assert names_fixed_weights(model) is fixed
    assert OpenAITarget(model, base_url="http://a.example", environ={}).immutable is fixed


def test_naming_the_targets_imports_nothing_heavy() -> None:
    heavy = "{'aiohttp', 'openai', 'httpx2'}"
    code = f"import sys, pytest_finetune.evaluation.targets; sys.exit(bool({heavy} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_eval_path_does_not_import_the_official_client() -> None:
    code = "import sys, pytest_finetune.evaluation.targets.openai; sys.exit('openai' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
