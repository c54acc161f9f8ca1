"""Near duplicates are found without comparing all pairs, and only similar texts are reported."""

from __future__ import annotations

import random

import pytest
from planted_faults import nearly, sentence
from rapidfuzz.distance import Indel

from pytest_finetune.lifecycle.data.near_duplicates import TextIndex, clusters, normalized


def pairs_of(texts, **how):
    index = TextIndex(**how)
    numbers = [index.add(text) for text in texts]
    return numbers, list(index.near_pairs())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is my ORDER?", "where is my order"),
        ("wo  ist\tmeine Straße", "WO IST MEINE STRASSE!"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("我的订单，在哪里？", "我的订单 在哪里"),
    ],
)
def test_normalization_ignores_case_whitespace_punctuation_and_unicode_form(one, other):
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(("one", "other"), [("?", "!"), ("कि", "की"), ("a b", "ab"), ("resume", "résumé")])
def test_normalization_keeps_different_texts_apart(one, other):
    assert normalized(one) != normalized(other)


def test_equal_texts_share_a_number_and_form_no_pair():
    numbers, pairs = pairs_of(["Hello, world", sentence(1), "hello world!"])
    assert (numbers, pairs) == ([0, 1, 0], [])


def test_only_texts_differing_in_one_letter_are_near_duplicates():
    texts = [sentence(number) for number in range(300)]
    _, pairs = pairs_of([*texts, nearly(texts[7])])
    ((one, other, alike),) = pairs
    assert (one, other) == (7, 300)
    assert alike == pytest.approx(Indel.normalized_similarity(texts[7], nearly(texts[7])))


@pytest.mark.parametrize(
    "text", ["我想查询一下我的银行账户余额是多少", "привет мне нужна помощь с заказом", "short one?"]
)
def test_short_texts_and_other_scripts_are_compared(text):
    _, pairs = pairs_of([text, text[:-1] + "x", sentence(5)], similarity=0.85)
    assert [pair[:2] for pair in pairs] == [(0, 1)]


def test_nearly_all_pairs_of_a_full_comparison_are_found():
    draw = random.Random(3)
    texts = [sentence(number) for number in range(400)]
    for _ in range(200):
        words = texts[draw.randrange(400)].split()
        words[draw.randrange(len(words))] = draw.choice(words)[:3]
        texts.append(" ".join(words))
    index = TextIndex()
    for text in texts:
        index.add(text)
    found = {pair[:2] for pair in index.near_pairs()}
    plain = list(dict.fromkeys(map(normalized, texts)))
    due = {
        (one, other)
        for other in range(len(plain))
        for one in range(other)
        if Indel.normalized_similarity(plain[one], plain[other], score_cutoff=0.9) >= 0.9
    }
    assert found <= due
    assert len(due) > 100
    # Pairs within a cluster that is already joined need not be reported.
    roots_found, roots_due = (clusters(len(plain), [(*pair, 1.0) for pair in sorted(each)]) for each in (found, due))
    agreeing = sum(mine == theirs for mine, theirs in zip(roots_found, roots_due, strict=True))
    assert agreeing >= 0.98 * len(plain)


def test_thousands_of_similar_texts_give_few_pairs_and_one_cluster():
    template = sentence(1, 20)
    count = 3000
    index = TextIndex()
    for number in range(count):
        index.add(f"{template} {number}")
    pairs = list(index.near_pairs())
    assert len(pairs) < 20 * count
    assert set(clusters(count, pairs)) == {0}


def test_a_text_is_paired_with_one_text_per_side():
    template = sentence(1, 20)
    index = TextIndex()
    for number in range(50):
        index.add(f"{template} {number}", side=1)
    held_out = index.add(f"{template} held out", side=4)
    assert any(held_out in pair[:2] for pair in index.near_pairs())


def test_long_texts_with_only_a_common_beginning_are_not_near_duplicates():
    beginning = sentence(1, 300)
    _, pairs = pairs_of([beginning + sentence(2, 700), beginning + sentence(3, 700)])
    assert pairs == []


def test_long_texts_with_a_small_change_are_near_duplicates():
    text = sentence(1, 1000)
    _, pairs = pairs_of([text, nearly(text)])
    assert [pair[:2] for pair in pairs] == [(0, 1)]


@pytest.mark.parametrize("texts", [[], ["alone"], ["", " "], ["a", "b"]])
def test_very_short_and_single_texts_have_no_pairs(texts):
    assert pairs_of(texts)[1] == []


def test_a_cluster_is_identified_by_its_smallest_number():
    assert clusters(6, [(3, 5, 1.0), (1, 3, 0.9), (2, 4, 0.95)]) == [0, 1, 2, 1, 2, 1]
