"""docs/models.md names every known family with what it refuses and its source."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finetune.verdicts.evalset.model_families import FAMILIES, SAMPLING

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_table_of_models_is_that_of_the_code(family):
    rows = (DOCS / "models.md").read_text("utf-8").splitlines()
    (row,) = (row for row in rows if row.startswith(f"| {family.name} |"))
    _, refused, tools, source = (cell.strip() for cell in row.strip("|").split("|"))
    assert source == family.source
    assert ('unless `reasoning_effort = "none"`' in refused) == family.accepted_without_reasoning
    assert ("penalties" in refused) == (len(family.refused) > len(SAMPLING))
    assert ("system" in refused) == family.refuses_system
    assert ("Responses API only" in tools) == bool(family.tools_need_responses or family.responses_only)
    assert ("all requests" in tools) == family.responses_only
    assert ("unless" in tools) == (family.tools_need_responses == "reasoning")
