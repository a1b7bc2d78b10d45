"""numpy arrays and scalars as a tagged array: [marker, dtype, shape, raw bytes].

numpy is optional. A program that has not imported it cannot publish an array, so when writing only imported
modules are checked. When a program reads an array, numpy is imported.

Raw bytes are only those of the items. The bytes between the fields of a structure, and those that fill up a
long double, are leftovers of the program's memory and are sent as zeros.

Knows: numpy's array, scalar and dtype. Must not know: msgpack's packer, other types.
"""

from __future__ import annotations

import importlib
import math
import re
import sys
import warnings
from typing import Any, Final

from ..errors import PayloadError, UnsupportedTypeError
from ..foreign_exceptions import is_signal_handlers
from .values import ARRAY, SCALAR

# The dtype of a plain item: '<f4', '|S10', '>M8[ns]'. Objects ('O') are excluded, and nothing else reaches
# numpy's own parser.
_ITEM: Final = re.compile(r"[<>|=][biufcmMSUV?]\d{1,9}(\[\w{1,20}\])?")
_ADVICE: Final = "send arrays of plain numbers, times, text or structures of these"
# Put in front of a dtype: items are np.record; the array is a np.recarray.
_RECORD: Final = "record"
_RECARRAY: Final = "recarray"
# A long double of x86 has ten bytes, filled up to 12 or 16.
_EXTENDED_BITS: Final = 63
_EXTENDED_BYTES: Final = 10


def carries(cls: type) -> bool:
    """Whether values of exactly that class are numpy's and can be carried."""
    np = sys.modules.get("numpy")
    return np is not None and _is_numpys(np, cls)


def _is_numpys(np: Any, cls: type) -> bool:
    return (
        cls is np.ndarray
        or cls is np.recarray
        or (issubclass(cls, np.generic) and (cls.__module__ == "numpy" or cls is np.record))
    )


def numpy_parts(value: Any) -> list[Any] | None:
    """`value` as a tagged array, or None if it is not a numpy array or scalar.

    Raises UnsupportedTypeError for a dtype that cannot be carried.
    """
    np = sys.modules.get("numpy")
    kind = type(value)
    if np is None or not _is_numpys(np, kind):
        return None
    if kind is np.str_ or kind is np.bytes_:
        # As an item of an array, and with item(), it would lose the zeros at its end.
        return [SCALAR, value[:]]
    dtype = value.dtype
    description = _describe(np, dtype)
    if kind is np.recarray:
        inner = description[1] if dtype.type is np.record else description
        description = (_RECARRAY, inner)
    padded = dtype.names is not None or dtype.char in "gG"
    if kind is np.ndarray or kind is np.recarray:
        flat = np.ascontiguousarray(value).reshape(-1)
        raw = _without_padding(np, flat, dtype) if padded else flat.view(np.uint8)
        return [ARRAY, description, list(value.shape), memoryview(raw)]
    if padded:
        return [SCALAR, description, _without_padding(np, np.array([value], dtype), dtype).tobytes()]
    return [SCALAR, description, value.tobytes()]


def _without_padding(np: Any, flat: Any, dtype: Any) -> Any:
    """The items' bytes, with zeros in the places of a dtype that belong to no field."""
    used = np.zeros(dtype.itemsize, bool)
    _mark_used(np, used, dtype, 0)
    if used.all():
        return flat.view(np.uint8)
    raw = flat.view(np.ndarray).view(np.uint8).reshape(-1, dtype.itemsize).copy()
    raw[:, ~used] = 0
    return raw.reshape(-1)


def _mark_used(np: Any, used: Any, dtype: Any, start: int) -> None:
    """Mark the bytes that belong to an item of `dtype` which begins at `start`."""
    if dtype.subdtype is not None:
        item = np.zeros(dtype.base.itemsize, bool)
        _mark_used(np, item, dtype.base, 0)
        used[start : start + dtype.itemsize] = np.tile(item, math.prod(dtype.shape))
    elif dtype.names is not None:
        for name in dtype.names:
            field, offset = dtype.fields[name][:2]
            _mark_used(np, used, field, start + offset)
    elif dtype.char in "gG" and np.finfo(np.longdouble).nmant == _EXTENDED_BITS:
        size = np.dtype(np.longdouble).itemsize
        front = 0 if dtype.newbyteorder("<") == dtype else size - _EXTENDED_BYTES
        for at in range(start, start + dtype.itemsize, size):
            used[at + front : at + front + _EXTENDED_BYTES] = True
    else:
        used[start : start + dtype.itemsize] = True


def _describe(np: Any, dtype: Any) -> Any:
    """A str, or for a structure a list of fields as in numpy's file format; for records with one marker in
    front."""
    if dtype.isbuiltin == 1 and dtype.kind in "biufc?":
        return dtype.str
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns that metadata is not part of a dtype's description
            description = np.lib.format.dtype_to_descr(dtype)
        if dtype.type is np.record:
            description = (_RECORD, description)
        faithful = dtype.itemsize > 0 and _are_same(_dtype(np, description), dtype)
    except (ValueError, TypeError) as error:
        if is_signal_handlers(error):
            raise
        faithful = False
    if not faithful:
        raise UnsupportedTypeError(f"its dtype is {dtype}: {_ADVICE}")
    return description


def _are_same(one: Any, other: Any) -> bool:
    """Whether two dtypes are equal, and the classes of their items too, at every level."""
    if one != other or one.type is not other.type:
        return False
    if one.subdtype is not None:
        return _are_same(one.base, other.base)
    return all(_are_same(one.fields[name][0], other.fields[name][0]) for name in one.names or ())


def _dtype(np: Any, description: Any) -> Any:
    if isinstance(description, tuple) and len(description) == 2 and description[0] in (_RECORD, _RECARRAY):
        dtype = _dtype(np, description[1])
        return np.dtype((np.record, dtype)) if dtype.names is not None else dtype
    _check(description)
    return np.lib.format.descr_to_dtype(description)


def _check(description: Any) -> None:
    """Raise PayloadError if `description` contains anything but the names of plain items."""
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
    """The array of [marker, dtype, shape, raw bytes]. It is writable.

    Raises PayloadError, or what numpy raises for an invalid dtype or shape.
    """
    np = _numpy()
    _, description, shape, data = items
    dtype = _dtype(np, description)
    if not isinstance(data, (bytes, memoryview)) or not all(
        type(length) is int and length >= 0 for length in shape
    ):
        raise PayloadError("not the parts of an array")
    # Computed with Python's ints, before numpy allocates memory.
    if dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise PayloadError(f"{len(data)} bytes do not fill an array of shape {tuple(shape)[:10]} of {dtype}")
    array = np.frombuffer(data, dtype).reshape(shape).copy() if data else np.empty(shape, dtype)
    return (
        array.view(np.recarray) if isinstance(description, tuple) and description[0] == _RECARRAY else array
    )


def read_scalar(items: list[Any]) -> Any:
    """The scalar of [marker, dtype, raw bytes] or [marker, text]. Raises as read_array."""
    np = _numpy()
    if len(items) == 2:
        if not isinstance(items[1], (str, bytes)):
            raise PayloadError("not the text of a numpy scalar")
        return np.str_(items[1]) if isinstance(items[1], str) else np.bytes_(items[1])
    return read_array([ARRAY, items[1], [1], items[2]])[0]


class NoNumpyError(PayloadError):
    """The message holds an array, and numpy is not installed here."""


def _numpy() -> Any:
    try:
        return importlib.import_module("numpy")
    except ImportError as error:
        raise NoNumpyError("the message holds a numpy array, and numpy is not installed here") from error
