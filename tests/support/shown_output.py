"""The output of a command on a page compared with its real output, whatever the ids, dates and figures of today."""

from __future__ import annotations

import re

OMITTED = "…"
"""On a line of its own: any number of lines."""

VARYING = {
    # A name cut by a table.
    r"(?<=:tickets:)\w+…\S+|…\S+": r"\S+",
    r"\d\d:\d\d:\d\d": r"\d\d:\d\d:\d\d",
    # What a training on another processor comes to: its losses, a case more or less, another checkpoint as the best.
    r"[-+]?\d+\.\d+": r"[-+]?\d+(?:\.\d+)?",
    r"\d of 3 +(?:yes|no)\b": r"\d of 3 +(?:yes|no)",
    r"lost \d+, won \d+": r"lost \d+, won \d+",
    r":ckpt-step-\d+": r"(?::ckpt-step-\d+)?",
    r"in \d+ days": r".*",
    # The same, where the line ends after the number.
    r"in \d+$": r"in \d+",
    r"\s+": r"\s+",
}
"""Patterns of what need not be the same, each with the pattern of what may stand in its place."""

NAMES = {
    r"ftjob-\w{24}": r"ftjob-\w{24}",
    r"(?<=tickets[:-])\w{8}\b": r"\w{8}",
    r"\d{8}T\d{6}(?:\.\d{6}-[\w.-]+)?": r"\d{8}T\d{6}\.\d{6}-[\w.-]+",
}
"""Patterns of names in a page (jobs, models, runs or the beginning of one), each with the pattern of the whole name."""

_RUN_BEGINS = 15
_TOKENS = [*NAMES, *VARYING]
_TOKEN = re.compile("|".join(f"(?P<t{number}>{token})" for number, token in enumerate(_TOKENS)))
_NAME = re.compile("|".join(NAMES))


class ShownOutput:
    """
    The names of a page and what they are called today, learnt from one output after the other.

    `compare(shown, printed)` is true where they agree; `today(command)` is a command of the page with today's names.
    """

    def __init__(self):
        self._names = {}

    def today(self, text):
        return _NAME.sub(lambda found: self._names.get(_key(found[0]), found[0]), text)

    def compare(self, shown, printed):
        new = {}
        lines = [r"(?:.*\n)*?" if line == OMITTED else f"{self._pattern(line, new)}\n" for line in shown.splitlines()]
        found = re.fullmatch("".join(lines), printed)
        if found:
            self._names |= {key: found[group] for key, group in new.items()}
        return found is not None

    def _pattern(self, line, new):
        parts, at = [], 0
        for found in _TOKEN.finditer(line):
            parts += [re.escape(line[at : found.start()]), self._of(_TOKENS[int(found.lastgroup[1:])], found[0], new)]
            at = found.end()
        return "".join([*parts, re.escape(line[at:])])

    def _of(self, token, text, new):
        if token in VARYING:
            return VARYING[token]
        key = _key(text)
        if key in self._names:
            return re.escape(self._names[key])
        if key in new:
            return f"(?P={new[key]})"
        new[key] = f"name{len(new)}"
        return f"(?P<{new[key]}>{NAMES[token]})"


def _key(name):
    return name[:_RUN_BEGINS] if name[0].isdigit() and "T" in name[:_RUN_BEGINS] else name
