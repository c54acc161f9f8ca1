from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.records import Completion, FormatFailure
from pytest_finetune.verdicts.scoring.numerals import MOST_DIGITS, read_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        (" -3.5\n", Fraction(-7, 2)),
        ("+.5", Fraction(1, 2)),
        ("7.", 7),
        ("6.02e23", 602 * 10**21),
        ("1E-2", Fraction(1, 100)),
        ("007", 7),
        ("0.1", Fraction(1, 10)),
    ],
)
def test_numbers_are_read_exactly(text: str, value: Fraction) -> None:
    assert read_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "5 km", "$5", "5%", "1/2", "1,234", "1 234", "1_000", "5.5.5", "--5", "- 5", "five", "", "e5", ".", "0x10",
        "nan", "inf", "Infinity", "5 or 6", "≈5", "٣", "５", "−5", "1e5.5", "42 is the answer",
    ],
)  # fmt: skip
def test_anything_but_a_number_is_a_format_failure(text: str) -> None:
    with pytest.raises(FormatFault) as caught:
        read_number(text)
    assert caught.value.kind is FormatFailure.WRONG_TYPE


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234,567.89", Fraction(123456789, 100)),
        ("-12,345", -12345),
        ("123,456", 123456),
        ("999", 999),
        ("1234.5", Fraction(2469, 2)),
    ],
)
def test_thousands_separators_are_accepted_if_configured(text: str, value: Fraction) -> None:
    assert read_number(text, thousands=",") == value


def test_a_number_has_at_most_four_hundred_characters_and_an_exponent_up_to_that() -> None:
    assert read_number("7" * 400) == Fraction("7" * 400)
    assert read_number("1e400") == 10**400
    for text in ("7" * 401, "1e401", "1e-401"):
        with pytest.raises(FormatFault):
            read_number(text)


@pytest.mark.parametrize("text", ["1,23", "1,2345", ",123", "1,,234", "1234,567", "1,234.567,8", "12,34,567"])
def test_groups_have_three_digits(text: str) -> None:
    with pytest.raises(FormatFault, match="is not"):
        read_number(text, thousands=",")


def test_a_comma_may_come_before_the_decimals() -> None:
    assert read_number("1.234,5", decimal=",", thousands=".") == Fraction(2469, 2)
    assert read_number("3,14", decimal=",") == Fraction(157, 50)
    for text in ("3.14", "1.234,5", "1,234.5"):
        with pytest.raises(FormatFault):
            read_number(text, decimal=",")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("9" * 401, FormatFailure.WRONG_TYPE),
        ("1e401", FormatFailure.OUT_OF_RANGE),
        ("1e-999", FormatFailure.OUT_OF_RANGE),
    ],
)
def test_a_number_that_takes_long_to_compute_with_is_refused(text: str, kind: FormatFailure) -> None:
    with pytest.raises(FormatFault) as caught:
        read_number(text)
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("options", "expected", "answer", "passed"),
    [
        ({}, "0.3", "0.30", True),
        ({}, 0.3, "0.3", True),
        ({}, 42, "42.0", True),
        ({}, "42", "43", False),
        ({"absolute": 0.1}, "1.0", "1.1", True),
        ({"absolute": 0.1}, "1.0", "0.9", True),
        ({"absolute": 0.1}, "1.0", "1.1000001", False),
        ({"relative": 0.01}, "-200", "-202", True),
        ({"relative": 0.01}, "-200", "-202.1", False),
        ({"relative": 0.01}, "0", "0.001", False),
        ({"relative": 0.01, "absolute": 0.5}, "10", "10.5", True),
        ({"relative": 0.1, "absolute": 0.5}, "10", "11", True),
        ({"relative": 0.1, "absolute": 0.5}, "10", "11.2", False),
    ],
)
def test_tolerances_are_exact_and_inclusive(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    options: dict[str, Any],
    expected: Any,
    answer: str,
    *,
    passed: bool,
) -> None:
    score = scorer("number", scorer_options=options).score(case(expected), Completion(answer))
    assert (score.passed, score.format_failure) == (passed, None)


