"""Validates a base URL before the first request, and finds the proxy that applies to it."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from socket import inet_aton
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from pytest_finetune.base.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Letters of any script, and the zone of an IPv6 address. Libraries disagree on where a host ends at other characters.
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+(?:%[\w.-]+)?")
_SUFFIXES = ("/chat/completions", "/responses")


def check_base_url(url: str) -> str:
    """
    Validate a base URL and remove its trailing slash.

    Raises:
        TargetError: It is not an absolute http(s) URL, or it carries credentials, a query or a fragment. The text
            never shows credentials.
    """
    url = url.strip().rstrip("/")
    parts = _split(url)
    if parts.username is not None or parts.password is not None:
        raise _refused("credentials in the base URL", "", "leave them out and set OPENAI_API_KEY")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _refused("not an absolute http or https URL", url, "such as http://127.0.0.1:8000/v1")
    if not _HOST.fullmatch(parts.hostname):
        raise _refused("the host has characters that no host name has", url, "such as http://127.0.0.1:8000/v1")
    if parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise _refused("a base URL ends with its path", url, "leave out the query, the fragment and any space")
    if suffix := next((each for each in _SUFFIXES if parts.path.endswith(each)), ""):
        raise _refused(f"a base URL stops before {suffix}", url, f"write {url.removesuffix(suffix)}")
    return url


def needs_key(base_url: str) -> bool:
    """Whether the server is OpenAI's own, which requires an API key."""
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def is_loopback(base_url: str) -> bool:
    """Whether the server runs on this machine."""
    return _is_loopback(urlsplit(base_url).hostname or "")


def proxy_for(base_url: str, environ: Mapping[str, str]) -> str | None:
    """
    The proxy for a server according to the environment, None if there is none; never one for a loopback address.

    Raises:
        TargetError: The proxy is not an http or https one.
    """
    named = {name.lower(): value.strip() for name, value in environ.items() if name.lower().endswith("_proxy")}
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if _is_loopback(host) or _is_exempt(host, named.get("no_proxy", "")):
        return None
    proxy = named.get(f"{parts.scheme}_proxy") or named.get("all_proxy")
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise TargetError("only http and https proxies are supported", f"{parts.scheme.upper()}_PROXY", "unset it")
    return proxy or None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        # The text is not shown: it may hold credentials.
        raise _refused(f"not a URL: {error}", "", "such as http://127.0.0.1:8000/v1") from None
    return parts


def _is_loopback(host: str) -> bool:
    """Names and addresses of this machine; the unspecified address connects to it, too."""
    host = host.rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or _is_short_loopback(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback or address.is_unspecified


def _is_short_loopback(host: str) -> bool:
    """Other spellings of an IPv4 address, such as `127.1`."""
    try:
        return ip_address(inet_aton(host)).is_loopback if host[:1].isdigit() else False
    except OSError:
        return False


def _is_exempt(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY, a list of domains or a star, covers a host."""
    domains = [name.strip().lstrip(".").lower() for name in no_proxy.split(",")]
    return "*" in domains or any(host == name or host.endswith(f".{name}") for name in domains if name)


def _refused(problem: str, url: str, hint: str) -> TargetError:
    return TargetError(f"{problem}: {url}" if url else problem, "base URL", hint)
