"""Hashes of the settings and schemas of an eval set: evidence is about one version of them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_finetune.base.json_text import canonical_json

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.verdicts.evalset.request_form import Api
    from pytest_finetune.verdicts.evalset.settings import EvalSettings


def settings_sha256(settings: EvalSettings, fingerprint: str = "", api: Api | None = None) -> str:
    """
    Hash of the settings; order, layout and spelt-out defaults do not change it.

    Args:
        settings: The settings as written.
        fingerprint: The scorer's; it covers code that is not part of this package.
        api: The API demanded for all requests. It changes the hash unless the settings say the same: answers that came
            over another API are no evidence about what the project asks.
    """
    values = settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if "normalize" in settings.model_fields_set:
        # The default spelt out differs from the default: JSON values are normalized only where the settings say so.
        values["normalize"] = settings.normalize
    if settings.scorers:
        values["scorers"] = [
            each.model_dump(mode="json", by_alias=True, exclude_unset=True) for each in settings.scorers
        ]
    named = {settings.request.api, *(each.request.api or settings.request.api for each in settings.models.values())}
    demanded = "" if api is None or named == {api} else f"api={api}"
    return sha256((canonical_json(values) + fingerprint + demanded).encode()).hexdigest()


def schema_sha256(settings: EvalSettings, folder: Path) -> str:
    """Hash of the schema files that the settings name, relative to the folder; empty if they name none."""
    paths = (folder / name for name in settings.schema_files)
    digests = [sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()]
    return sha256("".join(digests).encode()).hexdigest() if digests else ""
