"""A message as bytes, and back: one flat msgpack document.

What msgpack knows travels as it is: None, bool, int up to 64 bits, float, str, bytes, list, dict (in
order, with keys of any kind). Everything else is a tagged array, see values.py. Types are exact:
a subclass that nobody registered is refused, not turned into its base. bytearray and memoryview arrive
as bytes; msgpack's own ExtType and Timestamp arrive as themselves.

Containers nest at most 64 deep as they are written: a registered object, an exception,
an OrderedDict, a defaultdict or a Counter counts as two.

Reading is safe with bytes from anyone: it gives a value or PayloadError, takes time and memory in
proportion to the bytes, and imports or looks up nothing that they name.

Knows: msgpack, and in which order the tables of types are asked. Must not know: subjects, events,
sockets, how a single type is written.
"""

from __future__ import annotations

from typing import Any, Final

from msgpack import ExtType, Packer, unpackb
from msgpack.exceptions import StackError

from ..constants import LARGE, MAX_DEPTH
from ..errors import PayloadError, UnsupportedTypeError
from ..foreign_exceptions import is_signal_handlers
from ..wire.large_payload import SplitPayload
from .classes import registry
from .depth import FLAT, KEEP_BUFFER, check_depth
from .hash_limits import MAX_EQUAL_HASHES, MAX_EQUAL_NATIVE, check_hashes
from .large_payload import array_payload, body_of
from .numpy_arrays import numpy_parts, read_array, read_scalar
from .refusal import find, refusal, refuse, unreadable
from .stock_values import ClassTagged, untangle
from .values import ARRAY, CLASS_TAGGED, MARKS, OBJECT, READERS, SCALAR, TUPLE, WRITERS, zone_writer

__all__ = ["decode", "encode", "encode_detached", "encode_plain", "encode_shared"]


# ---- writing ------------------------------------------------------------------------------------

# Packers that are not in use. Making one costs three times as much as packing a quote. One must not be used
# by two threads, nor again while a converter that it has called publishes something.
_idle: list[Any] = []


def _new_packer(unicode_errors: str = "strict") -> Any:
    errors = None if unicode_errors == "strict" else unicode_errors  # None is msgpack's fast path
    return Packer(default=_write, strict_types=True, unicode_errors=errors)


def _write(value: Any) -> Any:
    """`value`, which msgpack does not know, as something that it knows."""
    kind = type(value)
    if kind is tuple:
        return [TUPLE, *value]
    writer = WRITERS.get(kind) or zone_writer(kind)
    if writer is not None:
        return writer(value)
    if kind is ClassTagged:
        return [CLASS_TAGGED, value.state]
    parts = numpy_parts(value)
    if parts is not None:
        if parts[0] is ARRAY:
            _WHOLE[kind] = _array_block
        return parts
    name, state = registry.describe(value)
    return state if name is None else [OBJECT, name, state]


def encode(message: object) -> bytes:
    """`message` as bytes. Raises UnsupportedTypeError, which names the type and its place in the message."""
    try:
        packer = _idle.pop()
    except IndexError as error:
        if is_signal_handlers(error):
            raise
        packer = _new_packer()
    try:
        payload: bytes = packer.pack(message)
        if len(payload) > MAX_DEPTH and payload[0] not in FLAT:
            check_depth(payload)
            if len(payload) > _COLLIDING and (_MAP_16 in payload or _MAP_32 in payload):
                _check_keys(message, payload)
    except UnicodeEncodeError as error:
        if is_signal_handlers(error):
            raise
        return _encode_surrogates(message)
    except Exception as error:
        refuse(message, error, _write)
    if len(payload) <= KEEP_BUFFER:
        _idle.append(packer)
    return payload


def encode_shared(message: object) -> bytes | SplitPayload:
    """As `encode`, but a large block shares the memory of the message, and must be sent before that
    changes."""
    whole = _WHOLE.get(type(message))
    block = whole(message) if whole is not None else None
    return encode(message) if block is None else block


def encode_detached(message: object) -> bytes | SplitPayload:
    """As `encode_shared`, but the program may change the message, and use its memory again."""
    payload = encode_shared(message)
    if type(payload) is SplitPayload:
        payload.detach()
    return payload


def _bytes_block(message: bytes) -> SplitPayload | None:
    return SplitPayload(b"", message) if LARGE < len(message) < 1 << 32 else None


def _array_block(message: Any) -> SplitPayload | None:
    if not LARGE < message.nbytes < 1 << 32:
        return None
    try:
        parts: Any = numpy_parts(message)
        packed = encode([*parts[:-1], b""])
    except Exception as error:
        refuse(message, error, _write)
    return array_payload(parts, packed)


# How a marker begins; how many of them a dict must have for the reader to refuse it because of its keys; and
# the least number of bytes that such a dict takes.
_MARK: Final = b"\xc7\x00"
_FEWEST: Final = MAX_EQUAL_HASHES - MAX_EQUAL_NATIVE
_COLLIDING: Final = 3 * MAX_EQUAL_HASHES
# How msgpack begins a dict of more than 15 entries.
_MAP_16: Final = 0xDE
_MAP_32: Final = 0xDF

# The types of messages that may be one large block. numpy's type is added with the first array, because this
# module must not import numpy.
_WHOLE: Final[dict[type, Any]] = {bytes: _bytes_block}


