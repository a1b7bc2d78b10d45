"""Requests: the calls that a client makes on the service.

Knows: how a call looks on the wire, and in particular the one that publishes. Must not know: which objects
and methods exist, or what happens to an argument.

Our clients write msgpack, and pack only what differs from the last call. Stock clients may use any of Pyro5's
serializers except marshal; their calls are read to plain data (classes stay dicts that name them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import Pyro5.errors
from Pyro5.serializers import serializers_by_id

from ..constants import EVENTSERVER_NAME, KIB, LARGE, MAX_SUBJECTS_PER_CALL
from .frames import BATCH, INVOKE, JSON, MSGPACK, PING, Frame, write_frame, write_header
from .large_payload import LargeDocument, SplitPayload, bytes_header
from .msgpack_pool import pack
from .plain_data import read_plain

# The msgpack of a call is an array of four: object, method, arguments, and named arguments. Our own calls
# have no named arguments.
_CALL: Final = b"\x94"
_ONE_ARGUMENT: Final = b"\x91"
NO_NAMED_ARGUMENTS: Final = b"\x80"

# The one argument of `publish_encoded` is a batch: a list of entries, each a list of two, or of three with
# options.
_ONE_ENTRY: Final = b"\x91\x92"
_ONE_ENTRY_WITH_OPTIONS: Final = b"\x91\x93"
# What the options of one entry may take, in bytes.
_MOST_OPTIONS: Final = 256
_PUBLISH_METHOD: Final = "publish_encoded"

# The bytes of names in one call: the service accepts 64 KiB in all, and an address and options are added.
_BYTES_AT_ONCE: Final = 48 * KIB
# The bytes that msgpack adds to a text of up to 64 KiB.
_ENVELOPE: Final = 3

# The part of a call after its object, as our own clients send it; in pieces, the first of which is small.
PackedCall = tuple[bytes | memoryview, ...]
# One name or several, the encoded message to publish on them, and options if there are any.
Entry = tuple[Any, bytes | SplitPayload] | tuple[Any, bytes | SplitPayload, Mapping[str, Any]]


def call_opening(object_id: str) -> bytes:
    """The beginning of every call of an object."""
    return _CALL + pack(object_id)


def one_argument_call(object_id: str, method: str) -> bytes:
    """The beginning of a call with one argument, up to that argument."""
    return call_opening(object_id) + _method(method)


def _method(name: str) -> bytes:
    return pack(name) + _ONE_ARGUMENT


_PUBLISH: Final = _method(_PUBLISH_METHOD)
_PUBLISH_ONE: Final = _PUBLISH + b"\x91"
_PUBLISH_CALL: Final = one_argument_call(EVENTSERVER_NAME, _PUBLISH_METHOD)
_PUBLISH_LENGTH: Final = len(_PUBLISH_CALL)


# ---- writing ------------------------------------------------------------------------------------


def packed_call(method: str, *arguments: Any) -> PackedCall:
    """A call of plain data, for `write_call`."""
    return (pack(method) + pack(arguments) + NO_NAMED_ARGUMENTS,)


def packed_publish(entries: list[Entry]) -> PackedCall:
    """The call that publishes entries, for `write_call`. A large one must be alone."""
    if len(entries) == 1 and len(entries[0][1]) > LARGE:
        subjects, payload, *options = entries[0]
        shape = _ONE_ENTRY_WITH_OPTIONS if options else _ONE_ENTRY
        head = _PUBLISH + shape + pack(subjects) + bytes_header(len(payload))
        end = (pack(options[0]) if options else b"") + NO_NAMED_ARGUMENTS
        if isinstance(payload, SplitPayload):
            return head + payload.head, payload.body, end
        return head, payload, end
    return (_PUBLISH + pack(entries) + NO_NAMED_ARGUMENTS,)


def packed_publish_one(entry: Entry) -> PackedCall:
    """The call that publishes one entry, for `write_call`."""
    if len(entry[1]) > LARGE:
        return packed_publish([entry])
    return (_PUBLISH_ONE + pack(entry) + NO_NAMED_ARGUMENTS,)


def packed_size(value: Any) -> int:
    """How many bytes plain data takes in a call."""
    return len(pack(value))


def write_ping(seq: int) -> bytes:
    """The frame of a ping."""
    return write_frame(PING, 0, MSGPACK, seq, b"ping")


def write_call(opening: bytes, seq: int, call: PackedCall) -> bytes:
    """The frame of a call, without the pieces after the first. opening: from `call_opening`."""
    if len(call) == 1:  # as nearly always
        return write_frame(INVOKE, 0, MSGPACK, seq, opening + call[0])
    size = len(opening) + sum(map(len, call))
    return write_header(INVOKE, 0, MSGPACK, seq, size) + opening + call[0]


def write_plain_call(serializer_id: int, seq: int, object_id: str, method: str, arguments: Any) -> bytes:
    """The frame of a call to an object that is no event service, with any serializer."""
    body = serializers_by_id[serializer_id].dumpsCall(object_id, method, arguments, {})
    return write_frame(INVOKE, 0, serializer_id, seq, body)


def pieces(texts: list[str]) -> Iterator[list[str]]:
    """Names or patterns in pieces that fit into one call each."""
    piece: list[str] = []
    size = 0
    for text in texts:
        width = _ENVELOPE + (len(text) if text.isascii() else 4 * len(text))
        if piece and (size + width > _BYTES_AT_ONCE or len(piece) == MAX_SUBJECTS_PER_CALL):
            yield piece
            piece, size = [], 0
        piece.append(text)
        size += width
    if piece:
        yield piece


# ---- reading ------------------------------------------------------------------------------------


class Call:
    """A call, or a batch of them when `batch` is not None.

    args: positional arguments. kwargs: named ones. batch: (method, args, kwargs) of each call.
    """

    __slots__ = ("args", "batch", "kwargs", "method", "object_id")

    def __init__(
        self,
        object_id: str,
        method: str,
        args: list[Any],
        kwargs: dict[str, Any],
        batch: list[tuple[str, list[Any], dict[str, Any]]] | None = None,
    ) -> None:
        self.object_id = object_id
        self.method = method
        self.args = args
        self.kwargs = kwargs
        self.batch = batch


class Publication(NamedTuple):
    """One entry of `publish_encoded`: the subjects, the message, and the options."""

    subjects: Any
    payload: Any
    options: Any = None


def read_call(frame: Frame) -> Call:
    """The call in an INVOKE frame. Raises Pyro5's SerializeError, which says what is wrong."""
    payload = frame.payload
    if (
        frame.serializer_id == MSGPACK
        and not frame.flags
        and isinstance(payload, bytes)
        and payload.startswith(_PUBLISH_CALL)
        and payload.endswith(NO_NAMED_ARGUMENTS)
    ):
        # Nearly every call is of this form; only what differs from the last one is read.
        batch = read_plain(MSGPACK, payload[_PUBLISH_LENGTH:-1])
        return Call(EVENTSERVER_NAME, _PUBLISH_METHOD, [batch], {})
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


