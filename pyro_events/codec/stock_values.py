"""Plain data: a message of a stock Pyro5 program as its serializer leaves it, and stand-ins for unknown
classes.

Knows: what serpent makes of bytes and nan, and how a class is named in a dict. Must not know: how anything is
written, or which classes there are.
"""

from __future__ import annotations

import base64
import math
from typing import Any

from ..constants import MAX_DEPTH
from ..errors import UnsupportedTypeError
from .depth import TOO_DEEP


class ClassTagged:
    """A dict of a stock Pyro5 program whose "__class__" says what it was."""

    __slots__ = ("state",)

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state


class Unknown:
    """Stands for an instance whose class is not known in this program, or cannot be rebuilt; see
    `Event.plain`. Two are equal when name and state are.

    Attributes:
        name: what the publisher calls the class.
        state: the instance's state: a dict of its fields or attributes, or what its `__getstate__` returned.

    Example:
        >>> Unknown("lab.Reading", {"sensor": "T1", "kelvin": 300.0}).state["kelvin"]
        300.0
    """

    __slots__ = ("name", "state")

    name: str
    state: Any

    def __init__(self, name: str, state: Any) -> None:
        """Make one, as `Event.plain` does.

        Args:
            name: what the publisher calls the class.
            state: the instance's state.
        """
        self.name = name
        self.state = state

    def __repr__(self) -> str:
        return f"Unknown({self.name!r}, {self.state!r})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not Unknown:
            return NotImplemented
        return self.name == other.name and bool(self.state == other.state)

    def __hash__(self) -> int:
        # It may stand for a member of a set, and its state seldom has a hash.
        return hash((self.name, _hash(self.state)))


def _hash(value: Any) -> int:
    """A hash that equal values share, also for containers without a hash."""
    try:
        return hash(value)
    except TypeError:
        if isinstance(value, dict):
            return hash(frozenset((_hash(key), _hash(member)) for key, member in value.items()))
        if isinstance(value, (list, tuple)):
            return hash(tuple(map(_hash, value)))
        return (
            hash(frozenset(map(_hash, value))) if isinstance(value, (set, frozenset)) else hash(type(value))
        )


def untangle(value: Any, serpent: bool, depth: int = 1) -> Any:
    """`value` as it was in the program that sent it, with its classes tagged.

    serpent: whether serpent decoded it. Raises UnsupportedTypeError if it nests too deep.
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
