"""The side of a row depends on the row, its cluster and the seed, not on other rows or their order."""

from __future__ import annotations

import json
import random

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data.split import SIDES, SplitOptions, Splitter
from pytest_finetune.lifecycle.data.split_files import split_file
from pytest_finetune.reports.split import split_json, split_lines, split_warnings
from pytest_finetune.verdicts.shapes import read_row

LABELS = ("bug", "feature", "question")


def chat(prompt, answer="bug", **more):
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def split_of(rows, options):
    splitter = Splitter(options)
    for row in rows:
        splitter.add(row, read_row(row))
    return splitter.split()


def question(number):
    """Questions without any similarity: random letters."""
    draw = random.Random(number)
    return " ".join("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(8))


def sides(rows, validation=0.3, **options):
    """The side of each row, by its question."""
    split = split_of(rows, SplitOptions(validation, **options))
    return {row["messages"][0]["content"]: SIDES[side] for row, side in zip(rows, split.sides, strict=True)}, split


NUMBERS = st.lists(st.integers(0, 10_000), min_size=1, max_size=25, unique=True)
SEEDS = st.text(st.characters(codec="utf-8"), max_size=5)


@examples(40)
@given(numbers=NUMBERS, seed=SEEDS, stratify=st.booleans())
def test_every_row_is_assigned_to_exactly_one_side(numbers, seed, stratify):
    rows = [chat(question(number), LABELS[number % 3]) for number in numbers]
    found, split = sides(rows, test=0.2, seed=seed, stratify=stratify)
    assert len(found) == len(split.sides) == len(rows) == sum(split.rows.values())
    assert {side: list(found.values()).count(side) for side in SIDES} == split.rows


@examples(40)
@given(numbers=NUMBERS, more=NUMBERS, seed=SEEDS, order=st.randoms(use_true_random=False))
def test_adding_rows_does_not_move_existing_ones(numbers, more, seed, order):
    rows = [chat(question(number)) for number in numbers]
    before, _ = sides(rows, test=0.2, seed=seed)
    more_rows = rows + [chat(question(number)) for number in more if number not in numbers]
    order.shuffle(more_rows)
    after, _ = sides(more_rows, test=0.2, seed=seed)
    assert {prompt: after[prompt] for prompt in before} == before


@examples(25)
@given(numbers=NUMBERS, seed=SEEDS, stratify=st.booleans(), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(numbers, seed, stratify, order):
    rows = [chat(question(number), LABELS[number % 3], group=str(number % 7)) for number in numbers]
    rows += [chat(question(number) + " pls", LABELS[0]) for number in numbers[::3]]
    before, _ = sides(rows, seed=seed, stratify=stratify, group_by="group")
    order.shuffle(rows)
    assert sides(rows, seed=seed, stratify=stratify, group_by="group")[0] == before


@examples(25)
@given(numbers=st.lists(st.integers(0, 200), min_size=2, max_size=20, unique=True), seed=SEEDS)
def test_near_duplicates_stay_together(numbers, seed):
    rows = [
        chat(prompt, str(variant))
        for number in numbers
        for variant, prompt in enumerate((question(number), question(number).title() + "!", question(number) + " pls"))
    ]
    found, split = sides(rows, 0.5, seed=seed)
    assert split.clusters == len(numbers)
    for number in numbers:
        assert len({side for prompt, side in found.items() if prompt.lower().startswith(question(number))}) == 1


@examples(25)
@given(numbers=NUMBERS, more=st.integers(20_000, 30_000), seed=SEEDS)
def test_a_growing_group_stays_together_on_its_side(numbers, more, seed):
    rows = [chat(question(number), metadata={"customer": number % 4}) for number in numbers]
    before, split = sides(rows, 0.5, seed=seed, group_by="customer")
    assert split.groups == len({number % 4 for number in numbers})
    by_group = {(number % 4, before[question(number)]) for number in numbers}
    assert len(by_group) == split.groups
    grown = [chat(question(more), metadata={"customer": numbers[0] % 4}), *rows]
    after, _ = sides(grown, 0.5, seed=seed, group_by="customer")
    assert {prompt: after[prompt] for prompt in before} == before
    assert after[question(more)] == before[question(numbers[0])]


def test_ids_tags_and_metadata_do_not_move_a_row():
    rows = [chat(question(number)) for number in range(50)]
    named = [row | {"id": str(number), "tags": ["x"], "metadata": {}} for number, row in enumerate(rows)]
    assert sides(rows)[0] == sides(named)[0]


def test_the_seed_changes_the_assignment_and_shares_are_approximate():
    rows = [chat(question(number)) for number in range(1000)]
    first, split = sides(rows, 0.2, test=0.1)
    assert 160 < split.rows["validation"] < 240
    assert 70 < split.rows["test"] < 130
    second, _ = sides(rows, 0.2, test=0.1, seed="another")
    assert first != second


def test_adding_a_test_share_does_not_change_validation():
    rows = [chat(question(number)) for number in range(300)]
    without, with_test = sides(rows, 0.2)[0], sides(rows, 0.2, test=0.3)[0]
    assert {prompt for prompt, side in without.items() if side == "validation"} == {
        prompt for prompt, side in with_test.items() if side == "validation"
    }


@examples(20)
@given(sizes=st.lists(st.integers(3, 30), min_size=2, max_size=3), seed=SEEDS)
def test_stratify_gives_each_label_its_share(sizes, seed):
    numbered = enumerate(label for label, size in zip(LABELS, sizes, strict=False) for _ in range(size))
    rows = [chat(question(number), label) for number, label in numbered]
    _, split = sides(rows, 0.2, seed=seed, stratify=True)
    for label, size in zip(LABELS, sizes, strict=False):
        assert split.labels[label]["validation"] == max(1, int(0.2 * size + 0.5))


def test_stratify_leaves_rows_for_training():
    _, split = sides([chat(question(1)), chat(question(2))], 0.4, test=0.4, stratify=True)
    assert split.rows == {"train": 1, "validation": 1, "test": 0}


def test_a_label_can_be_a_key_of_the_answer():
    rows = [chat(question(number), json.dumps({"team": LABELS[number % 3], "n": number})) for number in range(30)]
    assert sides(rows)[1].labels == {}
    assert {label: sum(counts.values()) for label, counts in sides(rows, label_by="team")[1].labels.items()} == (
        dict.fromkeys(LABELS, 10)
    )


@pytest.mark.parametrize(
    "answers", [[f"answer {number}" for number in range(40)], ["x" * 200, "y"] * 20, ["same"] * 40]
)
def test_free_text_answers_are_not_labels(answers):
    rows = [chat(question(number), answer) for number, answer in enumerate(answers)]
    assert sides(rows)[1].labels == {}


def test_exact_only_separates_near_duplicates_but_not_duplicates():
    rows = [chat(question(1), "a"), chat(question(1).upper() + ".", "b"), chat(question(1) + " pls", "c")]
    assert sides(rows)[1].largest == 3
    assert sides(rows, near=False)[1].largest == 2


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "data.jsonl"
    rows = [json.dumps(chat(question(number), LABELS[number % 3])) for number in range(60)]
    rows[20] = "{broken"
    rows[30] = ""
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode())
    return path


def test_a_file_is_copied_line_for_line(source, tmp_path):
    targets = {side: tmp_path / f"{side}.jsonl" for side in ("train", "validation")}
    done = split_file(source, targets, SplitOptions(0.3))
    written = [path.read_bytes().splitlines(keepends=True) for path in targets.values()]
    rows = source.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\r\n")
    assert sorted(written[0] + written[1]) == sorted(row + b"\n" for row in rows if row.startswith(b'{"'))
    assert [len(lines) for lines in written] == [done.split.rows["train"], done.split.rows["validation"]]
    assert [each.line for each in done.left_out.listed] == [21]


def test_split_skips_a_too_long_line(source, tmp_path, monkeypatch):
    from pytest_finetune.lifecycle.data import raw_rows, split_files

    source.write_bytes(
        source.read_bytes() + b"\n" + b'{"x": "' + b"y" * 5000 + b'"}\n' + b'{"input": "a", "output": "b"}\n'
    )
    monkeypatch.setattr(split_files, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(split_files, "read_jsonl", lambda path: raw_rows.read_jsonl(path, limit=1000))
    targets = {side: tmp_path / f"{side}.jsonl" for side in ("train", "validation")}
    done = split_file(source, targets, SplitOptions(0.3))
    assert [each.line for each in done.left_out.listed] == [21, 61]
    assert b'{"input": "a", "output": "b"}\n' in b"".join(path.read_bytes() for path in targets.values())


def test_a_file_that_changes_during_the_split_is_an_error(source, tmp_path):
    def meddle(rows):
        yield from rows
        source.write_bytes(source.read_bytes() + b"\n{}\n")

    targets = {side: tmp_path / f"{side}.jsonl" for side in ("train", "validation")}
    with pytest.raises(DataError, match="changed while it was read"):
        split_file(source, targets, SplitOptions(0.3), watch=meddle)
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_without_a_row_is_not_split(tmp_path):
    path = tmp_path / "data.jsonl"
    for text, problem in (("", "empty"), ("{\n}\n", "."), ("nope\n", "no record is usable")):
        path.write_text(text, "utf-8")
        with pytest.raises(DataError, match=problem):
            split_file(path, {"train": tmp_path / "t", "validation": tmp_path / "v"}, SplitOptions(0.5))
    with pytest.raises(DataError, match="cannot be read"):
        split_file(tmp_path / "none", {"train": tmp_path / "t"}, SplitOptions(0.5))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (SplitOptions(0.5, group_by="custmer"), "no row has the key 'custmer'"),
        (SplitOptions(0.5, label_by="taem"), "no answer has the key 'taem'"),
    ],
)
def test_a_misspelt_key_is_an_error(tmp_path, options, problem):
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(chat("hello", '{"team": "bug"}', customer="a")) + "\n", "utf-8")
    with pytest.raises(DataError, match=problem):
        split_file(path, {side: tmp_path / side for side in ("train", "validation")}, options)
    assert list(tmp_path.iterdir()) == [path]


def test_split_warns_about_missing_labels_and_large_clusters(tmp_path):
    path = tmp_path / "data.jsonl"
    rows = [chat(question(number), "rare" if number == 0 else "often") for number in range(20)]
    rows += [chat(question(0) + " " + extra, "often", group="one") for extra in ("a", "b", "c", "d")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    options = SplitOptions(0.1, group_by="group")
    done = split_file(path, {side: tmp_path / side for side in ("train", "validation")}, options)
    warnings = "\n".join(split_warnings(done, options))
    assert "has no rows with 1 label: rare; try --stratify" in warnings
    assert "the largest cluster has 5 rows" in warnings
    assert "20 rows have no 'group'" in warnings
    lines = [text for text, _ in split_lines(done, path, options)]
    assert all(len(line) <= 80 for line in lines)
    output = split_json(done, path, options)
    assert output["clusters"] == {"count": 1, "rows": 5, "largest": 5}
    assert output["groups"] == {"by": "group", "count": 1, "without": 20}
