"""`pytest-finetune serve`: the local OpenAI-compatible server."""

from __future__ import annotations

import json
import os
import time
from importlib.util import find_spec
from pathlib import Path

import click

from pytest_finetune.base.errors import ServerError
from pytest_finetune.base.text import printable
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.evaluation.targets.weights import BASE, find_weights

KEY = "FINETUNE_SERVER_KEY"
STATE = Path(".finetune", "server")
MODELS = Path(".finetune", "models")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_NEEDED = ("starlette", "uvicorn", "python_multipart", "xllamacpp")

_folder = click.Path(file_okay=False, path_type=Path)


@exit_codes(
    "0  stopped by Ctrl-C or SIGTERM", "2  error: could not start, or stopped, for example because of a full disk"
)
@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8321,
    show_default=True,
    help="Port; 0 picks a free one.",
)
@click.option("--state", type=_folder, default=STATE, show_default=True, help="Folder for files, jobs and batches.")
@click.option("--models", type=_folder, default=MODELS, show_default=True, help="Folder for fine-tuned adapters.")
@click.option(
    "--weights-cache", type=_folder, help="Folder for the unpacked base model (0.5 GB).  [default: base in --state]"
)
@click.option(
    "--places", type=click.IntRange(1, 16), help="Concurrent completions, one core each.  [default: all cores]"
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Cores used for training; more than one helps only on an idle machine.",
)
@click.option("--quiet", is_flag=True, help="Do not log requests to standard error.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON.")
def command(
    host: str,
    port: int,
    *,
    state: Path,
    models: Path,
    weights_cache: Path | None,
    places: int | None,
    threads: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Serve OpenAI's API on this machine, fine-tuning included.

    Supports chat completions, files, fine-tuning jobs and batches. The base URL is printed once the server is ready.
    Ctrl-C stops it; a running training saves its state, and a server with the same --state resumes it.

    If FINETUNE_SERVER_KEY is set, clients must send it as their API key. Without it, the server accepts connections
    from this machine only.
    """
    key = os.environ.get(KEY, "").strip()
    _check(host, key)
    from pytest_finetune.server.app import ServerSettings
    from pytest_finetune.server.running import bind, only_server, run

    state, models = state.resolve(), models.resolve()
    cache = weights_cache.resolve() if weights_cache else state / "base"
    log = _silent if quiet else _log
    settings = ServerSettings(state, models, cache, places or _cores(), threads, key, log)
    with only_server(state), bind(host, port) as listener:
        address = f"[{host}]" if ":" in host else host
        url = f"http://{address}:{listener.getsockname()[1]}/v1"
        run(settings, listener, lambda: _announce(url, as_json=as_json))


def _check(host: str, key: str) -> None:
    if missing := [name.replace("_", "-") for name in _NEEDED if find_spec(name) is None]:
        hint = "pip install 'pytest-finetune[serve,local,train]'"
        raise ServerError(f"{', '.join(missing)} is not installed", "serve", hint)
    if host not in _LOOPBACK and not key:
        hint = f"set {KEY} to a long secret that clients send as their API key, or listen on 127.0.0.1"
        raise ServerError("a server without a key must not be reachable from other machines", f"--host {host}", hint)
    find_weights(f"local:{BASE}", Path())


def _announce(url: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"base_url": url, "pid": os.getpid()}) if as_json else f"base URL: {url}")


def _log(line: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {printable(line)}", err=True)


def _silent(_: str) -> None:
    """Log nothing."""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
