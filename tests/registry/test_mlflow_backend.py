from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from registry_samples import NOON, change, entry_of

from pytest_finetune.lifecycle.registry import Registry, RegistryError, open_registry, verify, version_for
from pytest_finetune.lifecycle.registry.mlflow_backend import MlflowBackend
from pytest_finetune.lifecycle.registry.mlflow_log import PREFIX, step_between, step_tags
from pytest_finetune.lifecycle.registry.mlflow_server import MlflowServer, parse_place
from pytest_finetune.lifecycle.registry.states import apply


@pytest.fixture
def backend(mlflow_location):
    """v1 in production, v2 a candidate."""
    backend = open_registry(mlflow_location)
    for requested in (change("add", "v1"), change("promote", "v1"), change("add", "v2")):
        backend.update(requested, now=NOON)
    return backend


@pytest.fixture
def seen(backend):
    """The registered model as MLflow's own client shows it."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=parse_place(backend.location.removeprefix("mlflow:")).uri)


@pytest.fixture
def name(backend):
    return backend.location.partition("#")[2]


def versions(client, name):
    found = client.search_model_versions(f"name = '{name}'", order_by=["version_number ASC"])
    return {version.tags[f"{PREFIX}version"]: version for version in found}


def aliases(client, name):
    tags = {version.version: tag for tag, version in versions(client, name).items()}
    return {alias: tags[number] for alias, number in client.get_registered_model(name).aliases.items()}


def refusal(call, *arguments, **named):
    with pytest.raises(RegistryError) as caught:
        call(*arguments, **named)
    return caught.value


@pytest.mark.parametrize(
    ("address", "location"),
    [
        ("http://127.0.0.1:5000", "mlflow:http://127.0.0.1:5000#pytest-finetune"),
        ("http://127.0.0.1:5000/", "mlflow:http://127.0.0.1:5000#pytest-finetune"),
        ("https://mlflow.example.com/team/#tickets", "mlflow:https://mlflow.example.com/team#tickets"),
        ("http://[::1]:5000#tickets.v2", "mlflow:http://[::1]:5000#tickets.v2"),
    ],
)
def test_an_address_has_a_server_and_a_name(address, location):
    assert str(parse_place(address)) == location


@pytest.mark.parametrize(
    "address", ["", "sqlite:///mlflow.db", "127.0.0.1:5000", "http://", "http://host:port", "http://[::1", "mlruns"]
)
def test_an_invalid_address_is_refused_with_an_example(address):
    error = refusal(parse_place, address)
    assert error.problem == "is not the address of an MLflow server"
    assert "mlflow:http://127.0.0.1:5000#NAME" in error.hint


@pytest.mark.parametrize("name", ["a/b", "a b", "a'b", "é", "-a", "a" * 300])
def test_a_name_that_mlflow_could_not_search_for_is_refused(name):
    assert "cannot name a registered model" in refusal(parse_place, f"http://127.0.0.1:5000#{name}").problem


@pytest.mark.parametrize(
    "address", ["http://me:hunter2@host:5000", "http://host:5000?token=hunter2", "me:hunter2@host"]
)
def test_credentials_in_an_address_are_refused_and_never_shown(address):
    error = refusal(MlflowBackend, address)
    assert "hunter2" not in repr(error)
    assert "MLFLOW_TRACKING_TOKEN" in error.hint


def test_without_mlflow_the_error_names_the_package_to_install(monkeypatch):
    monkeypatch.setattr("pytest_finetune.lifecycle.registry.mlflow_server.find_spec", lambda name: None)
    error = refusal(open_registry, "mlflow:http://127.0.0.1:5000")
    assert (error.problem, error.hint) == ("mlflow is not installed", "pip install 'pytest-finetune[mlflow]'")


@pytest.mark.slow
def test_a_registry_file_does_not_import_mlflow(tmp_path):
    script = (
        "import sys; from pytest_finetune.lifecycle.registry import open_registry; open_registry('r.json').read(); "
    )
    script += "sys.exit('mlflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, timeout=60, check=True)


@pytest.mark.slow
def test_without_a_server_the_error_says_how_to_start_one():
    pytest.importorskip("mlflow")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = refusal(open_registry(f"mlflow:http://127.0.0.1:{unused.getsockname()[1]}").read)
    assert error.problem.startswith("no MLflow server responds")
    assert "mlflow server" in error.hint


@pytest.mark.slow
def test_a_server_that_is_not_mlflow_is_an_error(server):
    pytest.importorskip("mlflow")
    error = refusal(open_registry(f"mlflow:{server.url.removesuffix('/v1')}").read)
    assert error.problem.startswith("MLflow error: ")


def test_each_version_is_a_model_version_with_its_entry(backend, seen, name):
    registry = backend.update(change("canary", "v2", traffic=0.25), now=NOON)
    shown = versions(seen, name)
    assert list(shown) == ["v1", "v2"]
    tags = shown["v2"].tags
    assert (tags[f"{PREFIX}status"], tags[f"{PREFIX}traffic"]) == ("canary", "0.25")
    assert tags[f"{PREFIX}model_id"] == "ft:gpt-4o-mini:acme::v2"
    assert tags[f"{PREFIX}entry_sha256"] == registry.history[-1].entry_sha256
    assert registry.entries["v2"].model_validate_json(tags[f"{PREFIX}entry.000"]) == registry.entries["v2"]


def test_aliases_follow_the_statuses(backend, seen, name):
    assert aliases(seen, name) == {"production": "v1", "candidate": "v2"}
    backend.update(change("canary", "v2", traffic=0.1))
    assert aliases(seen, name) == {"production": "v1", "canary": "v2"}
    backend.update(change("add", "v3"))
    backend.update(change("promote", "v2"))
    assert aliases(seen, name) == {"production": "v2", "candidate": "v3"}
    backend.update(change("rollback"))
    backend.update(change("reject", "v3"))
    assert aliases(seen, name) == {"production": "v1"}
    assert backend.verify() == []


def test_aliases_that_users_made_are_kept(backend, seen, name):
    seen.set_registered_model_alias(name, "blessed", "1")
    backend.update(change("promote", "v2"))
    assert aliases(seen, name) == {"production": "v2", "blessed": "v1"}


def test_a_registered_model_that_is_not_a_registry_is_not_touched(backend, seen, name):
    seen.create_registered_model(f"{name}-theirs", {"team": "vision"})
    error = refusal(open_registry(f"{backend.location}-theirs").update, change("add", "v1"))
    assert (error.problem, error.hint) == (
        f"the registered model {name}-theirs is not a registry of pytest-finetune",
        "use another name: mlflow:URI#NAME",
    )
    assert seen.get_registered_model(f"{name}-theirs").tags == {"team": "vision"}


def test_reading_again_fetches_only_new_events(backend, monkeypatch):
    reader = open_registry(backend.location)
    assert reader.read().seq == 3
    fetched, records = [], reader._server.records

    def watched(*arguments, **named):
        found = records(*arguments, **named)
        fetched.append(len(found))
        return found

    monkeypatch.setattr(reader._server, "records", watched)
    reader.read()
    backend.update(change("promote", "v2"))
    assert version_for(reader.read(), "production")[0] == "v2"
    assert fetched == [0, 1]


def test_an_event_that_the_network_sent_twice_counts_once(backend, monkeypatch):
    append = backend._server.append

    def twice(*arguments):
        append(*arguments)
        return append(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(backend._server, "append", twice)
        assert backend.update(change("promote", "v2")).seq == 4
    assert (backend.update(change("rollback")).seq, backend.verify()) == (5, [])


def test_the_record_of_a_writer_that_lost_and_died_is_ignored(backend):
    before = backend.read()
    backend.update(change("promote", "v2"))
    late = apply(before, change("reject", "v2"), now=NOON)
    tags = step_tags(step_between(before, late), "dead")
    backend._server.append(backend._history, "event/4", tags)
    registry = open_registry(backend.location).read()
    assert (registry.seq, version_for(registry, "production")[0]) == (4, "v2")
    assert backend.verify() == []


def test_a_writer_that_lost_a_race_decides_again(backend, monkeypatch):
    """Between its read and its write another writer promotes v2, so that nothing is left to promote."""
    other, append = open_registry(backend.location), backend._server.append

    def overtaken(*arguments):
        monkeypatch.undo()
        other.update(change("promote", "v2"))
        return append(*arguments)

    monkeypatch.setattr(backend._server, "append", overtaken)
    assert "is production" in refusal(backend.update, change("promote", "v2")).problem
    assert (backend.read().seq, backend.verify()) == (4, [])


def test_a_writer_that_died_before_synchronizing_has_made_its_change(backend, seen, name, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(backend, "_synchronize", lambda event: None)
        backend.update(change("promote", "v2"))
    reader = open_registry(backend.location)
    assert version_for(reader.read(), "production")[0] == "v2"
    assert aliases(seen, name) == {"production": "v1", "candidate": "v2"}
    assert f"{name}: the alias production points to model version 1 instead of model version 2" in reader.verify()
    reader.update(change("add", "v3"))
    assert aliases(seen, name) == {"production": "v2", "candidate": "v3"}
    assert reader.verify() == []


def test_a_writer_leaves_synchronizing_to_the_writer_of_a_later_event(backend, seen, name, monkeypatch):
    """If all of several writers did it, they would undo each other's fixes, on a slow server for minutes."""
    other, fixes = open_registry(backend.location), backend._fixes
    monkeypatch.setattr(other, "_synchronize", lambda event: None)

    def overtaken():
        monkeypatch.setattr(backend, "_fixes", fixes)
        other.update(change("add", "v3"))
        return fixes()

    monkeypatch.setattr(backend, "_fixes", overtaken)
    assert backend.update(change("promote", "v2")).seq == 4
    assert aliases(seen, name) == {"production": "v1", "candidate": "v2"}
    backend.synchronize()
    assert (aliases(seen, name), backend.verify()) == ({"production": "v2", "candidate": "v3"}, [])


