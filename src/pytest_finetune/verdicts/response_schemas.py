"""The JSON Schemas that answers are requested with: read and checked as those of scorers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM
from pytest_finetune.verdicts.set_faults import file_hint

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.verdicts.evalset.settings import RequestSettings
    from pytest_finetune.verdicts.set_faults import SetFaults


def read_response_schema(request: RequestSettings, at: tuple[str, ...], folder: Path, faults: SetFaults) -> object:
    """
    The schema in the file that `response_schema` names; None if it names none or there is a fault.

    A schema in `response_format` is checked too.

    Args:
        request: The table.
        at: Its path in the settings.
        folder: The folder of the eval set.
        faults: Collects faults and warnings.
    """
    if request.response_schema is None:
        format_ = request.response_format
        inline = format_.get("json_schema") if isinstance(format_, dict) else None
        if isinstance(inline, dict) and "schema" in inline:
            _check(inline["schema"], (*at, "response_format"), faults)
        return None
    path = folder / request.response_schema
    try:
        schema = parse_json(path.read_bytes().removeprefix(UTF8_BOM).decode())
    except OSError as error:
        problem, hint = f"{error.strerror}", file_hint(path)
    except UnicodeDecodeError:
        problem, hint = "the file is not UTF-8", "save it as UTF-8"
    except JsonFault as fault:
        problem, hint = f"not strict JSON: {fault}", "it must be a JSON Schema"
    else:
        _check(schema, (*at, "response_schema"), faults, request.response_schema)
        return schema
    faults.add_at((*at, "response_schema"), f"{request.response_schema}: {problem}", hint)
    return None


def _check(schema: object, at: tuple[str, ...], faults: SetFaults, file: str = "") -> None:
    """Check the schema as a scorer's is checked: a misspelt keyword would allow any answer."""
    from pytest_finetune.verdicts.json_schema.validation import compile_schema  # slow to import, rarely used

    name = file or at[-1]
    try:
        faults.warnings.update(dict.fromkeys(compile_schema(schema, name).warnings))
    except ScorerError as error:
        place = error.where.removeprefix(name) if not file else f"{error.where}: "
        faults.add_at(at, f"{place.lstrip(': ')}{error.problem}", error.hint)
