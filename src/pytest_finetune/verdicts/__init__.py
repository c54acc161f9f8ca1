"""Text and answers in, verdicts out: eval sets, scorers, metrics and gates; no network and no clock."""
