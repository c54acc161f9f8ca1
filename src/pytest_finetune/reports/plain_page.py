"""A self-contained HTML page without scripts, blocked from the network by its Content-Security-Policy."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.metadata import version

from pytest_finetune.reports.html_text import escaped

_TITLE = 120


def plain_page(title: str, body: str, *, style: str) -> str:
    """
    The page as HTML source.

    Args:
        title: Plain text; escaped here.
        body: HTML in which all untrusted text is already escaped.
        style: The stylesheet; the policy allows it by its hash.
    """
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta name="generator" content="pytest-finetune {version("pytest-finetune")}">\n'
        f"<title>{escaped(title, _TITLE)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
