"""Reads a message without needing all of its classes, for tools that show or record the events of others.

Knows: what stands for a value that cannot be made here. Must not know: how any value is written.
"""

from __future__ import annotations

from typing import Any, Final

from msgpack import ExtType

from ..errors import PayloadError
from .classes import registry
from .message import class_tagged_state, decode, read_list, read_object
from .numpy_arrays import NoNumpyError, read_array, read_scalar
from .stock_values import Unknown
from .values import ARRAY, CLASS_TAGGED, OBJECT, SCALAR


def decode_plain(payload: bytes | memoryview) -> Any:
    """As `decode`, with an Unknown in place of a value that cannot be made in this program. Raises
    PayloadError."""
    return decode(payload, _read_plain_list)


def _read_plain_list(items: list[Any]) -> Any:
    code = items[0][0] if items and type(items[0]) is ExtType else 0
    reader = _PLAIN_READERS.get(code)
    return read_list(items) if reader is None else reader(items)


def _read_plain_object(items: list[Any]) -> Any:
    _, name, state = items
    try:
        return read_object(items)
    except PayloadError:
        if type(name) is not str:
            raise
        return Unknown(name, state)


def _read_plain_class_tagged(items: list[Any]) -> Any:
    state = class_tagged_state(items)
    name = state["__class__"]
    try:
        return registry.restore(name, state, tagged=True)
    except (registry.UnknownClassError, PayloadError):
        return Unknown(name, {key: member for key, member in state.items() if key != "__class__"})


def _read_plain_array(items: list[Any]) -> Any:
    try:
        return read_array(items)
    except NoNumpyError:
        _, dtype, shape, data = items
        return Unknown("numpy.ndarray", {"dtype": dtype, "shape": shape, "data": data})


def _read_plain_scalar(items: list[Any]) -> Any:
    try:
        return read_scalar(items)
    except NoNumpyError:
        return Unknown("numpy.generic", {"dtype": items[1] if len(items) == 3 else "", "data": items[-1]})


_PLAIN_READERS: Final = {
    OBJECT.code: _read_plain_object,
    CLASS_TAGGED.code: _read_plain_class_tagged,
    ARRAY.code: _read_plain_array,
    SCALAR.code: _read_plain_scalar,
}
