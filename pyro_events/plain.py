"""Plain data: what a stock Pyro5 program sent, as its serializer leaves it.

Knows: what serpent makes of bytes and nan, and how a class is named in a dict. Must not know: how anything is
written, or which classes there are.
"""

from __future__ import annotations

import base64
import math
from typing import Any

from .constants import MAX_DEPTH
from .errors import UnsupportedTypeError
from .nesting import TOO_DEEP


class ClassTagged:
    """A dict of a stock Pyro5 program that says by "__class__" what it was."""

    __slots__ = ("state",)

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state


def untangle(value: Any, serpent: bool, depth: int = 1) -> Any:
    """`value` as the program that sent it had it, its classes tagged.

    serpent: whether serpent decoded it. Raises UnsupportedTypeError when it nests too deep.
    """
    kind = type(value)
    if kind not in (dict, list, tuple, set):
        return value
    if depth > MAX_DEPTH:
        raise UnsupportedTypeError(TOO_DEEP)
    if kind is not dict:
        return kind(untangle(member, serpent, depth + 1) for member in value)
    plain = {key: untangle(member, serpent, depth + 1) for key, member in value.items()}
    if serpent and plain.keys() == {"data", "encoding"} and plain["encoding"] == "base64":
        try:
            return base64.b64decode(plain["data"], validate=True)
        except (TypeError, ValueError):
            return plain
    if serpent and plain == {"__class__": "float", "value": "nan"}:
        return math.nan
    return ClassTagged(plain) if type(plain.get("__class__")) is str else plain
