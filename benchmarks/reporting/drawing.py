"""Pieces of SVG: a document with a title, and text.

Knows: SVG. Must not know: what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ..machine import in_words

OURS, THEIRS, QUIET, INK = "#1f6feb", "#b6bec9", "#57606a", "#1f2328"
GAP, TOP = 24, 64


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    weight: str = "normal",
    colour: str = INK,
    anchor: str = "start",
) -> str:
    """A line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def document(width: float, height: float, title: str, note: str, body: Iterable[str]) -> str:
    """A whole file, with a title and a smaller line below it."""
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        text(GAP, 26, title, size=17, weight="bold"),
        text(GAP, 46, note, colour=QUIET),
    ]
    return "\n".join([*head, *body, "</svg>", ""])


def origin(machine: dict[str, object], settings: dict[str, object], many: str) -> str:
    """Where figures come from, in a line. many: what is shown of several rounds."""
    rounds = settings.get("rounds", 1)
    words = "one round" if rounds == 1 else f"median of {rounds} rounds{many}"
    if machine:
        words = f"{words}; {in_words(machine)}"
    return f"QUICK, no comparison: {words}" if settings.get("quick") else words
