"""Brief texts of values of any size.

Knows: how to cut a value before its whole text is made. Must not know: events, or where the text is shown.
"""

from __future__ import annotations

import itertools
import reprlib
from typing import Any, Final

# A line or two in a terminal.
MAX_CHARACTERS: Final = 200
_MOST_MEMBERS: Final = 20


class _Brief(reprlib.Repr):
    """Shows the first members of a container, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        for kind in ("tuple", "list", "array", "dict", "set", "frozenset", "deque"):
            setattr(self, f"max{kind}", _MOST_MEMBERS)
        self.maxstring = self.maxlong = self.maxother = MAX_CHARACTERS

    def repr_dict(self, value: dict[Any, Any], level: int) -> str:
        """As reprlib's, but not sorted by key."""
        if value and level <= 0:
            return "{...}"
        first = itertools.islice(value.items(), _MOST_MEMBERS)
        pieces = [f"{self.repr1(key, level - 1)}: {self.repr1(member, level - 1)}" for key, member in first]
        return "{" + ", ".join(pieces + ["..."] * (len(value) > _MOST_MEMBERS)) + "}"

    def repr_bytes(self, value: bytes, level: int) -> str:
        """Cut it before it is written as text, which takes four times the memory."""
        return repr(value) if len(value) <= MAX_CHARACTERS else f"{value[:MAX_CHARACTERS]!r}..."


_containers: Final = (tuple, list, dict, set, frozenset)
_shortener: Final = _Brief()


def brief(value: Any) -> str:
    """The result of `str(value)`, cut to about MAX_CHARACTERS, with the number of characters or members left
    out.

    Raises what `str(value)` raises.
    """
    if isinstance(value, str) and len(value) > MAX_CHARACTERS:
        return f"{value[:MAX_CHARACTERS]}... ({len(value)} characters)"
    if isinstance(value, bytes) and len(value) > MAX_CHARACTERS:
        return f"{value[:MAX_CHARACTERS]!r}... ({len(value)} bytes)"
    text = _shortener.repr(value) if isinstance(value, _containers) else str(value)
    if len(text) <= MAX_CHARACTERS:
        return text
    more = f" ({len(value)} members)" if isinstance(value, _containers) else ""
    return f"{text[:MAX_CHARACTERS]}...{more}"
