"""The targets: each takes any bytes and returns, or raises if something is wrong.

Knows: which errors may be raised when a stranger's bytes are read. Must not know: atheris, files, where the
bytes came from.

A target allows only the errors that the code under test promises. Any other exception is a bug, and so is a
failed assertion of the target itself. Most targets use the first byte for a choice, so that the rest reaches
the code behind the header.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from unittest import mock

import msgpack
import Pyro5.errors

from pyro_events.broker.broker import Broker
from pyro_events.broker.matching.patterns import Pattern, compile_pattern
from pyro_events.broker.matching.routing import RoutingTable
from pyro_events.broker.matching.subjects import check_subjects, check_texts
from pyro_events.codec import message as codec_module
from pyro_events.codec.message import decode, encode
from pyro_events.constants import KIB
from pyro_events.errors import PayloadError, UnsupportedTypeError
from pyro_events.options import BacklogOptions
from pyro_events.server.subscribers.callbacks.callback_address import read_subscriber
from pyro_events.wire import frames as frames_module
from pyro_events.wire import large_body
from pyro_events.wire.event_answers import ANSWER_LIMITS, read_event_batch_answer, read_events_answer
from pyro_events.wire.event_batch import read_large_rows, read_rows
from pyro_events.wire.frames import (
    BATCH,
    CONNECT,
    CONNECT_FAIL,
    CONNECT_OK,
    EXCEPTION,
    INVOKE,
    JSON,
    MSGPACK,
    PING,
    RESULT,
    SERPENT,
    Frame,
    FrameError,
    FrameLimits,
    FrameReader,
)
from pyro_events.wire.handshake.messages import (
    HELLO_LIMITS,
    Hello,
    Welcome,
    answer_limits,
    read_connect,
    read_connect_fail,
    read_connect_ok,
)
from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proofs import (
    NONCE_SIZE,
    UNKNOWN_RUN,
    CallbackCheck,
    CallbackProof,
    ClientProof,
    DeniedError,
    ServiceProof,
)
from pyro_events.wire.replies import read_reply
from pyro_events.wire.requests import read_call, read_large_publication

from .stream_targets import attach, inbox

Target = Callable[[bytes], None]

_IDENTITIES: Final = {user: Identity(b"a key that no seed was made with", user) for user in ("", "alice")}
_CALLS: Final = FrameLimits(frozenset({INVOKE, PING}), size=512, large=2 * KIB)
# By the first byte of the input: the limits of a connection in its present state.
LIMITS: Final = (HELLO_LIMITS, _CALLS, answer_limits(), ANSWER_LIMITS)
SERIALIZERS: Final = (MSGPACK, SERPENT, JSON)

# The errors of reading a stranger's call; each of them is answered.
_ANSWERED: Final = (Pyro5.errors.PyroError, TypeError, ValueError)


def frames(data: bytes) -> None:
    """A stream gives the same frames and the same end, whether whole, byte by byte or in uneven pieces."""
    limits, stream = LIMITS[data[0] % len(LIMITS)] if data else HELLO_LIMITS, data[1:]
    whole = _read(limits, [stream])
    assert whole == _read(limits, [stream[at : at + 1] for at in range(len(stream))])
    size = 1 + len(stream) % 61
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert whole == _read(limits, pieces)
    with _small_is_large():
        assert whole == _read(limits, pieces)
        assert whole == _read(limits, pieces, in_place=True)


@contextlib.contextmanager
def _small_is_large() -> Iterator[None]:
    """Inputs are too short to be large, so make small ones count as large."""
    with contextlib.ExitStack() as stack:
        for module in (frames_module, large_body, codec_module):
            stack.enter_context(mock.patch.object(module, "LARGE", 16))
        yield


def _read(limits: FrameLimits, pieces: Iterable[bytes], in_place: bool = False) -> tuple[list[Frame], str]:
    """The frames in a stream, and why it can go no further, if it cannot."""
    reader, found = FrameReader(limits), []
    try:
        for piece in pieces:
            while piece:
                space = reader.space() if in_place else None
                if space is None:
                    reader.feed(piece)
                    piece = b""
                else:
                    count = min(len(space), len(piece))
                    space[:count] = piece[:count]
                    reader.filled(count)
                    piece = piece[count:]
                while (frame := reader.next_frame()) is not None:
                    found.append(frame)
    except FrameError as error:
        return found, str(error)
    return found, ""


def handshake(data: bytes) -> None:
    """What either side says first, and what it answers later, is read or refused."""
    choice, payload = data[0] if data else 0, data[1:]
    serializer = SERIALIZERS[choice % 3]
    flags = EXCEPTION if choice & 64 else 0
    kinds: tuple[tuple[int, Callable[[Frame], Any]], ...] = (
        (CONNECT, read_connect),
        (CONNECT_OK, read_connect_ok),
        (CONNECT_FAIL, read_connect_fail),
        (RESULT, lambda frame: read_events_answer(frame, 3)),
        (RESULT, lambda frame: read_event_batch_answer(frame, 3)),
    )
    kind, read = kinds[choice // 3 % len(kinds)]
    with contextlib.suppress(Pyro5.errors.PyroError):
        said = read(Frame(kind, flags, serializer, 0, b"", payload))
        _introduced(said.handshake if isinstance(said, (Hello, Welcome)) else said)
    _reply(payload, flags)


def _introduced(said: object) -> None:
    """Whatever it is, it proves nothing to one whose passphrase it was not made with."""
    gate = ServiceProof(_IDENTITIES.get, bytes(NONCE_SIZE), b"a key that nobody has")
    _is_denied(lambda: gate.verify(said, "object", 1e9))
    for identity in _IDENTITIES.values():
        client = ClientProof(identity, "object", UNKNOWN_RUN, 1e9, bytes(NONCE_SIZE))
        service = CallbackProof(identity, "object", bytes(NONCE_SIZE).hex(), bytes(NONCE_SIZE))
        assert not client.accepts(said) and client.again(said) is None and not service.accepts(said)
        _is_denied(functools.partial(CallbackCheck(identity).verify, said, "object"))


def _is_denied(verify: Callable[[], object]) -> None:
    try:
        verify()
    except DeniedError:
        return
    raise AssertionError("a stranger was let in")


def _reply(payload: bytes, flags: int) -> None:
    """A client may raise what the service's reply names, but only Python's or Pyro5's own errors."""
    try:
        read_reply(Frame(RESULT, flags, MSGPACK, 0, b"", payload))
    except FrameError:
        return
    except Exception as error:
        assert flags & EXCEPTION
        assert type(error).__module__ in ("builtins", "Pyro5.errors", "pyro_events.errors")


