from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from registry_samples import NOON, after, change, entry_of, eventful, evidence_of_run

from pytest_finetune.lifecycle.registry import (
    Registry,
    RegistryError,
    Rollout,
    VersionStatus,
    apply,
    verify,
    version_for,
)
from pytest_finetune.lifecycle.registry.document import read_document, write_document


def status_of(registry):
    return {version: str(entry.status) for version, entry in registry.entries.items()}


def test_a_version_goes_from_candidate_over_canary_to_production():
    registry = after(("add", "v1"), change("canary", "v1", traffic=0.1), ("promote", "v1"))
    assert status_of(registry) == {"v1": "production"}
    assert [(event.before, event.after) for event in registry.history] == [
        (None, "candidate"),
        ("candidate", "canary"),
        ("canary", "production"),
    ]


def test_a_promotion_deprecates_the_old_production_in_the_same_event():
    registry = after(("add", "v1"), ("promote", "v1"), ("add", "v2"), ("promote", "v2"))
    assert status_of(registry) == {"v1": "deprecated", "v2": "production"}
    assert registry.seq == 4


def test_a_change_does_not_modify_its_input():
    before = after(("add", "v1"))
    after(("promote", "v1"), registry=before)
    assert status_of(before) == {"v1": "candidate"}
    assert before.seq == 1


def test_an_added_entry_is_a_candidate_without_traffic():
    registry = after(change("add", "v1", entry=entry_of(status=VersionStatus.PRODUCTION, traffic=1.0)))
    assert (registry.entries["v1"].status, registry.entries["v1"].traffic) == (VersionStatus.CANDIDATE, 0)


def test_a_canary_needs_a_share_of_users():
    with pytest.raises(RegistryError, match="v1: a canary needs a share of users"):
        after(("add", "v1"), ("canary", "v1"))


def test_an_entry_keeps_its_evidence_until_a_change_brings_new_evidence():
    first, second = evidence_of_run("run-1"), evidence_of_run("run-2")
    registry = after(("add", "v1"), change("canary", "v1", traffic=0.1, evidence=first))
    assert after(("promote", "v1"), registry=registry).entries["v1"].evidence == first
    assert after(change("promote", "v1", evidence=second), registry=registry).entries["v1"].evidence == second


def test_only_a_canary_has_traffic():
    canary = after(("add", "v1"), change("canary", "v1", traffic=0.1))
    assert canary.entries["v1"].traffic == 0.1
    assert after(("canary", "v1"), registry=canary).entries["v1"].traffic == 0.1
    for action in ("promote", "reject", "retire"):
        assert after((action, "v1"), registry=canary).entries["v1"].traffic == 0


def three_promotions():
    return after(*[(action, version) for version in ("v1", "v2", "v3") for action in ("add", "promote")])


def test_rollbacks_go_back_step_by_step_and_never_forward():
    once = after(("rollback",), registry=three_promotions())
    assert status_of(once) == {"v1": "deprecated", "v2": "production", "v3": "deprecated"}
    twice = after(("rollback",), registry=once)
    assert status_of(twice) == {"v1": "production", "v2": "deprecated", "v3": "deprecated"}
    with pytest.raises(RegistryError, match="no earlier production version"):
        after(("rollback",), registry=twice)


def test_a_rollback_can_name_any_version_that_was_in_production():
    back = after(("rollback", "v1"), registry=three_promotions())
    assert status_of(back)["v1"] == "production"
    forward = after(("rollback", "v3"), registry=back)
    assert status_of(forward)["v3"] == "production"
    assert status_of(after(("rollback",), registry=forward))["v1"] == "production"


def test_a_rollback_skips_rejected_and_retired_versions():
    for action in ("reject", "retire"):
        registry = after((action, "v2"), ("rollback",), registry=three_promotions())
        assert status_of(registry)["v1"] == "production"


def test_a_rollback_works_after_a_forced_retirement():
    registry = after(change("retire", "v3", forced=True, why="switched off"), registry=three_promotions())
    assert "production" not in status_of(registry).values()
    assert status_of(after(("rollback",), registry=registry))["v2"] == "production"