def test_a_change_whose_aliases_cannot_be_set_is_reported_as_recorded(backend, monkeypatch):
    def refused(*arguments):
        raise RegistryError("MLflow error: no", backend.location)

    monkeypatch.setattr(backend._server, "alias", refused)
    error = refusal(backend.update, change("promote", "v2"))
    assert error.problem.startswith("event 4 was recorded, but ")
    assert open_registry(backend.location).read().seq == 4


def test_a_change_after_which_the_server_is_gone_is_reported_as_unknown(backend, monkeypatch):
    def gone(*arguments, **named):
        raise RegistryError("no MLflow server responds", backend.location)

    append = backend._server.append

    def last(*arguments):
        number = append(*arguments)
        monkeypatch.setattr(backend._server, "check_reachable", gone)
        return number

    monkeypatch.setattr(backend._server, "append", last)
    error = refusal(backend.update, change("promote", "v2"))
    assert error.problem == "it is unknown whether event 4 was recorded: no MLflow server responds"


def test_a_change_that_the_server_made_and_failed_to_confirm_is_found_in_the_history(backend, monkeypatch):
    append = backend._server.append

    def unconfirmed(model, *arguments):
        number = append(model, *arguments)
        if model.endswith(".history"):
            raise RegistryError("MLflow error: BAD_REQUEST", backend.location)
        return number

    monkeypatch.setattr(backend._server, "append", unconfirmed)
    assert backend.update(change("promote", "v2")).seq == 4
    assert (open_registry(backend.location).read().seq, backend.verify()) == (4, [])