def _encode_surrogates(message: object) -> bytes:
    """As `encode`, for the rare text with half a surrogate pair. To pack so always would cost 20 %."""
    try:
        payload: bytes = _new_packer("surrogatepass").pack(message)
        check_depth(payload)
        _check_keys(message, payload)
    except Exception as error:
        refuse(message, error, _write)
    return payload


def encode_plain(value: object, *, serpent: bool = True) -> bytes:
    """The argument of a stock Pyro5 program's call, decoded to plain data, as bytes.

    A dict with a "__class__" that is a str travels as a class-tagged dict: `decode` makes an instance of it
    if the subscriber's program has registered the class; otherwise it stays a dict. serpent: whether serpent
    decoded it; then what serpent makes of bytes and nan is turned back. Raises UnsupportedTypeError as
    `encode`.
    """
    try:
        untangled = untangle(value, serpent)
    except UnsupportedTypeError as error:
        raise refusal(value, error, _write) from None
    return encode(untangled)


def _check_keys(message: object, payload: bytes) -> None:
    """Raise ValueError if a dict in the message has too many keys with one hash: no reader accepts it."""
    if _has_long_dict(payload) and find(message, _write) is not None:
        raise ValueError("equal hashes")


def _has_long_dict(payload: bytes) -> bool:
    """Whether a dict has so many keys that too many of them may have one hash.

    msgpack calls no function of ours for a dict, and checking every dict first would take as long as packing.
    """
    if payload.count(_MARK) < _FEWEST:
        return False
    found = False

    def look(pairs: list[tuple[Any, Any]]) -> None:
        nonlocal found
        if len(pairs) > MAX_EQUAL_HASHES:
            found = found or sum([type(key) is list for key, _ in pairs]) >= _FEWEST

    hooks: dict[str, Any] = {"object_pairs_hook": look, "ext_hook": lambda code, data: None}
    unpackb(payload, raw=True, strict_map_key=False, **hooks)
    return found


# ---- reading ------------------------------------------------------------------------------------


def _read_mark(code: int, data: bytes) -> ExtType:
    if code >= 0:
        return ExtType(code, data)
    if code not in MARKS:
        raise PayloadError(f"unknown marker {code}; a newer pyro_events may have written it")
    return MARKS[code]


def read_list(items: list[Any]) -> Any:
    if items:
        head = items[0]
        if head is TUPLE:
            del items[0]
            return tuple(items)
        if type(head) is ExtType and head[0] < 0:
            return _READERS[head[0]](items)
    return items


def _read_pairs(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    check_hashes([key for key, _ in pairs])
    return dict(pairs)


def read_object(items: list[Any]) -> Any:
    _, name, state = items
    if type(name) is not str:
        raise PayloadError("not the name and state of an object")
    try:
        return registry.restore(name, state)
    except registry.UnknownClassError as error:
        unreadable(str(error), error)


def _read_class_tagged(items: list[Any]) -> Any:
    state = class_tagged_state(items)
    try:
        return registry.restore(state["__class__"], state, tagged=True)
    except registry.UnknownClassError:
        return state


def class_tagged_state(items: list[Any]) -> dict[Any, Any]:
    state = items[1]
    if len(items) != 2 or type(state) is not dict or type(state.get("__class__")) is not str:
        raise PayloadError("not a class-tagged dict")
    return state


_READERS: Final = {
    **READERS,
    OBJECT.code: read_object,
    CLASS_TAGGED.code: _read_class_tagged,
    ARRAY.code: read_array,
    SCALAR.code: read_scalar,
}


def decode(payload: bytes | memoryview, list_hook: Any = read_list) -> Any:
    """The message that `payload` contains. Raises PayloadError, nothing else.

    list_hook: what a list, or a tagged array, is turned into.
    """
    try:
        if len(payload) > MAX_DEPTH and payload[0] not in FLAT:
            if len(payload) > LARGE and list_hook is read_list and (found := body_of(payload)) is not None:
                return _decode_array(*found)
            check_depth(payload)
        try:
            # Here, keys of dicts must be str or bytes, whose hashes cannot be predicted.
            return unpackb(payload, list_hook=list_hook, ext_hook=_read_mark)
        except PayloadError:
            raise
        except ValueError as error:
            if is_signal_handlers(error):
                raise
            # Other keys, half a surrogate pair, or bytes that are not valid this way either.
            return unpackb(
                payload,
                list_hook=list_hook,
                ext_hook=_read_mark,
                object_pairs_hook=_read_pairs,
                strict_map_key=False,
                unicode_errors="surrogatepass",
            )
    except PayloadError:
        raise
    except StackError as error:
        unreadable(f"the message is nested deeper than {MAX_DEPTH} levels", error)
    except Exception as error:
        if is_signal_handlers(error):
            raise
        unreadable(f"not an encoded message: {type(error).__name__}: {error}", error)


def _decode_array(head: bytes, body: memoryview) -> Any:
    described = b"\x92" + head
    check_depth(described)
    dtype, shape = unpackb(
        described, list_hook=read_list, ext_hook=_read_mark, unicode_errors="surrogatepass"
    )
    return read_array([ARRAY, dtype, shape, body])
