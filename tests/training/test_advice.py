"""Each known fault of a training has its own advice, recognised by the messages that servers really send."""

from __future__ import annotations

import pytest

from pytest_finetune.lifecycle.registry.announcements import LAST_FINE_TUNING_DAY
from pytest_finetune.lifecycle.training.advice import KNOWN_FAULTS, UNKNOWN, advice_for, known_fault

MESSAGES = [
    ("", "New jobs are not allowed for this organisation", "organisation not allowed"),
    ("", "Fine-tuning is not allowed for this organization.", "organisation not allowed"),
    ("", "New fine-tuning jobs are not allowed", "organisation not allowed"),
    ("insufficient_quota", "You exceeded your current quota, please check your plan.", "no quota"),
    ("invalid_api_key", "Incorrect API key provided: [API key]", "no access"),
    ("", "No such fine-tuning job: ftjob-1", "no such job"),
    ("fine_tune_not_found", "Could not find fine tune: ftjob-1", "no such job"),
    ("rate_limit_exceeded", "Your organization has reached the maximum of 3 active requests", "too many jobs"),
    ("", "You have exceeded the quota of fine-tuning jobs for today", "too many jobs"),
    ("model_not_available", "Model gpt-9 is not available for fine-tuning", "model not trainable"),
    ("", "The model `gpt-9` does not exist", "model not trainable"),
    ("invalid_n_examples", "Training file has 5 example(s), but must have at least 10 examples", "too few examples"),
    ("unsafe_file", "The job failed due to an unsafe training file", "moderation"),
    (
        "invalid_training_file",
        "The job failed due to an invalid training file. Line 3: no messages",
        "training file invalid",
    ),
    ("invalid_file_format", "Invalid file format. Must be jsonl", "training file invalid"),
    ("invalid_validation_file", "The job failed due to an invalid validation file.", "validation file invalid"),
    ("", "Example 12 exceeds the maximum of 65536 tokens", "example too long"),
    ("invalid_value", "Invalid suffix: must be at most 64 characters", "suffix invalid"),
    ("", "n_epochs must be between 1 and 50", "hyperparameter out of range"),
    ("server_error", "The server had an error", "server error"),
    ("training_failed", "out of memory: the training process died", "server error"),
]


@pytest.mark.parametrize(("code", "message", "name"), MESSAGES)
def test_messages_of_real_servers_are_recognised(code, message, name):
    found = known_fault(code, message)
    assert found is not None
    assert found.name == name
    assert advice_for(code, message) == found.advice


def test_every_known_fault_has_a_real_message():
    assert {name for *_, name in MESSAGES} == {fault.name for fault in KNOWN_FAULTS}


def test_each_fault_has_its_own_advice():
    assert len({fault.advice for fault in KNOWN_FAULTS}) == len(KNOWN_FAULTS)


def test_a_refused_organisation_gets_the_date_and_an_alternative():
    advice = advice_for("", "New jobs are not allowed for this organization")
    assert str(LAST_FINE_TUNING_DAY) == "2027-01-06"
    assert "2027-01-06" in advice
    assert "pytest-finetune serve" in advice


def test_an_unknown_message_gets_general_advice():
    assert advice_for("flux", "the flux is too low") == UNKNOWN