def test_a_change_that_never_arrived_is_reported_as_unknown(backend, monkeypatch):
    def lost(*arguments):
        raise RegistryError("timed out", backend.location)

    monkeypatch.setattr(backend._server, "append", lost)
    error = refusal(backend.update, change("promote", "v2"))
    assert error.problem == "it is unknown whether event 4 was recorded: timed out"
    assert backend.read().seq == 3


def test_manual_changes_in_mlflow_are_reported_and_fixed(backend, seen, name):
    seen.set_registered_model_alias(name, "production", "2")
    seen.set_model_version_tag(name, "2", f"{PREFIX}status", "production")
    seen.create_model_version(name, "pytest-finetune:/v1", tags={f"{PREFIX}version": "v1"})
    assert backend.verify() == [
        f"{name}: model version 3 is a duplicate of v1",
        f"{name}: model version 2: its tag {PREFIX}status differs from the history of v2",
        f"{name}: the alias production points to model version 2 instead of model version 1",
    ]
    backend.synchronize()
    assert (backend.verify(), aliases(seen, name)["production"]) == ([], "v1")


def test_synchronizing_gives_up_while_others_undo_it(backend, seen, name, monkeypatch):
    monkeypatch.setattr("pytest_finetune.lifecycle.registry.mlflow_backend.ROUNDS", 3)
    monkeypatch.setattr(backend._server, "alias", lambda *arguments: None)
    seen.set_registered_model_alias(name, "production", "2")
    assert refusal(backend.synchronize).problem == f"{name} keeps changing"


def test_an_unknown_model_version_is_reported_and_kept(backend, seen, name):
    seen.create_model_version(name, "pytest-finetune:/v9", tags={f"{PREFIX}version": "v9"})
    backend.synchronize()
    assert backend.verify() == [f"{name}: model version 3 is v9, which is not in the history"]


@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_a_history_without_one_of_its_events_is_not_read(backend, seen, name, number):
    seen.delete_model_version(f"{name}.history", number)
    for call in (open_registry(backend.location).read, backend.verify):
        error = refusal(call)
        assert "does not follow the history" in error.problem or "lacks event" in error.problem
        assert error.hint.startswith("a version was deleted or changed in MLflow")


