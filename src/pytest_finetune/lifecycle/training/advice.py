"""Advice for refused requests and failed jobs, by the server's error code and message."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_finetune.lifecycle.registry.announcements import LAST_FINE_TUNING_DAY, SOURCE


@dataclass(frozen=True, slots=True)
class KnownFault:
    """An error known by its code or wording, and what to do about it."""

    name: str
    pattern: re.Pattern[str]
    advice: str


def _known(name: str, pattern: str, advice: str) -> KnownFault:
    return KnownFault(name, re.compile(pattern, re.IGNORECASE), advice)


OWN_MACHINE = (
    "train on your own machine: run `pytest-finetune serve` there, then the same command with "
    "--base-url http://127.0.0.1:PORT/v1"
)

KNOWN_FAULTS = (
    _known(
        "organisation not allowed",
        r"not allowed for th(is|e) organi[sz]ation|new (fine-?tuning )?jobs are not allowed"
        r"|not allowed to (create|use) fine-?tun|fine-?tuning is (no longer|not) available|organization_not_allowed",
        f"OpenAI is ending self-serve fine-tuning and accepts no new jobs after {LAST_FINE_TUNING_DAY} ({SOURCE}); "
        f"some organisations are refused already. Existing fine-tuned models answer until their base model is "
        f"switched off. Instead, {OWN_MACHINE}",
    ),
    _known(
        "no quota",
        r"insufficient_(quota|balance|credits)|billing_(hard_limit_reached|not_active|error)|payment_required"
        r"|exceeded your current quota",
        "the account is out of credit or at its limit: check its billing page, then start again",
    ),
    _known(
        "no access",
        r"invalid_api_key|incorrect api key|invalid_authentication|missing_scope|insufficient permissions",
        "check OPENAI_API_KEY (also OPENAI_ORG_ID, OPENAI_PROJECT_ID): the key needs write permission for "
        "fine-tuning jobs and files",
    ),
    _known(
        "no such job",
        r"no such (fine-?tuning )?job|could not find fine.?tun|fine_tun\w*_not_found",
        "list the jobs of the server with `pytest-finetune train list`; --base-url chooses another server",
    ),
    _known(
        "too many jobs",
        r"maximum of [\d,]+ (active|concurrent|fine|requests)|daily_rate_limit"
        r"|too many (active|running|queued) (fine|jobs)|fine-?tun\w* (job )?(request has been )?rate.?limit"
        r"|exceeded (your |the )?(quota|limit|number) of (\w+[ -])*jobs",
        "the number of concurrent or daily jobs is limited: wait for one to end, or cancel one "
        "(`pytest-finetune train list`), then start again",
    ),
    _known(
        "model not trainable",
        r"model_not_(available|found)|(is not|isn't|not) (available|supported|allowed) (for|to be) fine.?tun"
        r"|cannot be fine.?tuned|invalid_model|does not exist.*model|model .* does not exist|unknown model",
        "use a base model that this server can fine-tune, as a dated snapshot such as gpt-4.1-mini-2025-04-14; "
        "GET /models lists its models",
    ),
    _known(
        "too few examples",
        r"invalid_n_examples|at least \d+ examples|too few examples|minimum (number )?of examples",
        "add examples: at least 10 are required, and 50 to 100 recommended",
    ),
    _known(
        "moderation",
        r"unsafe_file|moderation|harmful|unsafe|usage polic|hate|safety (check|system|polic)",
        "too many examples were judged unsafe: remove examples with insults, violence or personal data in the answers, "
        "then start again; `pytest-finetune data check` finds personal data",
    ),
    _known(
        "example too long",
        r"token limit|too many tokens|tokens long|context length|max(imum)? (sequence|context)|exceeds .* tokens",
        "find the lines with `pytest-finetune data check FILE --model BASE`, and shorten or split them",
    ),
    _known(
        "validation file invalid",
        r"invalid_validation_file|invalid_file.*validation|validation[ _]file",
        "find the lines with `pytest-finetune data check` and --validation, fix them, and start again",
    ),
    _known(
        "training file invalid",
        r"invalid_training_file|invalid_file(_format)?|invalid file format|training[ _]file|jsonl|unprocessable_file"
        r"|expected.*messages",
        "find the lines with `pytest-finetune data check FILE`, fix them, and start again",
    ),
    _known(
        "suffix invalid",
        r"invalid.*suffix|suffix.*(invalid|too long|must)",
        "use a --suffix of at most 64 letters, digits and hyphens",
    ),
    _known(
        "hyperparameter out of range",
        r"hyperparameter|n_epochs|batch_size|learning_rate_multiplier",
        "omit the option to use the suggested value, or use a value in the range of the message",
    ),
    _known(
        "server error",
        r"server_error|internal|training (process )?(crashed|failed|died)|worker",
        "the server failed: start again; if it fails again, report it to the operator of the server",
    ),
)
"""Tried in this order; the first match wins, so the specific ones come first."""

UNKNOWN = "see the server's documentation for this message, fix the cause, and start again"


def known_fault(code: str, message: str, param: str = "") -> KnownFault | None:
    """The known error that matches a code, a message and a parameter; None if none does."""
    text = f"{code} {param} {message}"
    return next((fault for fault in KNOWN_FAULTS if fault.pattern.search(text)), None)


def advice_for(code: str, message: str, param: str = "") -> str:
    """What to do about an error; never empty."""
    fault = known_fault(code, message, param)
    return fault.advice if fault else UNKNOWN
