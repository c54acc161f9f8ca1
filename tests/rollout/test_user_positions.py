from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.lifecycle.rollout.routing import UserPositions

shares = st.floats(0, 1)


@given(st.text(), st.text())
def test_a_position_is_in_the_unit_interval_and_constant(salt, user):
    position = UserPositions(salt).of(user)
    assert 0 <= position < 1
    assert UserPositions(salt).of(user) == position


@given(st.text(), shares, shares)
def test_a_larger_share_keeps_its_users(user, one, other):
    small, large = sorted((one, other))
    position = UserPositions("salt").of(user)
    if position < small:
        assert position < large


def test_positions_are_the_same_on_every_machine():
    """Other positions would reassign the users of every running rollout."""
    assert UserPositions("pytest-finetune").of("user-1") == 0.9464138002835425
    assert UserPositions("other").of("user-1") == 0.6259461558154522
    assert UserPositions("pytest-finetune").of("用户") == 0.9321997518561422


def test_a_number_and_its_text_are_the_same_id():
    assert UserPositions("salt").of(7) == UserPositions("salt").of("7")


def test_a_lone_surrogate_is_a_valid_id():
    assert 0 <= UserPositions("salt \ud83d").of("\ud83d") < 1


@pytest.mark.parametrize("name", ["user-{}", "{}", "{:08d}@example.org"])
def test_a_share_is_exact_to_within_a_percent_over_100_000_ids(name):
    salted = UserPositions("pytest-finetune")
    positions = [salted.of(name.format(number)) for number in range(100_000)]
    for share in (0.01, 0.1, 0.2, 0.5):
        served = sum(position < share for position in positions)
        assert served / 100_000 == pytest.approx(share, abs=0.01), share


def test_another_salt_assigns_users_independently():
    one, other = UserPositions("one"), UserPositions("other")
    both = sum(one.of(n) < 0.1 and other.of(n) < 0.1 for n in range(100_000))
    assert both / 100_000 == pytest.approx(0.01, abs=0.003)
