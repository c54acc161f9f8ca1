"""
The layers of ARCHITECTURE.md as a picture, drawn from the contracts that import-linter checks.

    python docs/layers_picture.py > docs/layers.svg
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
WIDTH, GAP, LINE, PADDING = 720, 10, 20, 14
COLOURS = ("#e8f0fe", "#e6f4ea", "#fef7e0", "#fce8e6", "#f3e8fd", "#e4f7fb")

Layers = list[list[str]]
"""Names by layer, the highest first; those of one layer do not import each other."""


def main() -> None:
    contracts = tomllib.loads(PROJECT.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    print(svg(layers(contracts)))


def layers(contracts: list[dict[str, Any]]) -> dict[str, Layers]:
    """The layers of each package that a contract gives layers; those of the whole under the empty name."""
    return {
        container.removeprefix("pytest_finetune").lstrip("."): [
            [name.strip(" ()") for name in layer.replace(":", "|").split("|")] for layer in contract["layers"]
        ]
        for contract in contracts
        if contract["type"] == "layers"
        for container in contract["containers"]
    }


def svg(inside: dict[str, Layers]) -> str:
    drawn: list[str] = []
    top = GAP
    for number, packages in enumerate(inside[""]):
        rows = max(len(inside.get(name, [])) for name in packages)
        height = 2 * PADDING + LINE * max(1, rows)
        width = (WIDTH - GAP * (len(packages) + 1)) / len(packages)
        for column, name in enumerate(packages):
            left = GAP + column * (width + GAP)
            drawn.append(_box(left, top, width, height, COLOURS[number % len(COLOURS)]))
            drawn.append(_text(left + PADDING, top + PADDING, name, "bold"))
            drawn += [
                _text(left + 150, top + PADDING + LINE * row, "   ".join(names))
                for row, names in enumerate(inside.get(name, []))
            ]
        top += height + GAP
    label = "The layers of pytest-finetune: a package imports only what is below it"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" role="img"'
        f' aria-label="{label}">\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<g fill="#1f2328" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">\n'
        + "\n".join(drawn)
        + "\n</g>\n</svg>"
    )


def _box(left: float, top: float, width: float, height: float, colour: str) -> str:
    place = f'x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {place} rx="6" fill="{colour}" stroke="#8c959f"/>'


def _text(left: float, top: float, text: str, weight: str = "normal") -> str:
    # Renderers fold ordinary spaces.
    text = text.replace(" ", "\u00a0")
    return f'<text x="{left:g}" y="{top + LINE * 0.7:g}" font-weight="{weight}">{text}</text>'


if __name__ == "__main__":
    main()
