"""Default location of eval sets, for the plugin and the commands; cheap to import in every session."""

EVAL_SET_PATTERNS = ["eval_sets/*.jsonl", "*/eval_sets/*.jsonl"]
"""Paths relative to the root; `*` also matches `/`, as in fnmatch."""
