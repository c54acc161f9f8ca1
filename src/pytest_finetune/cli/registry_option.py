"""The option that names the registry, shared by the commands that use one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_finetune.lifecycle.registry import open_registry

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.registry import Backend

DEFAULT = "registry.json"


def _open(context: click.Context, parameter: click.Parameter, value: str) -> Backend:  # noqa: ARG001 - click's signature
    return open_registry(value)


registry_option = click.option(
    "--registry",
    "backend",
    metavar="PATH|mlflow:URI",
    default=DEFAULT,
    show_default=True,
    callback=_open,
    is_eager=True,
    help="Registry to use.",
)