def test_a_record_that_lost_a_race_cannot_replace_a_deleted_winner(backend, seen, name):
    before = backend.read()
    backend.update(change("promote", "v2"))
    late = apply(before, change("reject", "v2"), now=NOON)
    backend._server.append(backend._history, "event/4", step_tags(step_between(before, late), "dead"))
    backend.update(change("add", "v3"))
    seen.delete_model_version(f"{name}.history", "4")
    error = refusal(open_registry(backend.location).read)
    assert error.problem == "event 5 does not follow the history, which has 4 events before it"


def test_a_deleted_history_is_not_an_empty_one(backend, seen, name):
    seen.delete_registered_model(f"{name}.history")
    error = refusal(open_registry(backend.location).update, change("add", "v1"))
    assert error.problem.startswith("the history ends at event 0, and lacks event 3, which ")


def test_an_entry_changed_in_the_history_accepts_only_a_forced_change(backend, seen, name):
    tags = seen.get_model_version(f"{name}.history", "3").tags
    forged = tags[f"{PREFIX}step.000"].replace("acme::v2", "acme::v9")
    seen.set_model_version_tag(f"{name}.history", "3", f"{PREFIX}step.000", forged)
    fresh = open_registry(backend.location)
    assert "entries.v2: was changed outside the history" in fresh.verify()[0]
    assert refusal(fresh.update, change("promote", "v2")).problem.startswith("does not agree with its history")
    registry = fresh.update(change("promote", "v2", forced=True, why="the id was mistyped"))
    assert verify(registry) == []


def test_an_event_changed_in_the_history_is_found(backend, seen, name):
    tags = seen.get_model_version(f"{name}.history", "2").tags
    forged = tags[f"{PREFIX}step.000"].replace("tester", "nobody")
    seen.set_model_version_tag(f"{name}.history", "2", f"{PREFIX}step.000", forged)
    assert backend.verify() == ["history[1]: was changed after it was written: its hash does not match"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"format":1', '"format":2', "has format 2, and this version reads up to 1"),
        ('"who"', '"hwo"', "is not a registry event: event."),
        ("{", "", "is not a registry event: Invalid JSON"),
    ],
)
def test_an_unreadable_event_is_reported_with_its_number(backend, seen, name, old, new, problem):
    text = seen.get_model_version(f"{name}.history", "3").tags[f"{PREFIX}step.000"]
    seen.set_model_version_tag(f"{name}.history", "3", f"{PREFIX}step.000", text.replace(old, new, 1))
    error = refusal(open_registry(backend.location).read)
    assert error.problem.startswith(problem)
    assert error.where == f"{backend.location}, {name}.history, version 3"


class Killed(BaseException):
    """Ends a writer like a kill: none of our code catches it."""


def killed_before(request, backend, requested, monkeypatch):
    """Kill the writer before this request; returns True if the change needed fewer requests."""
    count, client = 0, MlflowServer._client

    def counted(server):
        nonlocal count
        count += 1
        if count == request:
            raise Killed
        return client(server)

    with monkeypatch.context() as patched:
        patched.setattr(MlflowServer, "_client", counted)
        try:
            backend.update(requested)
        except Killed:
            return False
    return True


def test_a_writer_killed_between_any_two_requests_has_made_its_change_or_not(backend, monkeypatch):
    request, kept = 0, []
    while True:
        request += 1
        before = open_registry(backend.location).read()
        done = killed_before(request, open_registry(backend.location), change("add", f"n{request}"), monkeypatch)
        registry = open_registry(backend.location).read()
        kept.append(registry.seq - before.seq)
        assert verify(registry) == []
        if done:
            break
    assert sorted(kept) == kept
    assert (set(kept), kept.count(0) >= 2, kept.count(1) >= 5) == ({0, 1}, True, True)
    assert backend.verify() == []


def test_an_empty_registry_is_sound(mlflow_location):
    backend = open_registry(mlflow_location)
    backend.synchronize()
    assert (backend.verify(), backend.read()) == ([], Registry())


def test_the_tags_of_a_long_entry_are_complete_and_extra_ones_are_removed(backend, seen, name):
    long = entry_of("v3", hyperparameters={"note": "x" * 130_000})
    backend.update(change("add", "v3", entry=long), now=NOON)
    tags = versions(seen, name)["v3"].tags
    assert sorted(key for key in tags if key.startswith(f"{PREFIX}entry.")) == [
        f"{PREFIX}entry.{index:03}" for index in range(3)
    ]
    seen.set_model_version_tag(name, "3", f"{PREFIX}entry.003", "rest")
    backend.synchronize()
    assert f"{PREFIX}entry.003" not in versions(seen, name)["v3"].tags