def codec(data: bytes) -> None:
    """Any bytes are a value or a PayloadError, large or not; what can be written can be read again."""
    with _small_is_large():
        large = _decoded(memoryview(data))
    found = _decoded(data)
    assert [type(value) for value in large] == [type(value) for value in found]
    if not found:
        return
    (value,) = found
    try:
        again = encode(value)
    except UnsupportedTypeError:  # it stood for a class that is not known here, say
        return
    assert type(decode(again)) is type(value)


def _decoded(data: bytes | memoryview) -> list[Any]:
    """The value, or nothing."""
    try:
        return [decode(data)]
    except PayloadError:
        return []


def subjects(data: bytes) -> None:
    """Names and patterns are taken or refused with a reason, and a table matches as each pattern does.

    The first line is the subject, the others are patterns.
    """
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    subject, *texts = text.split("\n")
    patterns: dict[str, Pattern] = {}
    for each in check_texts(texts):
        with contextlib.suppress(ValueError):
            patterns[each] = compile_pattern(each)
    try:
        names = check_subjects([subject])
    except ValueError:
        return
    table: RoutingTable[str] = RoutingTable(cache_size=0)
    for each, pattern in patterns.items():
        table.add_pattern(pattern, each)
    found = set(table.match(names[0]))
    assert found == {each for each, pattern in patterns.items() if pattern.matches(names[0])}


def subscribe(data: bytes) -> None:
    """A whole subscribing call, from its bytes on: it holds, or it fails and has changed nothing."""
    choice, payload = data[0] if data else 0, data[1:]
    flags = BATCH if choice & 64 else 0
    broker = Broker(BacklogOptions(), 1 << 20)
    broker.subscribe("PYRO:first@127.0.0.1:1", ["A"], [".*"])
    try:
        call = read_call(Frame(INVOKE, flags, SERIALIZERS[choice % 3], 0, b"", payload))
    except Pyro5.errors.PyroError:
        return
    made = [(call.method, call.args, call.kwargs)] if call.batch is None else call.batch
    for method, arguments, named in made:
        before = broker.statistics(1.0)
        try:
            _subscribed(broker, method, *arguments, **named)
        except _ANSWERED:
            assert broker.statistics(1.0) == before
    broker.publish(iter([(["A"], b"")]), 1.0)


def _subscribed(broker: Broker, method: str, /, subjects: Any, subscriber: Any, options: Any = None) -> None:
    """As the service does it."""
    callback = read_subscriber(subscriber, "127.0.0.1", frozenset())
    assert callback.address[0] == "127.0.0.1" and 0 < callback.address[1] < 65536
    if method == "unsubscribe":
        broker.unsubscribe(callback.uri, subjects)
    elif method == "subscribeMatch":
        broker.subscribe(callback.uri, (), subjects, options)
    else:
        broker.subscribe(callback.uri, subjects, (), options)


def large(data: bytes) -> None:
    """What is read of a large document from its beginning is what msgpack makes of it, or it is refused.

    The first byte chooses: a batch of events, or a publication with a bound for all but its payload.
    """
    choice, packed = data[0] if data else 0, data[1:]
    if choice % 2:
        with contextlib.suppress(Pyro5.errors.SerializeError):
            object_id, (subjects, payload, options) = read_large_publication(memoryview(packed), choice)
            read = msgpack.unpackb(packed, strict_map_key=False)
            whole = [object_id, "publish_encoded", [[[subjects, bytes(payload), options]]], {}]
            read[2][0][0] += [None] * (3 - len(read[2][0][0]))  # no options
            # By their text, because nan is not equal to itself.
            assert repr(read) == repr(whole)
        return
    try:
        rows = read_large_rows(packed)
    except Exception:  # the parser raises a dozen kinds, all of which `read_rows` catches
        return
    if rows is not None:
        *others, last = rows
        whole_row = (*last[:4], bytes(last[4]), *last[5:])
        assert repr(read_rows(packed)) == repr((*others, whole_row))


TARGETS: Final[dict[str, Target]] = {
    target.__name__: target
    for target in (frames, handshake, codec, subjects, subscribe, large, attach, inbox)
}
