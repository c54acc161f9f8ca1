"""
The summary of a session as an SVG picture with colours, for the README.

    make demo
    cd demo
    pytest --model=registry:v2 --baseline=replay:RUN --no-header -rN --tb=no --color=yes > last.txt    # RUN: that of v1
    python ../docs/terminal_picture.py < last.txt > ../docs/terminal.svg

Only the summary is drawn.
"""

from __future__ import annotations

import re
import sys
from html import escape

COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "36": "#79c0ff"}
LINE, LEFT, CHARACTER = 19, 16, 8.2


def main() -> None:
    lines = sys.stdin.read().splitlines()
    starts = [number for number, line in enumerate(lines) if re.search(r"=+ finetune =+", line)]
    if not starts:
        sys.exit("the input has no summary of pytest-finetune")
    print(svg([line for line in lines[starts[-1] :] if "html report" not in line]))


def svg(lines: list[str]) -> str:
    width = LEFT * 2 + CHARACTER * max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    height = LINE * (len(lines) + 1)
    texts = "\n".join(
        f'<text x="{LEFT}" y="{LINE * number}">{spans(line)}</text>' for number, line in enumerate(lines, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n'
        f'<g fill="#e6edf3" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13.5"'
        f">\n{texts}\n</g>\n</svg>"
    )


def spans(line: str) -> str:
    """The text of a line in `tspan` elements, one for each change of colour or weight."""
    drawn: list[str] = []
    style: dict[str, str] = {}
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b"):
            for code in part[2:-1].split(";"):
                style = {**style, **_style(code)} if code not in ("", "0") else {}
        elif part:
            attributes = "".join(f' {name}="{value}"' for name, value in style.items())
            # SVG renderers collapse ordinary spaces, even with `xml:space`.
            part = escape(part).replace(" ", "\u00a0")  # noqa: PLW2901 - the same text, as drawn
            drawn.append(f"<tspan{attributes}>{part}</tspan>" if style else part)
    return "".join(drawn)


def _style(code: str) -> dict[str, str]:
    return {"font-weight": "bold"} if code == "1" else {"fill": COLOURS[code]} if code in COLOURS else {}


if __name__ == "__main__":
    main()
