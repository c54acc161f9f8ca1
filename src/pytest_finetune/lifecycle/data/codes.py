"""Every code that a finding can have, how bad it is, and what it means; docs/data.md shows the same table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError, did_you_mean
from pytest_finetune.lifecycle.data.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


@dataclass(frozen=True, slots=True)
class Code:
    """
    One kind of finding.

    Args:
        name: As it stands in findings, `--select` and `--ignore`.
        group: `file`, `form`, `meaning`, `honesty` or `safety`.
        severity: How bad it is.
        meaning: What it says about the data.
    """

    name: str
    group: str
    severity: Severity
    meaning: str


_FILE = (
    ("file_type", ERROR, "the file cannot be read, is empty, or is something else than JSON lines in UTF-8"),
    ("invalid_json", ERROR, "a line is not strict JSON in UTF-8, or is nested more than 100 levels deep"),
    ("line_too_long", ERROR, "a line is longer than any example can be; it is not read"),
    ("eval_set", ERROR, "an eval set, or the settings beside it, cannot be used as written"),
    ("byte_order_mark", INFO, "the file begins with a byte order mark, on which other readers trip"),
    ("line_ending", INFO, "lines end with \\r\\n"),
    ("blank_line", INFO, "there are lines with nothing on them"),
)
_FORM = (
    ("data_type", ERROR, "a line or a message is something else than an object"),
    ("missing_messages_list", ERROR, "a row has no list of messages, or an empty one"),
    ("unrecognized_key", INFO, "a row has a key that is none of the chat format"),
    ("message_missing_key", ERROR, "a message has no role, no content, or answers a tool call without naming it"),
    ("message_unrecognized_key", ERROR, "a message has a key that its role has no use for"),
    ("unrecognized_role", ERROR, "a message has a role that is none of the chat format"),
    ("missing_content", ERROR, "a message is empty, or its content is neither text nor a list of parts"),
    ("example_missing_assistant_message", ERROR, "a row has no message of the assistant: nothing can be learned"),
    ("last_message_not_assistant", ERROR, "a row goes on after the assistant's last message"),
    ("missing_user_message", WARNING, "a row has an answer to which nobody asked"),
    ("surrounding_whitespace", WARNING, "an answer begins or ends with white space, and the model will learn that"),
    ("invalid_weight", ERROR, "a weight is neither 0 nor 1"),
    ("nothing_to_learn", ERROR, "every message of the assistant has weight 0"),
    ("deprecated_functions", WARNING, "functions and function_call, which tools and tool_calls have replaced"),
    ("invalid_tools", ERROR, "tools that no request could send: no list, no name, a name twice, no JSON Schema"),
    ("invalid_tool_calls", ERROR, "tool calls without a list, an id, a function or a name, or with an id twice"),
    ("unknown_tool", ERROR, "a call of a tool that the row does not offer"),
    ("tool_arguments", ERROR, "arguments that are no JSON object, or do not fit the parameters of their tool"),
    ("tool_call_unanswered", ERROR, "the conversation goes on before a tool call was answered"),
    ("tool_answer_unmatched", ERROR, "a tool answers a call that nobody made"),
    ("invalid_json_answer", ERROR, "an answer is not JSON, where a schema is set or most answers are JSON"),
    ("answer_breaks_schema", ERROR, "an answer does not satisfy the schema"),
    ("too_many_tokens", ERROR, "a row is longer than the model is trained on: its end, the answer, is cut off"),
)
_MEANING = (
    ("too_few_examples", ERROR, "fewer than 10 examples, which OpenAI refuses"),
    ("few_examples", WARNING, "fewer than 100 examples: 100 to 500 good ones are a sensible beginning"),
    ("duplicate", WARNING, "a row that says the same as an earlier one"),
    ("near_duplicate", INFO, "a row that asks nearly the same as an earlier one"),
    ("conflicting_answers", ERROR, "one question with two answers"),
    ("unknown_label", ERROR, "an answer that is none of the labels"),
    ("label_variant", WARNING, "two labels that differ in case, blanks or punctuation only"),
    ("rare_label", WARNING, "a label with fewer than 10 examples, or none"),
    ("class_imbalance", WARNING, "the commonest label has more than 10 times the examples of the rarest"),
    ("no_empty_field", INFO, "no example shows what to answer where something is missing"),
    ("no_long_input", INFO, "no example is much longer than the usual one"),
    ("no_ambiguous_input", INFO, "no example shows what to answer where the input leaves it open"),
)
_HONESTY = (
    ("eval_in_training", ERROR, "an eval case asks what a training row asks"),
    ("near_eval_in_training", WARNING, "an eval case asks nearly what a training row asks"),
    ("eval_in_validation", WARNING, "an eval case asks what a validation row asks, or nearly"),
    ("validation_in_training", WARNING, "a validation row asks what a training row asks, or nearly"),
    ("system_prompt_differs", WARNING, "an eval set or validation file has a system prompt that training never shows"),
    ("tools_differ", WARNING, "an eval set or validation file offers tools that training never shows"),
    ("response_format_differs", WARNING, "training answers are not of the form that an eval set asks for"),
    ("production_differs", WARNING, "training or eval differ from what production sends, or was asked when promoted"),
)
_SAFETY = (
    ("email_address", WARNING, "an e-mail address, those of example domains left aside"),
    ("phone_number", WARNING, "a valid phone number"),
    ("resident_id", ERROR, "a Chinese resident id with its valid check digit"),
    ("payment_card", ERROR, "a payment card number with its valid check digit"),
    ("bank_account", ERROR, "an IBAN with its valid check digits"),
    ("api_key", ERROR, "an API key, a token, or a password in a URL"),
    ("private_key", ERROR, "a private key"),
    ("mojibake", WARNING, "text that was read in the wrong encoding: cafÃ©"),
    ("replacement_character", WARNING, "U+FFFD, where a character was lost"),
    ("lone_surrogate", ERROR, "half a character: a surrogate without its other half"),
)

CODES = {
    name: Code(name, group, severity, meaning)
    for group, codes in (
        ("file", _FILE),
        ("form", _FORM),
        ("meaning", _MEANING),
        ("honesty", _HONESTY),
        ("safety", _SAFETY),
    )
    for name, severity, meaning in codes
}
"""All codes by name, in the order of the table."""


def found(code: str, file: str, line: int, problem: str, hint: str, *, path: str = "", other: str = "") -> Finding:
    """A finding of a known code, as bad as its code is."""
    return Finding(code, CODES[code].severity, file, line, path, problem, hint, other)


def codes_wanted(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> tuple[str, ...]:
    """
    The codes that are looked for.

    Args:
        select: Codes or groups; all codes where none are given.
        ignore: Codes or groups to leave out.

    Raises:
        DataError: A name is neither a code nor a group.
    """
    selected, ignored = (_named(names) for names in (select, ignore))
    return tuple(code for code in CODES if (not selected or code in selected) and code not in ignored)


def _named(names: Iterable[str]) -> set[str]:
    groups = {code.group for code in CODES.values()}
    chosen: set[str] = set()
    for name in names:
        if name not in groups and name not in CODES:
            raise DataError(f"no code or group is named {name!r}", hint=did_you_mean(name, [*CODES, *groups]))
        chosen |= {code.name for code in CODES.values() if name in (code.name, code.group)}
    return chosen
