"""The codes of findings with their severities and meanings; docs/data.md has the same table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError, did_you_mean
from pytest_finetune.base.text import with_file
from pytest_finetune.lifecycle.data.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


@dataclass(frozen=True, slots=True)
class Code:
    """
    A kind of finding.

    Args:
        name: The code in findings, `--select` and `--ignore`.
        group: `file`, `form`, `meaning`, `honesty` or `safety`.
        severity: The severity of its findings.
        meaning: What a finding means, in one sentence.
    """

    name: str
    group: str
    severity: Severity
    meaning: str


_FILE = (
    ("file_type", ERROR, "the file cannot be read, is empty, or is not JSON Lines in UTF-8"),
    ("invalid_json", ERROR, "a line is not strict JSON in UTF-8, or is nested more than 100 levels deep"),
    ("line_too_long", ERROR, "a line is longer than any example can be; it is skipped"),
    ("eval_set", ERROR, "an eval set or its settings are invalid"),
    ("byte_order_mark", INFO, "the file starts with a byte order mark, which some readers reject"),
    ("line_ending", INFO, "lines end with \\r\\n"),
    ("blank_line", INFO, "the file has blank lines"),
)
_FORM = (
    ("data_type", ERROR, "a line or a message is not an object"),
    ("missing_messages_list", ERROR, "a row has no list of messages, or an empty one"),
    ("other_shape", ERROR, "rows are not in chat format but in another known shape"),
    (
        "unused_column",
        ERROR,
        "a column of another shape, or with pictures or sound, which would be lost",
    ),
    ("unrecognized_key", INFO, "a row has a key that is not part of the chat format"),
    ("message_missing_key", ERROR, "a message has no role or no content, or a tool message has no tool_call_id"),
    ("message_unrecognized_key", ERROR, "a message has a key that its role does not support"),
    ("unrecognized_role", ERROR, "a message has a role that is not part of the chat format"),
    ("missing_content", ERROR, "a message is empty, or its content is neither text nor a list of parts"),
    ("example_missing_assistant_message", ERROR, "a row has no assistant message, so there is nothing to learn"),
    ("last_message_not_assistant", ERROR, "a row continues after the last assistant message"),
    ("missing_user_message", WARNING, "a row has no user message"),
    ("invalid_image", ERROR, "an image has no readable address or data, is in an answer, or is one of too many"),
    ("surrounding_whitespace", WARNING, "an answer starts or ends with whitespace, which the model will learn"),
    ("invalid_weight", ERROR, "a weight is neither 0 nor 1"),
    ("nothing_to_learn", ERROR, "every assistant message has weight 0"),
    ("deprecated_functions", WARNING, "functions and function_call are used; tools and tool_calls replace them"),
    (
        "control_token",
        ERROR,
        "a text has a control token of a chat model, which servers refuse or obey",
    ),
    ("consecutive_answers", WARNING, "two assistant messages follow each other, which some servers refuse"),
    ("invalid_tools", ERROR, "tools are malformed: not a list, a wrong or duplicate name, or invalid parameters"),
    ("format_not_checked", INFO, "a format of tool parameters is not checked, because its library is not installed"),
    (
        "invalid_tool_calls",
        ERROR,
        "tool calls are malformed: not a list, or a missing id, function or name, or a duplicate id",
    ),
    ("unknown_tool", ERROR, "a tool call names a tool that the row does not define"),
    ("tool_arguments", ERROR, "tool arguments are not a JSON object, or do not match the tool's parameters"),
    ("tool_call_unanswered", ERROR, "the conversation continues before a tool call is answered"),
    ("tool_answer_unmatched", ERROR, "a tool message answers a tool call that does not exist"),
    ("invalid_json_answer", ERROR, "an answer is not JSON, although a schema is set or most answers are JSON"),
    ("answer_breaks_schema", ERROR, "an answer does not match the schema"),
    ("too_many_tokens", ERROR, "a row exceeds the model's token limit, so its end, the answer, is cut off"),
    (
        "perhaps_too_many_tokens",
        WARNING,
        "a row is near the token limit, and its tokens can only be estimated",
    ),
)
_MEANING = (
    ("too_few_examples", ERROR, "fewer than 10 examples, which OpenAI rejects"),
    ("few_examples", WARNING, "fewer than 100 examples; 100 to 500 good ones are a sensible start"),
    ("duplicate", WARNING, "a row is identical to an earlier one"),
    ("near_duplicate", INFO, "a row's prompt is nearly identical to an earlier one"),
    (
        "conflicting_answers",
        ERROR,
        "the same prompt has different answers; of preferences, the same two answers in the other order",
    ),
    ("unknown_label", ERROR, "an answer is not one of the labels"),
    ("label_variant", WARNING, "two labels differ only in case, spacing or punctuation"),
    ("empty_cell", WARNING, "an answer is what tables write for an empty or broken cell, such as nan, N/A or #NAME?"),
    ("rare_label", WARNING, "a label has fewer than 10 examples, or none"),
    (
        "class_imbalance",
        WARNING,
        "the most common label has more than 10 times the examples of the rarest that is not reported as rare",
    ),
    ("no_empty_field", INFO, "an evaluated input or field is empty, but none in training"),
    ("no_long_input", INFO, "an evaluated input is much longer than those in training"),
    ("no_ambiguous_input", INFO, "an evaluated input is ambiguous by its answer, but none in training"),
)
_HONESTY = (
    ("eval_in_training", ERROR, "an eval case has the same prompt as a training row (leakage)"),
    ("near_eval_in_training", WARNING, "an eval case has nearly the same prompt as a training row"),
    ("eval_in_validation", WARNING, "an eval case has the same or nearly the same prompt as a validation row"),
    ("validation_in_training", WARNING, "a validation row has the same or nearly the same prompt as a training row"),
    (
        "system_prompt_differs",
        WARNING,
        "an eval set or validation file uses a system prompt that never occurs in training",
    ),
    ("tools_differ", WARNING, "an eval set or validation file defines tools that never occur in training"),
    ("response_format_differs", WARNING, "training answers do not have the format that an eval set expects"),
    (
        "production_differs",
        WARNING,
        "training or eval data differs from production requests, or from the eval sets used for promotion",
    ),
)
_SAFETY = (
    ("email_address", WARNING, "an email address, except those in example domains"),
    ("phone_number", WARNING, "a valid phone number"),
    ("resident_id", ERROR, "a Chinese resident id with a valid check digit"),
    ("payment_card", ERROR, "a payment card number with a valid check digit"),
    ("bank_account", ERROR, "an IBAN with valid check digits"),
    ("api_key", ERROR, "an API key, a token, or a password in a URL"),
    ("private_key", ERROR, "a private key"),
    ("mojibake", WARNING, "text decoded with the wrong encoding, such as cafÃ©"),
    ("replacement_character", WARNING, "U+FFFD, which replaces a lost character"),
    ("lone_surrogate", ERROR, "an unpaired surrogate, half of a character"),
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


def make_finding(
    code: str, file: str, line: int, problem: str, hint: str, *, path: str = "", other: str = ""
) -> Finding:
    """Make a finding with the severity of its code; a command in its hint names the file."""
    return Finding(code, CODES[code].severity, file, line, path, problem, with_file(hint, file), other)


def codes_wanted(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> tuple[str, ...]:
    """
    Return the codes to check for.

    Args:
        select: Codes or groups; empty selects all codes.
        ignore: Codes or groups to exclude.

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
