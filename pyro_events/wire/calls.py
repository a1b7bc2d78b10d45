"""Calls: what a Pyro5 client asks of the service, and the frames that answer it.

Knows: the serializers that Pyro5 clients use and the shapes of handshakes, calls and answers.
Must not know: which objects and methods exist, nor what becomes of an argument.

Arguments are read to plain data (classes stay dicts that name them) and never to anything that
code stands behind. Marshal is not among the serializers.
"""

from __future__ import annotations

import datetime
import json
import struct
from typing import Any, Final, NamedTuple

import msgpack
import Pyro5.errors
import serpent
from Pyro5.serializers import serializers_by_id

from ..constants import EVENTSERVER_NAME, NAME_KEY
from .frames import (
    BATCH,
    CONNECT_FAIL,
    CONNECT_OK,
    EXCEPTION,
    JSON,
    MSGPACK,
    PING,
    RESULT,
    SERPENT,
    Frame,
    write_frame,
)
from .greeting_notes import NO_NOTES, GreetingNotes, read_greeting_notes
from .message_bound import MAX_MESSAGE_KEY, announced_max_message
from .msgpack_pool import pack

# How our Publisher's calls begin, up to the batch that is their only argument, and how they end.
_PUBLISH: Final = b"\x94" + pack(EVENTSERVER_NAME) + pack("publish_encoded") + b"\x91"
_NO_NAMES: Final = 0x80


class Call(NamedTuple):
    """A call, or a batch of them when `batch` is not None.

    args: positional arguments. kwargs: named ones. batch: (method, args, kwargs) of each call.
    """

    object_id: str
    method: str
    args: list[Any]
    kwargs: dict[str, Any]
    batch: list[tuple[str, list[Any], dict[str, Any]]] | None = None


class Hello(NamedTuple):
    """What a client says first: its handshake data, the object that it wants, and perhaps its name, which is
    not checked yet. A service that greets a subscriber says how large its messages may be, and has notes."""

    handshake: Any
    object_id: str
    name: Any = None
    max_message: int | None = None
    notes: GreetingNotes = NO_NOTES


def read_hello(frame: Frame) -> Hello:
    """The handshake in a CONNECT frame. Raises Pyro5's SerializeError."""
    data = read_plain(frame.serializer_id, frame.payload)
    if not isinstance(data, dict) or not isinstance(data.get("object"), str):
        raise Pyro5.errors.SerializeError("a handshake must name the object that it is for")
    bound, notes = announced_max_message(data), read_greeting_notes(data)
    return Hello(data.get("handshake"), data["object"], data.get(NAME_KEY), bound, notes)


def read_call(frame: Frame) -> Call:
    """The call in an INVOKE frame. Raises Pyro5's SerializeError, which says what is wrong."""
    payload = frame.payload
    if frame[1:3] == (0, MSGPACK) and payload[: len(_PUBLISH)] == _PUBLISH and payload[-1] == _NO_NAMES:
        # Nearly every call is this one: only what differs from the last is read.
        batch = read_plain(MSGPACK, payload[len(_PUBLISH) : -1])
        return Call(EVENTSERVER_NAME, "publish_encoded", [batch], {})
    data = read_plain(frame.serializer_id, payload)
    if frame.serializer_id == JSON and isinstance(data, dict):
        data = [data.get(key) for key in ("object", "method", "params", "kwargs")]
    if not isinstance(data, (list, tuple)) or len(data) != 4:
        raise Pyro5.errors.SerializeError("a call must have an object, a method and its arguments")
    object_id, method, args, kwargs = data
    if not isinstance(object_id, str):
        raise Pyro5.errors.SerializeError("a call must name its object")
    if frame.flags & BATCH:
        if not isinstance(args, (list, tuple)):
            raise Pyro5.errors.SerializeError("a batch must be a sequence of calls")
        return Call(object_id, "", [], {}, [_checked(call) for call in args])
    method, args, kwargs = _checked((method, args, kwargs))
    return Call(object_id, method, args, kwargs)


def _checked(call: Any) -> tuple[str, list[Any], dict[str, Any]]:
    if isinstance(call, (list, tuple)) and len(call) == 3:
        method, args, kwargs = call
        if isinstance(method, str) and isinstance(args, (list, tuple)) and isinstance(kwargs, dict):
            return method, list(args), kwargs
    raise Pyro5.errors.SerializeError("a call must be a method's name, a sequence and a dictionary")