def test_a_fallback_is_recorded_and_changes_no_status():
    before = after(("add", "v1"), ("promote", "v1"))
    registry = after(change("fallback", "v1", why="9 of 20 failed"), registry=before)
    assert registry.entries == before.entries
    assert registry.history[-1].why == "9 of 20 failed"


@pytest.mark.parametrize(
    ("requested", "problem"),
    [
        (change("add", "v1"), "the version exists already"),
        (change("add", "a b"), "'a b' cannot name a version"),
        (change("add", "-v"), "'-v' cannot name a version"),
        (change("add", ""), "'' cannot name a version"),
        (change("add", "production"), "'production' is the name of a status"),
        (change("add", "v9", entry=None), "there is no entry to add"),
        (change("promot", "v4"), "there is no action 'promot'"),
        (change("promote", "v44"), "there is no version 'v44'"),
        (change("promote", "v1"), "is production, and promote requires candidate or canary"),
        (change("promote", "v2"), "is rejected"),
        (change("promote", "v3"), "is deprecated"),
        (change("promote", "v4", forced=True, why=" "), "a forced change needs a reason"),
        (change("reject", "v1"), "is production"),
        (change("reject", "v2"), "is rejected"),
        (change("retire", "v1"), "is production"),
        (change("retire", "v2", forced=True, why="-"), "is rejected"),
        (change("canary", "v4", traffic=1.5), "a canary needs a share of users from 0 to 1, not 1.5"),
        (change("canary", "v4", traffic=float("nan")), "a canary needs a share of users from 0 to 1, not nan"),
        (change("canary", "v5"), "v4 is already the canary"),
        (change("rollback", "v1"), "is already in production"),
        (change("rollback", "v3"), "was never in production"),
        (change("rollback", "v2"), "is rejected"),
        (change("rollback", "v44"), "there is no version 'v44'"),
        (change("rollback"), "there is no earlier production version"),
        (change("fallback", "v44"), "there is no version 'v44'"),
        (change("set_rollout"), "there is no rollout to set"),
        (change("set_rollout", rollout=Rollout(fallback="v44")), "there is no version 'v44'"),
        (change("set_rollout", rollout=Rollout(fallback="v2")), "v2 is rejected and cannot take over"),
    ],
)
def test_a_forbidden_change_is_refused_with_its_reason(requested, problem):
    registry = after(("add", "v5"), registry=eventful())
    with pytest.raises(RegistryError) as caught:
        apply(registry, requested, now=NOON)
    assert caught.value.problem.startswith(problem)


def test_a_misspelt_version_or_action_gets_a_suggestion():
    for requested, hint in [(change("promote", "v44"), "did you mean 'v4'?"), (change("promot", "v4"), "'promote'?")]:
        with pytest.raises(RegistryError) as caught:
            apply(eventful(), requested, now=NOON)
        assert caught.value.hint.endswith(hint)


def test_invalid_bytes_from_the_command_line_are_replaced():
    registry = after(change("add", "v1", who="m\udce9", why="\ud800"))
    assert (registry.history[0].who, registry.history[0].why) == ("m?", "?")


def test_a_spec_names_a_version_or_a_status():
    registry = after(("add", "v5"), ("add", "v0"), registry=eventful())
    found = {spec: version_for(registry, spec)[0] for spec in ("v3", "production", "canary", "candidate")}
    assert found == {"v3": "v3", "production": "v1", "canary": "v4", "candidate": "v0"}
    assert version_for(registry, "v3")[1] is registry.entries["v3"]


@pytest.mark.parametrize(
    ("spec", "problem", "hint"),
    [
        ("v11", "there is no version 'v11'", "did you mean 'v1'?"),
        ("prodution", "there is no version 'prodution'", "did you mean 'production'?"),
        (
            "candidate",
            "no version is candidate",
            "there is v1 (production), v2 (rejected), v3 (deprecated), v4 (canary)",
        ),
    ],
)
def test_an_unknown_spec_lists_what_exists(spec, problem, hint):
    with pytest.raises(RegistryError) as caught:
        version_for(eventful(), spec)
    assert (caught.value.problem, caught.value.where, caught.value.hint) == (problem, f"registry:{spec}", hint)


