"""A page of text, tables and drawings as one HTML file that asks the network for nothing and runs no script."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.metadata import version

from pytest_finetune.reports.html_text import escaped

_TITLE = 120

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --line: #d9dee7; --paper: #fff; }
:root { --first: #3b6fb6; --second: #b25e09; --good: #1a7f37; --bad: #b42318; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #313a48; --paper: #14181f; }
  :root { --first: #7aa7e6; --second: #f5b55c; --good: #6fcf97; --bad: #ff8a80; }
}
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
p, ul { margin: .25rem 0; }
figure { margin: 0; }
figcaption, .soft { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); font-weight: normal; }
th:last-child, td:last-child { text-align: left; }
thead th { color: var(--soft); font-size: .85rem; white-space: nowrap; }
svg { display: block; width: 100%; height: 14rem; border-bottom: 1px solid var(--line); }
svg path { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.first { stroke: var(--first); color: var(--first); } .second { stroke: var(--second); color: var(--second); }
.yes { color: var(--bad); } .no { color: var(--good); } .unknown { color: var(--second); }
"""


def plain_page(title: str, body: str) -> str:
    """
    The whole file.

    Args:
        title: Text, made safe here.
        body: HTML in which all text from outside has been escaped.
    """
    digest = b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta name="generator" content="pytest-finetune {version("pytest-finetune")}">\n'
        f"<title>{escaped(title, _TITLE)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
