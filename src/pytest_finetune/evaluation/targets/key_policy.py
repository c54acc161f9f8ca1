"""Which servers may receive an API key. Every part that sends one asks here, and nothing else decides it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_finetune.base.errors import TargetError
from pytest_finetune.evaluation.targets.base_url import check_base_url, is_loopback, needs_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY_SERVERS = "FINETUNE_KEY_SERVERS"
"""Environment variable: base URLs, separated by spaces, that may receive the key, also over plain http."""


def refuse_to_send_key(
    server: str, *, named: Iterable[str] = (), source: str = "", environ: Mapping[str, str] = os.environ
) -> None:
    """
    Refuse a server that must not receive an API key.

    OpenAI's own over https, and this machine, may. Another server may if the user named it, and over plain http only
    if `FINETUNE_KEY_SERVERS` lists it. That is a variable of the environment, because a pull request may change any
    file of the project.

    Args:
        server: A base URL.
        named: Base URLs that the user chose, by an option or a client; `OPENAI_BASE_URL` counts, too.
        source: The file or entry that names the server; empty if the user does.
        environ: Where the two variables are looked up.

    Raises:
        TargetError: It must not receive the key, or it is not a base URL.
    """
    server = check_base_url(server)
    consented = {check_base_url(url) for url in environ.get(KEY_SERVERS, "").split()}
    if is_loopback(server) or server in consented:
        return
    if urlsplit(server).scheme != "https":
        hint = f"use https; or, if that is intended, set {KEY_SERVERS}={server}"
        raise TargetError(f"the key would be sent to {server} unencrypted", source or "base URL", hint)
    chosen = {check_base_url(url) for url in (*named, environ.get("OPENAI_BASE_URL", "")) if url}
    if source and not needs_key(server) and server not in chosen:
        problem = f"{source} names the server {server}, which has not been allowed to receive the API key"
        raise TargetError(problem, source, f"if it may, set {KEY_SERVERS}={server}; else unset OPENAI_API_KEY")