def read_large_publication(payload: bytes | memoryview, head: int) -> tuple[str, Publication]:
    """The one entry of a large `publish_encoded` call: (object id, entry).

    payload: the body of a msgpack INVOKE frame. head: everything except the event's bytes must be within this
    many bytes, so that nothing large is built before it is known to be one event. Raises Pyro5's
    SerializeError.
    """
    document = LargeDocument(payload, head)
    try:
        shape = [document.array()]
        object_id, method = document.value(), document.value()
        shape += [document.array() for _ in range(3)]
        subjects = document.value()
    except Exception:  # as in read_plain
        shape, object_id, method, subjects = [], None, None, None
    with_options = shape == [4, 1, 1, 3]
    event, end = document.body_and_end(_MOST_OPTIONS if with_options else len(NO_NAMED_ARGUMENTS))
    if (
        not (with_options or shape == [4, 1, 1, 2])
        or not isinstance(object_id, str)
        or method != _PUBLISH_METHOD
        or event is None
        or end[-1:] != NO_NAMED_ARGUMENTS
    ):
        raise Pyro5.errors.SerializeError(
            f"a call over {head} bytes can only be publish_encoded with a single event; "
            "publish less at once, or with pyro_events.Publisher"
        )
    # A view keeps all of the memory that it is a view of, and only the event's own bytes are accounted for.
    if isinstance(event, memoryview) and 8 * len(event) < 7 * len(event.obj):  # type: ignore[arg-type]
        event = bytes(event)
    return object_id, Publication(subjects, event, read_plain(MSGPACK, end[:-1]) if with_options else None)
