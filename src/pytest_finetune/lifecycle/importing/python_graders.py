"""Python graders of OpenAI's Evals as scoring functions in files for the user to read: nothing here runs them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ITEM = "item"
"""The key in the metadata of a case that holds the whole item, which such a grader reads."""

_MOST_CHARACTERS = 256 * 1024
_ENDING = '''

# Added by `pytest-finetune import`: the grader above as a scoring function.
def passes(case, completion):
    """Whether the grader gives at least {threshold:g}."""
    import json

    from pytest_finetune import Score

    try:
        value = json.loads(completion.text)
    except ValueError:
        value = None
    calls = [{{"function": {{"name": call.name, "arguments": call.arguments}}}} for call in completion.tool_calls]
    sample = {{"output_text": completion.text, "output_json": value, "output_tools": calls}}
    score = float(grade(sample, dict(case.metadata["item"])))
    value = score if 0 <= score <= 1 else None
    return Score(passed=score >= {threshold!r}, value=value, detail=f"the grader gave {{score:g}}")
'''


@dataclass(frozen=True, slots=True)
class PythonGrader:
    """A grader whose code goes to a file of its own."""

    name: str
    source: str
    threshold: float

    def module(self, stem: str) -> str:
        """The name of its module, next to the eval set with this stem."""
        return re.sub(r"\W+", "_", f"{stem}_{self.name}_grader", flags=re.ASCII)

    def code(self, target: str) -> str:
        """The content of the file; `target` names the eval set."""
        head = f"# A Python grader of {target}. Read it before you use it: it runs with your rights.\n\n"
        return head + self.source.rstrip() + "\n" + _ENDING.format(threshold=self.threshold)


def python_grader(name: str, grader: Mapping[str, Any]) -> PythonGrader | str:
    """The grader, or why it cannot be carried over. Its code is parsed and not run."""
    source, threshold = grader.get("source"), grader.get("pass_threshold")
    if not isinstance(source, str) or len(source) > _MOST_CHARACTERS:
        return "has no source of at most 256 KiB"
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        return "has no pass_threshold"
    try:
        source.encode()
        parsed = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "its source is not Python"
    functions = [each for each in parsed.body if isinstance(each, ast.FunctionDef) and each.name == "grade"]
    if not functions or len(functions[-1].args.args) != 2:  # noqa: PLR2004 - as OpenAI calls it
        return "its source has no function grade(sample, item)"
    return PythonGrader(name, source, float(threshold))
