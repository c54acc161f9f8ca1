from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure
from pytest_finetune.verdicts.scoring.graded import rounded_down
from pytest_finetune.verdicts.scoring.scorers.rouge_l import longest_common
from pytest_finetune.verdicts.scoring.tokens import words

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case

GRADED = ("fuzzy", "f1", "rouge_l", "chrf", "bleu")
CAT = "the cat sat on the mat"


def value(scorer: Callable[..., Any], case: Callable[..., Case], name: str, expected: Any, answer: str) -> float:
    options = {"threshold": 0.5}
    wanted = expected if isinstance(expected, tuple) else (expected,)
    found: float = scorer(name, scorer_options=options).score(case(*wanted), Completion(answer)).value
    return found


@pytest.mark.parametrize("name", GRADED)
def test_an_equal_text_scores_one_and_an_unrelated_one_nothing(
    scorer: Callable[..., Any], case: Callable[..., Case], name: str
) -> None:
    made = scorer(name, scorer_options={"threshold": 1})
    assert made.check(case(CAT)) is None
    right = made.score(case(CAT), Completion(CAT))
    assert (right.passed, right.value, right.detail) == (True, 1.0, "")
    wrong = made.score(case(CAT), Completion("ÖÖÖÖÖ ÜÜÜÜÜ"))
    assert (wrong.passed, wrong.format_failure) == (False, None)
    assert wrong.value < 0.2


@pytest.mark.parametrize(
    ("name", "answer", "score"),
    [
        # 22 and 14 characters, 8 of them deleted.
        ("fuzzy", "the cat sat on ", 28 / 36),
        # 4 common words of 6 and 4; of 6 and 7.
        ("f1", "the cat the mat", 8 / 10),
        ("f1", "mat the on sat cat the !", 1.0),
        ("f1", "the the the", 2 * 2 / 9),
        ("rouge_l", "the mat sat on the cat", 2 * 4 / 12),
        ("rouge_l", "the cat is on the mat today", 2 * 5 / 13),
        ("rouge_l", "mat", 2 * 1 / 7),
    ],
)
def test_scores_by_hand(
    scorer: Callable[..., Any], case: Callable[..., Case], name: str, answer: str, score: float
) -> None:
    assert value(scorer, case, name, CAT, answer) == rounded_down(score)


TEXTS = (
    CAT,
    "The cat sat on the mat.",
    "The quick brown fox jumps over the lazy dog.",
    "the the the the",
    "a",
    "ab",
    "Il a dit : « bonjour », puis s'en est allé.",
    "$3.50, not 3,50 €!",
    "baaaa",
    "xxa",
    "汽车在路上。",
    "x " * 40,
)


@pytest.mark.parametrize("expected", TEXTS)
@pytest.mark.parametrize("answer", TEXTS)
def test_chrf_and_bleu_are_those_of_sacrebleu(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: str, answer: str
) -> None:
    import sacrebleu

    normal = expected.strip(), answer.strip()
    chrf = sacrebleu.sentence_chrf(normal[1], [normal[0]]).score / 100
    assert value(scorer, case, "chrf", expected, answer) == pytest.approx(chrf, abs=2e-6)
    bleu = sacrebleu.sentence_bleu(normal[1], [normal[0]]).score / 100
    assert value(scorer, case, "bleu", expected, answer) == pytest.approx(bleu, abs=2e-6)


def test_bleu_splits_as_asked(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    wanted, answer = case("今天天气很好"), Completion("今天天气不好")
    scores = [
        scorer("bleu", scorer_options={"threshold": 0.5, "tokenize": how}).score(wanted, answer).value
        for how in ("13a", "zh", "char")
    ]
    assert scores[0] == 0.0
    assert scores[1] == scores[2] > 0.4


@pytest.mark.parametrize("name", GRADED)
def test_the_nearest_expected_text_counts(scorer: Callable[..., Any], case: Callable[..., Case], name: str) -> None:
    alone = value(scorer, case, name, CAT, "the cat sat on the hat")
    assert value(scorer, case, name, ("one two three four", CAT, "dogs"), "the cat sat on the hat") == alone > 0.5


def test_the_detail_names_the_nearest_expected_text(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    score = scorer("f1", scorer_options={"threshold": 0.9}).score(case("x y", "a b"), Completion("a c"))
    assert score.detail == "score 0.5 is below 0.9: expected 'a b', got 'a c'"


@pytest.mark.parametrize(("threshold", "passed"), [(0.666666, True), (0.666667, False), (0.8, False), (0.5, True)])
def test_the_threshold_decides(
    scorer: Callable[..., Any], case: Callable[..., Case], threshold: float, *, passed: bool
) -> None:
    # 1 common word of 1 and 2: 2/3, recorded as 0.666666.
    score = scorer("f1", scorer_options={"threshold": threshold}).score(case("a b"), Completion("a"))
    assert (score.passed, score.value) == (passed, 0.666666)


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        (0.8999999999999999, 0.9),
        (0.9, 0.9),
        (0.8999999, 0.899999),
        (2 / 3, 0.666666),
        (1.0000000002, 1.0),
        (1.5, 1.0),
        (0, 0),
    ],
)
def test_scores_are_rounded_down(exact: float, rounded: float) -> None:
    assert rounded_down(exact) == rounded


