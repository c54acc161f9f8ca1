"""What the registry's commands share: where the registry is, which version is meant, and who acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_finetune.errors import FinetuneError
from pytest_finetune.registry import FileBackend, RegistryError, current_who, open_registry

if TYPE_CHECKING:
    from pytest_finetune.registry import Backend, Registry

DEFAULT = "registry.json"


def _open(context: click.Context, parameter: click.Parameter, value: str) -> Backend:  # noqa: ARG001 - click's signature
    return open_registry(value)


def read(backend: Backend) -> Registry:
    """
    The registry, which has to be there: a mistyped path is no empty registry.

    Raises:
        RegistryError: It is not, or cannot be read.
    """
    if isinstance(backend, FileBackend) and not backend.path.exists():
        hint = "name it with --registry, or begin one: pytest-finetune registry add"
        raise RegistryError("there is no registry", backend.location, hint)
    return backend.read()


registry_option = click.option(
    "--registry",
    "backend",
    metavar="PATH|mlflow:URI",
    default=DEFAULT,
    show_default=True,
    callback=_open,
    is_eager=True,
    help="Where the registry is kept.",
)

who_option = click.option(
    "--who", default=current_who, metavar="NAME", help="Who acts, for the history.  [default: git's user.email]"
)


def _versions(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    try:
        backend: Backend = context.params.get("backend") or open_registry(DEFAULT)
        names = backend.read().entries
    except FinetuneError:
        # A shell that completes has no place for an error; the command itself will tell it.
        return []
    return [name for name in names if name.startswith(incomplete)]


version_argument = click.argument("version", shell_complete=_versions)
optional_version = click.argument("version", required=False, shell_complete=_versions)
two_versions = (
    click.argument("a", shell_complete=_versions),
    click.argument("b", shell_complete=_versions),
)