def test_the_error_says_that_a_registry_is_empty():
    for spec, hint in [("v1", "the registry is empty: add a version first"), ("canary", "there is no version at all")]:
        with pytest.raises(RegistryError) as caught:
            version_for(Registry(), spec)
        assert caught.value.hint == hint


VERSIONS = st.sampled_from(["v1", "v2", "v3", "v4", "v5"])
WHY = st.sampled_from(["", "because"])


class AnyChanges(RuleBasedStateMachine):
    """
    Every operation in any order, beside a model of the rules that is written down a second time, as plain sets.

    What the model allows must happen, what it does not allow must be refused and leave all as it was.
    """

    @initialize()
    def begin(self):
        self.registry = Registry()
        self.at: dict[str, str] = {}
        self.line: list[str] = []
        self.ever_in_production: set[str] = set()

    def attempt(self, allowed, requested):
        """Apply a change; fails if its outcome differs from the model's."""
        try:
            changed = apply(self.registry, requested, now=NOON + timedelta(seconds=self.registry.seq))
        except RegistryError:
            assert not allowed, requested
            return False
        assert allowed, requested
        assert changed.seq == self.registry.seq + 1
        assert changed.history[:-1] == self.registry.history
        self.registry = changed
        return True

    def enthrone(self, version):
        self.ever_in_production.add(version)
        for other, status in self.at.items():
            if status == "production":
                self.at[other] = "deprecated"
        self.at[version] = "production"
        self.ever_in_production.add(version)
        self.line = [*self.line[: self.line.index(version)], version] if version in self.line else [*self.line, version]

    def drop(self, version, status):
        self.at[version] = status
        self.line = [other for other in self.line if other != version]

    @rule(version=VERSIONS)
    def add(self, version):
        if self.attempt(version not in self.at, change("add", version)):
            self.at[version] = "candidate"

    @rule(version=VERSIONS, traffic=st.sampled_from([None, -0.1, 0.0, 0.3, 1.0, 1.1]))
    def canary(self, version, traffic):
        stands = self.at.get(version)
        share = stands == "canary" if traffic is None else 0 <= traffic <= 1
        alone = not any(status == "canary" for other, status in self.at.items() if other != version)
        allowed = stands in {"candidate", "canary"} and share and alone
        if self.attempt(allowed, change("canary", version, traffic=traffic)):
            self.at[version] = "canary"

    @rule(version=VERSIONS, forced=st.booleans(), why=WHY, evidence=st.sampled_from([None, evidence_of_run()]))
    def promote(self, version, forced, why, evidence):
        allowed = self.at.get(version) in {"candidate", "canary"} and (bool(why) or not forced)
        if self.attempt(allowed, change("promote", version, forced=forced, why=why, evidence=evidence)):
            self.enthrone(version)

    @rule(version=VERSIONS)
    def reject(self, version):
        allowed = self.at.get(version) in {"candidate", "canary", "deprecated"}
        if self.attempt(allowed, change("reject", version)):
            self.drop(version, "rejected")

    @rule(version=VERSIONS, forced=st.booleans())
    def retire(self, version, forced):
        allowed = self.at.get(version) in {"candidate", "canary", "deprecated", *(["production"] if forced else [])}
        if self.attempt(allowed, change("retire", version, forced=forced, why="old")):
            self.drop(version, "deprecated")

    @rule()
    def roll_back(self):
        earlier = [version for version in self.line if self.at[version] != "production"]
        if self.attempt(bool(earlier), change("rollback")):
            self.enthrone(earlier[-1])

    @rule(version=VERSIONS)
    def roll_back_to(self, version):
        allowed = version in self.ever_in_production and self.at[version] == "deprecated"
        if self.attempt(allowed, change("rollback", version)):
            self.enthrone(version)

    @rule(version=VERSIONS | st.just(""), budget=st.floats(0, 1))
    def set_rollout(self, version, budget):
        allowed = not version or (version in self.ever_in_production and self.at[version] != "rejected")
        self.attempt(allowed, change("set_rollout", rollout=Rollout(fallback=version, error_budget=budget)))

    @rule(version=VERSIONS)
    def fall_back(self, version):
        self.attempt(version in self.at, change("fallback", version, who="router"))

    @invariant()
    def entries_stand_where_the_model_says(self):
        assert status_of(self.registry) == self.at

    @invariant()
    def at_most_one_version_is_in_production_and_one_is_the_canary(self):
        assert list(self.at.values()).count("production") <= 1
        assert list(self.at.values()).count("canary") <= 1

    @invariant()
    def the_history_explains_everything(self):
        assert verify(self.registry) == []

    @invariant()
    def writing_and_reading_change_nothing(self):
        again = read_document(write_document(self.registry), "registry.json")
        assert again == self.registry
        assert verify(again) == []


