"""An index with its texts in a file finds the same clusters as one in memory."""

from __future__ import annotations

import random

import pytest

from pytest_finetune.lifecycle.data.equal_texts import EqualTexts
from pytest_finetune.lifecycle.data.near_duplicates import TextIndex, clusters
from pytest_finetune.lifecycle.data.spilled_texts import SpilledIndex, SpilledTexts


def texts(seed):
    """Texts of which some are nearly the same, of all lengths, in several scripts, in no order."""
    draw = random.Random(seed)
    letters = draw.choice(["abcdefghijklmnop", "абвгдежзик", "的一是在不了有和人这"])
    whole = ["".join(draw.choices(letters + " ", k=draw.randint(1, 1500))) for _ in range(40)]
    near = [text + draw.choice(letters) for text in whole if len(text) > 30]
    equal = [text.upper() + " !" for text in whole[::4]]
    found = [*whole, *near, *equal, "", "\ud800", "   "]
    draw.shuffle(found)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_index_on_disk_gives_the_same_clusters(seed):
    found = []
    for index in (TextIndex(), SpilledIndex()):
        numbers = [index.add(text) for text in texts(seed)]
        joined = clusters(len(index), index.near_pairs())
        found.append([joined[number] for number in numbers])
    assert found[0] == found[1]
    assert len(set(found[0])) < len(texts(seed)) // 2


def test_spilled_texts_round_trip():
    kept = SpilledTexts()
    for text in texts(1):
        kept.append(text)
    assert [kept[number] for number in range(len(kept))] == texts(1)


def test_equal_texts_share_a_number():
    index = EqualTexts()
    assert [index.add(text) for text in ("Where is it?", "where  is it", "Where is he?", "WHERE IS IT")] == [0, 0, 1, 0]
    assert len(index) == 2
    assert index.near_pairs() == ()
