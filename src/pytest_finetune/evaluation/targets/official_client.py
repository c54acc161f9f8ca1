"""Makes the official client, for everything but evaluation: it never sends the key of a local server to a proxy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_finetune.evaluation.targets.base_url import check_base_url, proxy_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import OpenAI

DEFAULT_BASE_URL = "https://api.openai.com/v1"
TIMEOUT = 60.0
"""Seconds to wait for a response."""


def make_client(
    base_url: str | None = None,
    secret: str | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    timeout: float = TIMEOUT,
    max_retries: int = 2,
) -> OpenAI:
    """
    The official client of a server, with the proxy of the environment unless the server is on loopback.

    Args:
        base_url: The server; None takes the one that the environment names.
        secret: The key; None takes the one of the environment.
        environ: Where proxies and the server are looked up.
        timeout: Seconds to wait for a response.
        max_retries: How often the client repeats a request.

    Raises:
        OpenAIError: There is no key.
        TargetError: The base URL or the proxy cannot be used.
    """
    import openai

    url = check_base_url(base_url or environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
    # The client reads proxies from the environment and would use them even for a server on loopback.
    host = urlsplit(url).hostname or ""
    host = f"[{host}]" if ":" in host else host
    direct = {} if proxy_for(url, environ) else {f"all://{host}": None}
    return openai.OpenAI(
        base_url=url,
        api_key=secret,
        timeout=timeout,
        max_retries=max_retries,
        http_client=openai.DefaultHttpxClient(mounts=direct),
    )