def read_plain(serializer_id: int, payload: bytes | memoryview) -> Any:
    """What a stock serializer wrote, as plain data. Raises Pyro5's SerializeError.

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


# How msgpack announces bytes, by the first of them: how many more give the length.
_LENGTH_SIZES: Final = {b"\xc4": 1, b"\xc5": 2, b"\xc6": 4}


class PublishCall(NamedTuple):
    """One entry of `publish_encoded`: where to, and what."""

    subjects: Any
    payload: Any


def read_large_publication(payload: bytes | memoryview, head: int) -> tuple[str, PublishCall]:
    """The one entry of a large `publish_encoded` call: (object id, entry).

    payload: the body of a msgpack INVOKE frame. head: everything but the event's bytes must lie
    within this many bytes, so that nothing large is built before it is known to be one event.
    Raises Pyro5's SerializeError.
    """
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=head + 1)
    unpacker.feed(payload[:head])
    try:
        shape = [unpacker.read_array_header()]
        object_id, method = unpacker.unpack(), unpacker.unpack()
        shape += [unpacker.read_array_header() for _ in range(3)]
        subjects = unpacker.unpack()
    except Exception:  # as in read_plain
        shape, object_id, method, subjects = [], None, None, None
    after = unpacker.tell()
    start = after + 1 + _LENGTH_SIZES.get(bytes(payload[after : after + 1]), 0)
    length = int.from_bytes(payload[after + 1 : start], "big")
    if (
        shape != [4, 1, 1, 2]
        or not isinstance(object_id, str)
        or method != "publish_encoded"
        or start == after + 1  # no bytes
        or start + length + 1 != len(payload)
        or payload[-1:] != b"\x80"
    ):
        raise Pyro5.errors.SerializeError(
            f"a call over {head} bytes can only be publish_encoded with a single event; "
            "publish less at once, or with pyro_events.Publisher"
        )
    event = payload[start:-1]
    # Who keeps a view keeps all that it is a view of, and only the event's own bytes are accounted for.
    if isinstance(event, memoryview) and 8 * len(event) < 7 * len(event.obj):  # type: ignore[arg-type]
        event = bytes(event)
    return object_id, PublishCall(subjects, event)


# An exception class of any other module cannot be rebuilt by a stock client.
_KNOWN_MODULES: Final = frozenset({"builtins", "Pyro5.errors"})


# How many deliveries a publish became, as msgpack: nearly always few.
_SMALL: Final = tuple(pack(number) for number in range(256))


def write_result(serializer_id: int, seq: int, value: Any, batch: bool = False) -> bytes:
    """The frame that returns `value`; with batch=True it is the list of a batch's results.

    An exception among a batch's results must be wrapped by `wrapped_error`.
    """
    if serializer_id == MSGPACK and type(value) is int:
        data = _SMALL[value] if 0 <= value < len(_SMALL) else pack(value)
    else:
        data = _dumper(serializer_id).dumps(value)
    return write_frame(RESULT, BATCH if batch else 0, serializer_id, seq, data)


def write_error(serializer_id: int, seq: int, error: Exception) -> bytes:
    """The frame that raises `error` in the client, or what comes nearest to it there."""
    data = _dumper(serializer_id).dumps(_described(error))
    return write_frame(RESULT, EXCEPTION, serializer_id, seq, data)


def wrapped_error(error: Exception) -> dict[str, Any]:
    """`error` as it stands among the results of a batch (source: Pyro5's _ExceptionWrapper)."""
    return {"__class__": "Pyro5.core._ExceptionWrapper", "exception": _described(error)}


def _described(error: Exception) -> dict[str, Any]:
    """An exception as Pyro5 carries it; no traceback, which is nobody's business but ours."""
    kind = _carried(type(error))
    arguments = error.args if kind is type(error) else (error,)
    return {
        "__class__": f"{kind.__module__}.{kind.__name__}",
        "__exception__": True,
        "args": [_writable(str(argument)) for argument in arguments],
        "attributes": {},
    }


def _carried(kind: type[Exception]) -> type[Exception]:
    """What stands for an exception's class in a client, which knows Python's own and Pyro5's only."""
    # The subclasses of UnicodeError cannot be built from text.
    if kind.__module__ in _KNOWN_MODULES and not issubclass(kind, UnicodeError):
        return kind
    nearest = (TypeError, ValueError, *kind.__mro__)
    return next(base for base in nearest if issubclass(kind, base) and base.__module__ in _KNOWN_MODULES)


def _writable(text: str) -> str:
    """The text without lone surrogates, which json brings and nobody can write."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_connect_ok(
    serializer_id: int, seq: int, handshake: Any, methods: list[str], max_message: int
) -> bytes:
    """The frame that accepts a client: the answer, what it may call, and how large a message may be."""
    metadata = {"methods": methods, "oneway": [], "attrs": []}
    answer = {"handshake": handshake, "meta": metadata, MAX_MESSAGE_KEY: max_message}
    data = _dumper(serializer_id).dumps(answer)
    return write_frame(CONNECT_OK, 0, serializer_id, seq, data)


def write_connect_fail(serializer_id: int, seq: int, reason: str) -> bytes:
    """The frame that turns a client away."""
    data = _dumper(serializer_id).dumps(_writable(reason))
    return write_frame(CONNECT_FAIL, 0, serializer_id, seq, data)


def write_pong(serializer_id: int, seq: int) -> bytes:
    """The answer to a PING frame."""
    return write_frame(PING, 0, serializer_id, seq, b"pong")


def _dumper(serializer_id: int) -> Any:
    """Pyro5's own serializer, for writing only."""
    return serializers_by_id[serializer_id]