@pytest.mark.parametrize("name", GRADED)
@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Completion(""), FormatFailure.EMPTY),
        (Completion(" \n"), FormatFailure.EMPTY),
        (Completion(CAT, refusal="no"), FormatFailure.REFUSAL),
        (Completion(CAT, finish_reason="content_filter"), FormatFailure.FILTERED),
        (Completion("the", finish_reason="length"), FormatFailure.TRUNCATED),
    ],
)
def test_no_answer_does_not_pass(
    scorer: Callable[..., Any], case: Callable[..., Case], name: str, answer: Completion, failure: FormatFailure
) -> None:
    score = scorer(name, scorer_options={"threshold": 0.9}).score(case(CAT), answer)
    assert (score.passed, score.format_failure) == (False, failure)


@pytest.mark.parametrize("name", GRADED)
def test_normalize_applies_to_both_sides(scorer: Callable[..., Any], case: Callable[..., Case], name: str) -> None:
    made = scorer(name, scorer_options={"threshold": 1}, normalize=["casefold", "strip_punctuation"])
    assert made.score(case("The Cat Sat On It."), Completion("**the cat sat on it**")).passed


@pytest.mark.parametrize("name", ["f1", "rouge_l"])
def test_an_expected_text_without_words_is_refused(
    scorer: Callable[..., Any], case: Callable[..., Case], name: str
) -> None:
    made = scorer(name, scorer_options={"threshold": 0.5})
    assert made.check(case("fine", "!!!")) == "expected '!!!' has no word to compare"
    assert made.check(case()) == "no expected text"
    assert made.check(case(3)) == "expected is a JSON number and not text; use scorer 'json'"


@pytest.mark.parametrize("name", GRADED)
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "needs threshold"),
        ({"threshold": 0}, "threshold: Input should be greater than 0"),
        ({"threshold": 1.01}, "threshold: Input should be less than or equal to 1"),
        ({"threshold": "0.8"}, "threshold: Input should be a valid number"),
        ({"threshold": True}, "threshold: Input should be a valid number"),
        ({"threshold": 0.8, "treshold": 0.9}, "treshold: unknown key"),
    ],
)
def test_a_threshold_that_decides_nothing_is_refused(
    scorer: Callable[..., Any], name: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ScorerError) as caught:
        scorer(name, scorer_options=options)
    assert problem in caught.value.problem
    hint = "did you mean 'threshold'?" if "treshold" in options else "the lowest score that passes: threshold = 0.8"
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("name", "package"),
    [("fuzzy", "rapidfuzz"), ("bleu", "sacrebleu"), ("f1", "regex"), ("rouge_l", "regex"), ("regex", "regex")],
)
def test_a_missing_package_is_named(
    scorer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ScorerError, match=f"^scorer '{name}' needs {package}, which is not installed") as caught:
        scorer(name, scorer_options={} if name == "regex" else {"threshold": 0.5})
    assert caught.value.hint == "pip install 'pytest-finetune[text]'"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The cat, the MAT!", ["the", "cat", "the", "mat"]),
        ("1,234.5 km; 3.14.", ["1,234.5", "km", "3.14"]),
        ("-5 or 5, 3-5, a-5", ["-5", "or", "5", "3", "5", "a", "5"]),
        ("−1,234.5", ["-1,234.5"]),
        ("$5, 5 % or 5€", ["$", "5", "5", "%", "or", "5", "€"]),
        ("C++, C# and C", ["c++", "c#", "and", "c"]),
        ("a+b", ["a", "b"]),
        ("don't", ["don", "t"]),
        ("Straße ｆｕｌｌ", ["strasse", "full"]),
        ("今天好 ok", ["今", "天", "好", "ok"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("naïve e\u0301t\u00e9", ["naïve", "été"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("!?… 👍", []),
    ],
)
def test_words_of_any_language(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_the_longest_common_subsequence_is_that_of_the_textbook() -> None:
    rng = random.Random(3)
    for _ in range(300):
        left, right = (rng.choices("abcd", k=rng.randrange(9)) for _ in range(2))
        table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
        for i, a in enumerate(left):
            for j, b in enumerate(right):
                table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
        assert longest_common(left, right) == table[-1][-1]


def test_a_long_answer_does_not_take_long(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    answer = Completion("word " * 20_000)
    for name in GRADED:
        assert not scorer(name, scorer_options={"threshold": 0.5}).score(case(CAT), answer).passed


def test_an_expected_text_of_which_bleu_keeps_no_word_is_refused(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    # The tokenizer of WMT drops this mark of segments that were left out.
    made = scorer("bleu", scorer_options={"threshold": 0.5})
    assert made.check(case("<skipped>")) == "expected '<skipped>' has no word to compare"
    assert made.check(case("a word")) is None
