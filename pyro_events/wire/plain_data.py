"""Plain data: reads the bytes of Pyro5's serializers without running anything for it.

Knows: the serializers that Pyro5 programs use. Must not know: calls, answers, or which peer has sent what.

Classes stay dicts that name them. Marshal is not among the serializers: reading it from a stranger can end
the interpreter.
"""

from __future__ import annotations

import datetime
import json
import reprlib
import struct
from typing import Any, Final

import msgpack
import Pyro5.errors
import serpent
from Pyro5.serializers import serializers_by_id

from ..foreign_exceptions import is_foreign
from .frames import JSON, MSGPACK, SERPENT, Frame


def read_plain(serializer_id: int, payload: bytes | memoryview) -> Any:
    """The bytes of a stock serializer, as plain data. Raises Pyro5's SerializeError.

    Classes stay dictionaries with a "__class__" key; serpent's bytes stay its dictionaries.
    """
    try:
        if serializer_id == MSGPACK:
            return msgpack.unpackb(payload, raw=False, strict_map_key=False, ext_hook=_pyro_extension)
        if serializer_id == SERPENT:
            return serpent.loads(payload)
        if serializer_id == JSON:
            return json.loads(str(payload, "utf-8"))
        raise ValueError(f"the serializer {serializer_id} is not accepted")
    except Exception as error:  # parsers raise a dozen kinds, MemoryError and RecursionError too
        reason = f"{type(error).__name__}: {error}"[:200]
        raise Pyro5.errors.SerializeError(f"the arguments cannot be read: {reason}") from None


_COMPLEX: Final = struct.Struct("dd")
_SECONDS: Final = struct.Struct("d")
_ORDINAL: Final = struct.Struct("l")


def _pyro_extension(code: int, data: bytes) -> Any:
    """Pyro5's own msgpack extension types (source: its MsgpackSerializer)."""
    if code == 0x30:
        return complex(*_COMPLEX.unpack(data))
    if code == 0x31:
        return int(data)
    if code == 0x32:
        return datetime.datetime.fromtimestamp(_SECONDS.unpack(data)[0])
    if code == 0x33:
        return datetime.date.fromordinal(_ORDINAL.unpack(data)[0])
    raise ValueError(f"unknown extension type {code}")


def read_answer(frame: Frame, failure: type[Pyro5.errors.ProtocolError] = Pyro5.errors.ProtocolError) -> Any:
    """The answer to a call that was sent with msgpack: numbers, text and bytes in lists and dicts.

    failure: the error to raise for anything else.
    """
    if frame.serializer_id != MSGPACK:
        raise failure("it answered with another serializer than it was asked with")
    try:
        return msgpack.unpackb(frame.payload, raw=False, strict_map_key=False, ext_hook=_no_extension)
    except Exception as error:  # the parser raises several kinds, RecursionError too
        if is_foreign(error, Exception):
            raise
        raise failure(f"its answer cannot be read: {error}"[:200]) from None


def _no_extension(code: int, data: bytes) -> None:
    """The results of a subscriber's methods are ignored, so their contents do not matter."""
    return None


def write_plain(serializer_id: int, value: Any) -> bytes:
    """Plain data as Pyro5's own serializer writes it."""
    data: bytes = serializers_by_id[serializer_id].dumps(value)
    return data


def as_text(value: object) -> str:
    """Something that a stranger sent, as text; it may nest deeper than `str` can handle."""
    return value if isinstance(value, str) else reprlib.repr(value)


def writable(text: str) -> str:
    """The text without lone surrogates, which json can contain and UTF-8 cannot."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
