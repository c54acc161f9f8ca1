"""Checks of a project and its server before the first evaluation; nothing is requested that costs money."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.base.records import Usage
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.base.text import shorten
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.evaluation.pricing import price
from pytest_finetune.evaluation.targets.base_url import check_base_url, needs_key
from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key
from pytest_finetune.evaluation.targets.official_client import make_client
from pytest_finetune.evaluation.targets.openai import DEFAULT_BASE_URL
from pytest_finetune.lifecycle.registry import open_registry
from pytest_finetune.lifecycle.registry.sunset import model_list
from pytest_finetune.lifecycle.registry.verification import history_problem
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_lines, configured_patterns, project_root
from pytest_finetune.verdicts.loading import load_project_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT = 10.0
"""Seconds for the server's model list."""

_REFUSED, _NOT_FOUND = (401, 403), 404
_PACKAGES = ("pytest-finetune", "pytest", "pytest-html", "openai")
_PLUGINS = {"anyio": "anyio", "html": "pytest-html", "metadata": "pytest-metadata"}
"""Names of the pytest plugins that our requirements bring, with their packages."""
_EXTRA = re.compile(r"extra == ['\"]([\w-]+)['\"]")


class CheckState(StrEnum):
    """How a check ended; `SKIPPED` if there was nothing to check."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "-"


@dataclass(frozen=True, slots=True)
class SetupCheck:
    """
    One check.

    Args:
        name: What was checked.
        state: How it ended.
        detail: What was found.
        hint: What to do about it; empty if nothing.
    """

    name: str
    state: CheckState
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """
    What is checked.

    Args:
        folder: A folder of the project.
        base_url: The server; empty takes `OPENAI_BASE_URL`, else OpenAI's own.
        model: A model id on that server; empty checks none.
        registry: Path of the registry, or `mlflow:URI`.
    """

    folder: Path
    base_url: str = ""
    model: str = ""
    registry: str = "registry.json"

    @property
    def server(self) -> str:
        """The base URL as it is used."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL", "").strip() or DEFAULT_BASE_URL

    @property
    def key(self) -> str:
        """The API key from the environment; empty without one."""
        return os.environ.get("OPENAI_API_KEY", "").strip()


def check_setup(setup: Setup) -> Iterator[SetupCheck]:
    """Every check in turn; one that fails in an unexpected way is an error of its own."""
    steps: dict[str, Callable[[Setup], Iterator[SetupCheck]]] = {
        "versions": _versions,
        "extras": _extras,
        "plugins": _plugins,
        "eval sets": _eval_sets,
        "registry": _registry,
        "key": _key,
        "server": _server,
        "price": _price,
    }
    for name, step in steps.items():
        try:
            yield from step(setup)
        except FinetuneError as error:
            yield SetupCheck(name, CheckState.ERROR, shorten(f"{error.where}: {error.problem}", 300), error.hint)


def _versions(setup: Setup) -> Iterator[SetupCheck]:  # noqa: ARG001 - all checks have the same parameter
    found = [f"{name} {version(name)}" for name in _PACKAGES]
    yield SetupCheck("versions", CheckState.OK, ", ".join([f"Python {platform.python_version()}", *found]))


def _extras(setup: Setup) -> Iterator[SetupCheck]:  # noqa: ARG001 - all checks have the same parameter
    missing: dict[str, bool] = {}
    for requirement in distribution("pytest-finetune").requires or ():
        for extra in _EXTRA.findall(requirement):
            name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
            # The extra `[all]` requires this package itself.
            if name == "pytest-finetune":
                continue
            missing[extra] = missing.get(extra, False) or not _is_installed(name)
    installed = [extra for extra in sorted(missing) if not missing[extra]]
    others = [extra for extra in sorted(missing) if missing[extra]]
    rest = f"; not installed: {', '.join(others)}" if others else ""
    yield SetupCheck("extras", CheckState.OK, f"installed: {', '.join(installed) or 'none'}{rest}")


def _plugins(setup: Setup) -> Iterator[SetupCheck]:
    """The pytest plugins of our requirements, which pytest loads in every session of this environment."""
    found = {name: owner for name, owner in _PLUGINS.items() if _is_installed(owner)}
    options = " ".join(configured_lines(setup.folder, "addopts"))
    loaded = [name for name in found if not re.search(rf"-p\s*no:{name}\b", options)]
    detail = f"loaded in every pytest session: {', '.join(loaded) or 'none of our requirements'}"
    hint = "without async tests of its own, a project starts faster with addopts = -p no:anyio"
    yield SetupCheck("plugins", CheckState.OK, detail, hint if "anyio" in loaded else "")


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _eval_sets(setup: Setup) -> Iterator[SetupCheck]:
    root = project_root(setup.folder) or setup.folder
    patterns = configured_patterns(root)
    paths = find_eval_sets([root], root=root, patterns=patterns)
    if not paths:
        hint = "put a .jsonl file there, or set finetune_eval_sets; pytest-finetune import and data prepare write one"
        yield SetupCheck("eval sets", CheckState.WARNING, f"none: looked for {', '.join(patterns)} in {root}", hint)
        return
    sets = load_project_sets(paths, root=root)
    cases = sum(len(eval_set.cases) for eval_set in sets)
    yield SetupCheck("eval sets", CheckState.OK, f"{len(sets):,} with {cases:,} cases in {root}")
    for eval_set in sets:
        for warning in eval_set.warnings:
            yield SetupCheck("eval sets", CheckState.WARNING, f"{eval_set.name}: {warning}")


