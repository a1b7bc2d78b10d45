"""numpy arrays and scalars as a tagged array: [marker, dtype, shape, raw bytes].

numpy is optional: a program that has not imported it publishes no array, so we look only at modules
that are there, and a program that reads one gets numpy imported then.

Knows: numpy's array, scalar and dtype. Must not know: msgpack's packer, other types.
"""

from __future__ import annotations

import importlib
import math
import re
import sys
from typing import Any, Final

from .codec_types import ARRAY, SCALAR
from .errors import PayloadError, UnsupportedTypeError

# What a dtype of a plain item looks like: '<f4', '|S10', '>M8[ns]'. Objects ('O') are not among them,
# and nothing else reaches numpy's own parser.
_ITEM: Final = re.compile(r"[<>|=][biufcmMSUV?]\d{1,9}(\[\w{1,20}\])?")
_ADVICE: Final = "send arrays of plain numbers, times, text or structures of these"


def numpy_parts(value: Any) -> list[Any] | None:
    """`value` as a tagged array, or None when it is no numpy array or scalar.

    Raises UnsupportedTypeError for a dtype that cannot be carried.
    """
    np = sys.modules.get("numpy")
    kind = type(value)
    if np is None or not (
        kind is np.ndarray or (issubclass(kind, np.generic) and kind.__module__ == "numpy")
    ):
        return None
    if kind is np.str_ or kind is np.bytes_:
        # As an item of an array, and by item(), it would lose the zeros at its end.
        return [SCALAR, value[:]]
    dtype = _describe(np, value.dtype)
    if kind is not np.ndarray:
        return [SCALAR, dtype, value.tobytes()]
    flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return [ARRAY, dtype, list(value.shape), memoryview(flat)]


def _describe(np: Any, dtype: Any) -> Any:
    """A str, or for a structure a list of fields as numpy's file format has it."""
    if dtype.isbuiltin == 1 and dtype.kind in "biufc?":
        return dtype.str
    try:
        description = np.lib.format.dtype_to_descr(dtype)
        faithful = dtype.itemsize > 0 and _dtype(np, description) == dtype
    except (ValueError, TypeError):
        faithful = False
    if not faithful:
        raise UnsupportedTypeError(f"its dtype is {dtype}: {_ADVICE}")
    return description


def _dtype(np: Any, description: Any) -> Any:
    _check(description)
    return np.lib.format.descr_to_dtype(description)


def _check(description: Any) -> None:
    """Raises PayloadError when `description` is not made of the names of plain items."""
    if isinstance(description, str):
        if not _ITEM.fullmatch(description):
            raise PayloadError(f"not a dtype that can be carried: {description[:40]!r}")
        return
    if not isinstance(description, list):
        raise PayloadError("not the description of a dtype")
    for field in description:
        if not isinstance(field, tuple) or len(field) not in (2, 3):
            raise PayloadError("not a field of a dtype")
        _check(field[1])


def read_array(items: list[Any]) -> Any:
    """The array of [marker, dtype, shape, raw bytes]. It can be written to.

    Raises PayloadError, or whatever numpy says about a senseless dtype or shape.
    """
    np = _numpy()
    _, description, shape, data = items
    dtype = _dtype(np, description)
    if not isinstance(data, (bytes, memoryview)) or not all(
        type(length) is int and length >= 0 for length in shape
    ):
        raise PayloadError("not the parts of an array")
    # Counted in Python's ints, before numpy is asked for memory.
    if dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise PayloadError(f"{len(data)} bytes do not fill an array of shape {tuple(shape)[:10]} of {dtype}")
    return np.frombuffer(data, dtype).reshape(shape).copy() if data else np.empty(shape, dtype)


def read_scalar(items: list[Any]) -> Any:
    """The scalar of [marker, dtype, raw bytes] or [marker, text]. Raises as read_array."""
    np = _numpy()
    if len(items) == 2:
        if not isinstance(items[1], (str, bytes)):
            raise PayloadError("not the text of a numpy scalar")
        return np.str_(items[1]) if isinstance(items[1], str) else np.bytes_(items[1])
    return read_array([ARRAY, items[1], [1], items[2]])[0]


def _numpy() -> Any:
    try:
        return importlib.import_module("numpy")
    except ImportError as error:
        raise PayloadError("the message holds a numpy array, and numpy is not installed here") from error