def test_any_expected_number_may_be_the_one(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("number", scorer_options={"absolute": 1, "relative": 0.1})
    assert made.score(case(1, "100"), Completion("101")).passed
    score = made.score(case(1, "100"), Completion("50"))
    assert score.detail == "expected 1 ± 1 or 10 %, got 50"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Completion("5 km"), FormatFailure.WRONG_TYPE),
        (Completion("```\n5\n```"), FormatFailure.FENCED),
        (Completion("I'm sorry, I cannot say 5"), FormatFailure.REFUSAL),
        (Completion(""), FormatFailure.EMPTY),
        # The next digit is missing: the answer may have been 52.
        (Completion("5", finish_reason="length"), FormatFailure.TRUNCATED),
    ],
)
def test_the_format_failure_is_named(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: Completion, failure: FormatFailure
) -> None:
    score = scorer("number").score(case("5"), answer)
    assert (score.passed, score.format_failure) == (False, failure)


def test_numbers_are_read_in_the_notation_of_the_settings(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    made = scorer("number", scorer_options={"decimal": ",", "thousands": "."})
    for text, passed in (("1.234,5", True), ("1234,50", True), ("1,234.5", False), ("1234.5", False)):
        assert made.score(case(1234.5), Completion(text)).passed is passed
        assert scorer("number").score(case(1234.5), Completion(text)).passed is (text == "1234.5")
    assert made.check(case("1.234,5")) is None


def test_normalize_removes_what_is_around_the_number(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    assert scorer("number", normalize=["strip_punctuation"]).score(case("5"), Completion("**5.**")).passed
    assert not scorer("number").score(case("5"), Completion("**5.**")).passed


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ("5 km", "expected is not a number: '5 km' is not only a number in digits with '.' before the decimals"),
        ("km", "expected is not a number: 'km' is not a number"),
        (True, "expected is not a number: it is a JSON boolean"),
        (None, "expected is not a number: it is a JSON null"),
    ],
)
def test_expected_answers_must_be_numbers(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: Any, problem: str
) -> None:
    assert scorer("number").check(case(5, expected)) == problem
    assert scorer("number").check(case()) == "no expected number"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"absolute": -1}, "absolute: Input should be greater than or equal to 0"),
        ({"absolute": float("inf")}, "absolute: Input should be a finite number"),
        ({"relative": 1}, "relative: Input should be less than 1"),
        ({"decimal": ",", "thousands": ","}, "decimal and thousands are both ','"),
        ({"units": "km"}, "units: unknown key"),
    ],
)
def test_options_that_accept_anything_are_refused(
    scorer: Callable[..., Any], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ScorerError) as caught:
        scorer("number", scorer_options=options)
    assert problem in caught.value.problem


def test_an_exponent_may_be_as_long_as_a_number() -> None:
    assert read_number(f"1e{MOST_DIGITS}") == 10**MOST_DIGITS
    assert read_number(f"1e-{MOST_DIGITS}") == Fraction(1, 10**MOST_DIGITS)
    with pytest.raises(FormatFault, match="out of range"):
        read_number(f"1e{MOST_DIGITS + 1}")


@pytest.mark.parametrize("text", ["1.5", "1.5,2", "1,5.2"])
def test_a_point_is_no_decimal_mark_where_another_one_is(text: str) -> None:
    assert read_number("1,5", decimal=",") == Fraction(3, 2)
    with pytest.raises(FormatFault):
        read_number(text, decimal=",")


@pytest.mark.parametrize(
    ("tolerance", "shown"),
    [
        ({}, "expected 10, got 99"),
        ({"absolute": 0.5}, "expected 10 ± 0.5, got 99"),
        ({"relative": 0.05}, "expected 10 ± 5 %, got 99"),
        ({"absolute": 0.5, "relative": 0.05}, "expected 10 ± 0.5 or 5 %, got 99"),
    ],
)
def test_a_miss_names_the_tolerance(
    scorer: Callable[..., Any], case: Callable[..., Case], tolerance: dict[str, float], shown: str
) -> None:
    assert scorer("number", scorer_options=tolerance).score(case("10"), Completion("99")).detail == shown