def _registry(setup: Setup) -> Iterator[SetupCheck]:
    backend = open_registry(setup.registry)
    registry = backend.read()
    if problem := history_problem(registry):
        yield SetupCheck(
            "registry", CheckState.ERROR, f"{backend.location} {problem}", "pytest-finetune registry verify"
        )
    elif registry.entries:
        production = [name for name, entry in registry.entries.items() if entry.status == "production"]
        detail = f"{backend.location}: {len(registry.entries):,} versions, production {', '.join(production) or 'none'}"
        yield SetupCheck("registry", CheckState.OK, detail)
    else:
        yield SetupCheck("registry", CheckState.SKIPPED, f"{backend.location} has no versions")


def _key(setup: Setup) -> Iterator[SetupCheck]:
    if setup.key:
        refuse_to_send_key(setup.server, named=[setup.base_url] if setup.base_url else ())
        yield SetupCheck("key", CheckState.OK, "OPENAI_API_KEY is set")
    elif needs_key(setup.server):
        hint = "set OPENAI_API_KEY; or name a server of your own with --base-url or OPENAI_BASE_URL"
        yield SetupCheck("key", CheckState.ERROR, "OPENAI_API_KEY is not set", hint)
    else:
        yield SetupCheck("key", CheckState.SKIPPED, f"OPENAI_API_KEY is not set; {setup.server} may not need one")


def _server(setup: Setup) -> Iterator[SetupCheck]:
    server = check_base_url(setup.server)
    if not setup.key and needs_key(server):
        yield SetupCheck("server", CheckState.SKIPPED, f"{server}: not requested without a key")
        return
    if setup.key:
        refuse_to_send_key(server, named=[setup.base_url] if setup.base_url else ())
    models, problem, hint = _listed_models(server, setup.key)
    if problem:
        yield SetupCheck("server", CheckState.ERROR, f"{server}: {problem}", hint)
        return
    yield SetupCheck("server", CheckState.OK, f"{server} lists {len(models):,} models")
    if not setup.model:
        return
    if setup.model in models:
        yield SetupCheck("model", CheckState.OK, f"{setup.model} is in the list")
    else:
        hint = f"it lists, for example, {', '.join(sorted(models)[:3])}" if models else "its list is empty"
        yield SetupCheck("model", CheckState.WARNING, f"{setup.model} is not in the server's list", hint)


def _listed_models(server: str, key: str) -> tuple[set[str], str, str]:
    """The ids of the server's model list; or the problem, and what to do about it."""
    import openai

    try:
        with make_client(server, key or "not-needed", timeout=TIMEOUT, max_retries=0) as client:
            # The client's own parser accepts anything as a model.
            models = model_list(client.models.with_raw_response.list().text)
    except openai.APIStatusError as error:
        problem = f"status {error.status_code} for GET /models"
        if error.status_code in _REFUSED:
            return set(), problem, "check OPENAI_API_KEY" if key else "set OPENAI_API_KEY: this server needs a key"
        if error.status_code == _NOT_FOUND and not urlsplit(server).path.strip("/"):
            return set(), problem, f"the base URL probably ends with /v1: {server}/v1"
        return set(), problem, "check the base URL; the server may also have no model list"
    except openai.APIConnectionError as error:
        cause = error_line(str(error.__cause__ or error))
        return set(), f"no connection: {cause}", "start the server, or check the address and the proxy"
    if models is None:
        return set(), "GET /models did not return a model list", "check the base URL"
    return {str(model["id"]) for model in models if model.get("id")}, "", ""


def _price(setup: Setup) -> Iterator[SetupCheck]:
    if not setup.model:
        return
    root = project_root(setup.folder) or setup.folder
    usage = Usage(prompt=1_000_000, completion=1_000_000)
    known = price(setup.model, usage, base_url=setup.server, configured=project_prices(root))
    if known is None:
        hint = f"--max-cost needs one: set finetune_prices = {setup.model} = INPUT, OUTPUT (US dollars per 1M tokens)"
        yield SetupCheck("price", CheckState.WARNING, f"the price of {setup.model} is not known", hint)
    else:
        yield SetupCheck("price", CheckState.OK, f"{setup.model}: known")
