"""In a packed tree every token attends to the same tokens as in its own sequence, and no token is computed twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.server.trainer.tokens import TokenizedExample, TokenSequence

pytest.importorskip("numpy")

from pytest_finetune.server.trainer.packing import pack


@st.composite
def sequences(draw):
    tokens = draw(st.lists(st.integers(0, 3), min_size=2, max_size=9))
    return TokenSequence(tuple(tokens), draw(st.integers(1, len(tokens) - 1)))


examples = st.lists(
    st.lists(sequences(), min_size=1, max_size=3).map(lambda parts: TokenizedExample(tuple(parts))),
    min_size=1,
    max_size=8,
)


def learned(packs):
    """The context of each target: the tokens that its node attends to, in the order of their positions."""
    for each in packs:
        for node, target in zip(each.nodes, each.targets, strict=True):
            seen = sorted((each.positions[other], each.tokens[other]) for other in each.visible[node].nonzero()[0])
            assert [position for position, _ in seen] == list(range(len(seen)))
            yield tuple(int(token) for _, token in seen), int(target)


def wanted(batch):
    for example in batch:
        for sequence in example.sequences:
            for index in range(sequence.prompt, len(sequence.tokens)):
                yield sequence.tokens[:index], sequence.tokens[index]


@pytest.mark.slow
@given(examples, st.integers(0, 40))
def test_each_answer_is_trained_on_its_own_prompt_only(batch, most_more):
    assert sorted(learned(pack(batch, most_more))) == sorted(wanted(batch))


@given(examples)
def test_a_shared_prefix_is_computed_once_per_pack(batch):
    (only,) = pack(batch, most_more=10_000)
    beginnings = {s.tokens[:n] for e in batch for s in e.sequences for n in range(1, len(s.tokens))}
    assert len(only.tokens) == len(beginnings)


@given(examples, st.integers(0, 40))
def test_a_pack_exceeds_its_first_example_by_no_more_than_the_limit(batch, most_more):
    longest = max(sum(len(s.tokens) - 1 for s in e.sequences) for e in batch)
    assert all(len(each.tokens) <= longest + most_more for each in pack(batch, most_more))