AnyChanges.TestCase.pytestmark = [pytest.mark.slow]
AnyChanges.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestAnyChanges = AnyChanges.TestCase


@pytest.mark.parametrize(
    ("requested", "problem", "where", "hint"),
    [
        (change("add", "v1"), "the version exists already", "v1", "versions are immutable; add another one"),
        (change("promote", "v1"), "is production, and promote requires candidate or canary", "v1", "nothing to do"),
        (
            change("reject", "v1"),
            "is production, and reject requires candidate, canary or deprecated",
            "v1",
            "promote another version or roll back",
        ),
        (
            change("promote", "v3"),
            "is deprecated, and promote requires candidate or canary",
            "v3",
            "use rollback for a version that was in production; add any other one as a new version",
        ),
        (change("canary", "v3"), "is deprecated, and canary requires candidate or canary", "v3", ""),
        (
            change("retire", "v2"),
            "is rejected, and retire requires candidate, canary or deprecated",
            "v2",
            "a rejection is permanent; add the model as a new version",
        ),
        (
            change("rollback", "v2"),
            "is rejected, and rollback requires deprecated",
            "v2",
            "a rejection is permanent; add the model as a new version",
        ),
        (
            change("add", "v9", entry=entry_of(model_id="registry:v1")),
            "'registry:v1' is not a model id",
            "v9",
            "give the id that the server knows, such as ft:…, or local:NAME",
        ),
        (
            change("set_rollout", rollout=Rollout(fallback="v4")),
            "v4 was never in production and cannot take over",
            "rollout.fallback",
            "name a version that has passed its gates",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_where_and_what_to_do(requested, problem, where, hint):
    registry = after(("add", "v5"), registry=eventful())
    with pytest.raises(RegistryError) as caught:
        apply(registry, requested, now=NOON)
    assert (caught.value.problem, caught.value.where, caught.value.hint) == (problem, where, hint)


def test_a_canary_without_a_share_is_told_of_an_example():
    with pytest.raises(RegistryError) as caught:
        after(("add", "v1"), ("canary", "v1"))
    assert (caught.value.problem, caught.value.hint) == ("a canary needs a share of users from 0 to 1", "such as 0.05")


@pytest.mark.parametrize("model_id", ["", "  ", "a\nb", "registry:production", "replay:last"])
def test_what_cannot_be_a_model_id_is_refused(model_id):
    with pytest.raises(RegistryError, match="is not a model id"):
        after(change("add", "v1", entry=entry_of(model_id=model_id)))


def test_the_versions_that_exist_are_listed_in_order():
    with pytest.raises(RegistryError) as caught:
        version_for(after(("add", "v2"), ("add", "v1")), "production")
    assert caught.value.hint == "there is v1 (candidate), v2 (candidate)"


def test_all_users_and_none_are_shares():
    for traffic in (0, 1):
        assert after(("add", "v1"), change("canary", "v1", traffic=traffic)).entries["v1"].traffic == traffic


def test_an_event_of_the_rollout_names_no_version():
    registry = after(("add", "v1"), change("set_rollout", "v1", rollout=Rollout(salt="a")))
    assert registry.history[-1].version == ""
    assert verify(registry) == []


def test_a_change_of_an_empty_registry_says_so():
    with pytest.raises(RegistryError) as caught:
        after(("promote", "v1"))
    assert caught.value.hint == "the registry is empty: add a version first"


def test_a_forced_retirement_from_production_is_sound():
    assert verify(after(("add", "v1"), ("promote", "v1"), change("retire", "v1", forced=True, why="gone"))) == []
