"""`registry sunset --ask`: an unreadable shutdown date is never taken for no shutdown date."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from scripted_server import Reply, ScriptedServer

from pytest_finetune.cli import main

TUNED = "tickets-v3"


@pytest.fixture
def sunset(tmp_path, monkeypatch):
    """Run `registry sunset --ask` for a candidate on a server that lists the given models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")

    def run(*models, status="candidate"):
        invoke = CliRunner().invoke
        added = ["registry", "add", "v1", "--model-id", TUNED, "--base-model", "base-1"]
        assert invoke(main, added).exit_code == 0
        if status == "deprecated":
            assert invoke(main, ["registry", "retire", "v1"]).exit_code == 0
        with ScriptedServer() as server:
            monkeypatch.setattr(server, "reply", lambda _: Reply(body={"object": "list", "data": list(models)}))
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            return invoke(main, ["registry", "sunset", "--ask"])

    return run


@pytest.mark.parametrize("model", [TUNED, "base-1"])
@pytest.mark.parametrize(
    "value",
    [
        1797292800,
        1797292800000,
        "2026-02-30",
        "2026-12-15T25:00",
        ["2026-12-15"],
        [],
        "1797292800",
        "2026/12/15",
        "20261215",
        "2026-12-155",
        "soon",
        True,
        0,
        {"at": "2026-12-15"},
    ],
)
def test_an_unreadable_date_is_a_warning_and_exit_code_1(sunset, model, value):
    result = sunset({"id": model, "shutdown_date": value})
    assert result.exit_code == 1
    assert f"warning: v1: the server's shutdown date of {model} cannot be read: " in result.stderr


@pytest.mark.parametrize("name", ["deprecation", "deprecation_date", "expiration_date"])
@pytest.mark.parametrize("value", ["2026-01-01", "2026-01-01T00:00:00+02:00", "soon", 1797292800])
def test_a_date_under_the_name_of_another_server_counts(sunset, name, value):
    assert sunset({"id": TUNED, name: value}).exit_code == 1


@pytest.mark.parametrize(("end", "status"), [(1_700_000_000, 1), (32_500_000_000, 0), (10**30, 1), ("soon", 1)])
def test_azures_date_of_requests_counts(sunset, end, status):
    result = sunset({"id": TUNED, "deprecation": {"fine_tune": 1_600_000_000, "inference": end}})
    assert result.exit_code == status


def test_a_second_line_of_a_model_does_not_hide_its_date(sunset):
    assert sunset({"id": TUNED, "shutdown_date": "2026-01-01"}, {"id": TUNED}).exit_code == 1


@pytest.mark.parametrize("value", [None, "", "2999-12-31", "2999-12-31T00:00:00Z"])
def test_no_date_or_a_distant_one_passes(sunset, value):
    result = sunset({"id": TUNED, "shutdown_date": value})
    assert (result.exit_code, result.stderr) == (0, "")


def test_unreadable_dates_of_unused_models_and_versions_are_ignored(sunset):
    unused = {"id": "other", "shutdown_date": "soon"}
    assert sunset(unused, {"id": TUNED, "shutdown_date": "soon"}, status="deprecated").exit_code == 0


def test_a_registry_that_was_edited_by_hand_does_not_pass_the_guards(sunset, tmp_path):
    assert sunset().exit_code == 0
    assert CliRunner().invoke(main, ["migrate", "inventory"]).exit_code == 0
    registry = tmp_path / "registry.json"
    registry.write_text(registry.read_text("utf-8").replace(TUNED, "another-model"), "utf-8")
    for command in (["registry", "sunset"], ["migrate", "inventory"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert "warning: registry.json does not agree with its history" in result.stderr
