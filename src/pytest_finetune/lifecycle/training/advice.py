"""What to do about a refusal or a failed job: known faults, each with its own advice."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_finetune.lifecycle.registry.sunset import LAST_FINE_TUNING_DAY, SOURCE


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A fault that servers are known to tell, by code or by words, and what to do about it."""

    name: str
    pattern: re.Pattern[str]
    advice: str


def _known(name: str, pattern: str, advice: str) -> KnownFault:
    return KnownFault(name, re.compile(pattern, re.IGNORECASE), advice)


OWN_MACHINE = (
    "train on a machine of your own: `pytest-finetune serve` there, then the same command with "
    "--base-url http://127.0.0.1:PORT/v1"
)

KNOWN_FAULTS = (
    _known(
        "organisation not allowed",
        r"not allowed for th(is|e) organi[sz]ation|new (fine-?tuning )?jobs are not allowed"
        r"|not allowed to (create|use) fine-?tun|fine-?tuning is (no longer|not) available|organization_not_allowed",
        f"expected: OpenAI winds self-serve fine-tuning down and begins no new job after "
        f"{LAST_FINE_TUNING_DAY} ({SOURCE}); some organisations are refused already. What is trained goes on "
        f"answering until its base model is switched off. From here on: {OWN_MACHINE}",
    ),
    _known(
        "no quota",
        r"insufficient_quota|billing_(hard_limit_reached|not_active)|exceeded your current quota",
        "the account has no money or has reached its limit: see its billing page, then start again",
    ),
    _known(
        "no access",
        r"invalid_api_key|incorrect api key|invalid_authentication|missing_scope|insufficient permissions",
        "check OPENAI_API_KEY (also OPENAI_ORG_ID, OPENAI_PROJECT_ID): the key needs the right to write "
        "fine-tuning jobs and files",
    ),
    _known(
        "no such job",
        r"no such (fine-?tuning )?job|could not find fine.?tun|fine_tun\w*_not_found",
        "`pytest-finetune train list` shows the jobs of a server; --base-url names another server",
    ),
    _known(
        "too many jobs",
        r"maximum of [\d,]+ (active|concurrent|fine|requests)|daily_rate_limit"
        r"|too many (active|running|queued) (fine|jobs)|fine-?tun\w* (job )?(request has been )?rate.?limit"
        r"|exceeded (your |the )?(quota|limit|number) of (\w+[ -])*jobs",
        "so many jobs at a time, or a day, are allowed: wait for one to end, or cancel it "
        "(`pytest-finetune train list`), then start again",
    ),
    _known(
        "model not trainable",
        r"model_not_(available|found)|(is not|isn't|not) (available|supported|allowed) (for|to be) fine.?tun"
        r"|cannot be fine.?tuned|invalid_model|does not exist.*model|model .* does not exist|unknown model",
        "name a base model that this server trains, as a dated snapshot, such as gpt-4.1-mini-2025-04-14; GET /models "
        "lists what it knows",
    ),
    _known(
        "too few examples",
        r"invalid_n_examples|at least \d+ examples|too few examples|minimum (number )?of examples",
        "ten examples are the least that is trained on, 50 to 100 the least that is sensible: add more",
    ),
    _known(
        "moderation",
        r"unsafe_file|moderation|harmful|unsafe|usage polic|hate|safety (check|system|polic)",
        "too many examples were taken for unsafe: look for insults, violence, and personal data in the answers, take "
        "those examples out, and start again; `pytest-finetune data check` finds personal data",
    ),
    _known(
        "example too long",
        r"token limit|too many tokens|context length|max(imum)? (sequence|context)|exceeds .* tokens",
        "`pytest-finetune data check FILE --model BASE` names the lines; shorten them or part them",
    ),
    _known(
        "validation file invalid",
        r"invalid_validation_file|invalid_file.*validation|validation[ _]file",
        "`pytest-finetune data check` with --validation names the lines; mend them, and start again",
    ),
    _known(
        "training file invalid",
        r"invalid_training_file|invalid_file(_format)?|invalid file format|training[ _]file|jsonl|unprocessable_file"
        r"|expected.*messages",
        "`pytest-finetune data check FILE` names the lines; mend them, and start again",
    ),
    _known(
        "suffix invalid",
        r"invalid.*suffix|suffix.*(invalid|too long|must)",
        "a suffix has up to 64 letters, digits and hyphens: choose another with --suffix",
    ),
    _known(
        "hyperparameter out of range",
        r"hyperparameter|n_epochs|batch_size|learning_rate_multiplier",
        "leave the option out, so that the value is suggested, or give one that the message allows",
    ),
    _known(
        "fault of the server",
        r"server_error|internal|training (process )?(crashed|failed|died)|worker",
        "the fault is the server's: start again; a second failure is worth a report to whoever runs it",
    ),
)
"""In the order in which they are tried; the first that fits a code and its message is told."""

UNKNOWN = "the message is the server's own: look it up in its documentation, mend what it names, and start again"


def known_fault(code: str, message: str, param: str = "") -> KnownFault | None:
    """The known fault that a code, a message and a parameter tell of; None for one that is new."""
    told = f"{code} {param} {message}"
    return next((fault for fault in KNOWN_FAULTS if fault.pattern.search(told)), None)


def advice_for(code: str, message: str, param: str = "") -> str:
    """What to do about a fault, one clause or two; never empty."""
    fault = known_fault(code, message, param)
    return fault.advice if fault else UNKNOWN
