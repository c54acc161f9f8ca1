"""`pytest-finetune view`: recorded runs in a browser."""

from __future__ import annotations

import json
import secrets
import webbrowser
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import ServerError
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.runs.options import runs_dir

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs import RunStore


@exit_codes("0  stopped by Ctrl-C", "2  error: could not start")
@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port.  [default: a free one]")
@click.option("--open/--no-open", "opens", default=False, help="Open the address in the default browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON.")
@runs_dir
def command(store: RunStore, port: int, *, opens: bool, as_json: bool) -> None:
    """View and compare recorded runs in a browser, and review their cases.

    Lists the runs and the history of each gate, compares any two, keeps notes and verdicts of people with a run, adds
    cases to eval sets, and exports samples. Only this machine can connect, and only with the printed address, which
    has a random token. Ctrl-C stops it.
    """
    if missing := [name for name in ("starlette", "uvicorn") if find_spec(name) is None]:
        raise ServerError(f"{', '.join(missing)} is not installed", "view", "pip install 'pytest-finetune[serve]'")
    import uvicorn

    from pytest_finetune.reports.viewer.app import viewer_app
    from pytest_finetune.server.running import bind

    token = secrets.token_urlsafe(24)
    root = store.root.parent.parent
    with bind("127.0.0.1", port) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/?token={token}"
        # The socket listens already, so a browser that is quicker than the server waits.
        click.echo(json.dumps({"url": url}) if as_json else f"runs of {root}: {url}")
        if opens:
            webbrowser.open(url)
        config = uvicorn.Config(viewer_app(store, root, token=token), log_config=None, access_log=False)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
