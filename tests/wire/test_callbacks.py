"""Callbacks: a stock daemon reads what the service calls, and no answer can do more than be refused.

Knows: what a Pyro5 daemon writes, made by Pyro5's own serializer. Must not know: backlogs and sockets.
"""

from __future__ import annotations

import datetime
from typing import Any

import msgpack
import Pyro5
import Pyro5.core
import Pyro5.errors
import Pyro5.protocol as pyro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from Pyro5.errors import ProtocolError
from Pyro5.serializers import serializers
from Pyro5.server import _get_exposed_members, expose

from pyro_events.constants import MAX_HANDSHAKE_REPLY
from pyro_events.wire import callbacks
from pyro_events.wire.frames import MSGPACK, Frame, FrameError, FrameLimits, FrameReader

thorough = settings(deadline=None, max_examples=100)

ROWS = [
    ["STOCKQUOTE.SUN", 1700000000.25, 1, 0, b"\x92\xa3SUN\x16"],
    ["stockquote.größe", 1700000000.5, 5, 3, bytes(range(256))],
]


def received(data: bytes) -> pyro.ReceivingMessage:
    """One of our frames as a stock daemon reads it."""
    return pyro.ReceivingMessage(data[:40], data[40:])


def answer(
    payload: bytes, flags: int = 0, kind: int = pyro.MSG_RESULT, serializer_id: int = MSGPACK
) -> Frame:
    """A frame that a subscriber sent."""
    return Frame(kind, flags, serializer_id, 1, b"", payload)


def dumped(value: Any) -> bytes:
    """A value as a stock daemon writes it."""
    data: bytes = serializers["msgpack"].dumps(value)
    return data


def greeting(methods: Any) -> Frame:
    return answer(dumped({"handshake": "hello", "meta": {"methods": methods}}), kind=pyro.MSG_CONNECTOK)


# What the service sends


def test_the_greeting_is_what_a_stock_proxy_would_send() -> None:
    message = received(callbacks.write_connect("obj_1", "hello"))
    assert (message.type, message.flags, message.serializer_id, message.seq) == (
        pyro.MSG_CONNECT,
        0,
        MSGPACK,
        0,
    )
    assert serializers["msgpack"].loads(message.data) == {"handshake": "hello", "object": "obj_1"}


def test_a_ping_is_a_ping() -> None:
    message = received(callbacks.write_ping(17))
    assert (message.type, message.seq, message.data) == (pyro.MSG_PING, 17, b"ping")


def test_events_is_one_call_with_the_rows() -> None:
    message = received(callbacks.write_events("obj_1", 65535, ROWS))
    assert (message.type, message.flags, message.seq) == (pyro.MSG_INVOKE, 0, 65535)
    object_id, method, args, kwargs = serializers["msgpack"].loadsCall(message.data)
    assert (object_id, method, args, kwargs) == ("obj_1", "events", [ROWS], {})


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000])
@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_a_large_event_is_written_as_a_small_one_without_being_copied(size: int, kind: Any) -> None:
    payload = kind(bytes(size))
    pieces = callbacks.write_large_event("o", 7, ["A", 1.5, 3, 2, payload])
    assert pieces[1] is payload
    message = received(b"".join(pieces))
    assert (message.type, message.flags, message.seq) == (pyro.MSG_INVOKE, 0, 7)
    assert msgpack.unpackb(message.data) == ["o", "events", [[["A", 1.5, 3, 2, bytes(size)]]], {}]


def test_event_is_a_batch_with_one_call_for_each_row() -> None:
    message = received(callbacks.write_event_batch("obj_1", 2, ROWS))
    assert (message.type, message.flags, message.seq) == (pyro.MSG_INVOKE, pyro.FLAGS_BATCH, 2)
    object_id, method, batch, kwargs = msgpack.unpackb(message.data)
    assert (object_id, method, kwargs) == ("obj_1", "<batch>", None)
    names = ("subject", "time", "seq", "missed", "payload")
    assert batch == [
        ["event", [{"__class__": "pyro_events.event.Event", **dict(zip(names, row, strict=True))}], {}]
        for row in ROWS
    ]


# How a subscriber greets


@expose
class Plain:
    def event(self, event: Any) -> None: ...


def test_the_methods_of_a_stock_object_are_found() -> None:
    metadata = _get_exposed_members(Plain())
    frame = answer(dumped({"handshake": "hello", "meta": metadata}), kind=pyro.MSG_CONNECTOK)
    assert callbacks.read_greeting(frame) == {"event"}


def test_what_is_no_name_is_no_method() -> None:
    assert callbacks.read_greeting(greeting(["events", 1, None, ["event"], "ping"])) == {"events", "ping"}


def test_a_refusal_says_why() -> None:
    frame = answer(dumped("unknown object"), kind=pyro.MSG_CONNECTFAIL)
    with pytest.raises(ProtocolError, match="^its daemon refused the connection: unknown object$"):
        callbacks.read_greeting(frame)


def test_the_reason_of_a_refusal_alone() -> None:
    assert callbacks.read_refusal(answer(dumped("denied"), kind=pyro.MSG_CONNECTFAIL)) == "denied"
    assert callbacks.read_refusal(answer(dumped([1]), kind=pyro.MSG_CONNECTFAIL)) == "[1]"


def test_what_answers_our_handshake() -> None:
    answered = {"handshake": "proof", "meta": {"methods": ["event"]}}
    assert callbacks.read_proof(answer(dumped(answered), kind=pyro.MSG_CONNECTOK)) == "proof"
    del answered["handshake"]
    assert callbacks.read_proof(answer(dumped(answered), kind=pyro.MSG_CONNECTOK)) is None


@pytest.mark.parametrize(
    "data", [None, [], "hello", {}, {"meta": None}, {"meta": {}}, {"meta": {"methods": "event"}}]
)
def test_a_greeting_without_methods(data: Any) -> None:
    with pytest.raises(ProtocolError, match="did not say what the object can do"):
        callbacks.read_greeting(answer(dumped(data), kind=pyro.MSG_CONNECTOK))


# What a subscriber answers to `events`


@pytest.mark.parametrize(
    ("result", "failed"),
    [(None, []), ([], []), ([0], [0]), ([2, 0, 2], [0, 2]), ([0, 1, 2], [0, 1, 2])],
)
def test_the_positions_that_raised(result: Any, failed: list[int]) -> None:
    assert callbacks.read_events_answer(answer(dumped(result)), 3) == failed


@pytest.mark.parametrize(
    "result", [True, 0, "0", {}, [3], [-1], [True], [0.0], ["0"], [None], [[0]], [2**63]]
)
def test_anything_else_than_positions(result: Any) -> None:
    with pytest.raises(ProtocolError, match="something else than positions"):
        callbacks.read_events_answer(answer(dumped(result)), 3)


# What a stock daemon answers to a batch of `event`


def test_a_batch_that_went_well() -> None:
    assert callbacks.read_event_batch_answer(answer(dumped([None, 7])), 2) == (2, None)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_batch_stops_at_an_exception(done: int) -> None:
    results = [None] * (done - 1) + [Pyro5.core._ExceptionWrapper(KeyError("SUN"))]
    read = callbacks.read_event_batch_answer(answer(dumped(results)), 3)
    assert read == (done, "builtins.KeyError: SUN")


@pytest.mark.parametrize("result", [None, 2, {}, "ab", [], [None] * 3])
def test_anything_else_than_results(result: Any) -> None:
    with pytest.raises(ProtocolError, match="something else than results"):
        callbacks.read_event_batch_answer(answer(dumped(result)), 2)


def test_a_batch_cannot_end_early_without_a_reason() -> None:
    with pytest.raises(ProtocolError, match="answered 1 of 2 calls"):
        callbacks.read_event_batch_answer(answer(dumped([None])), 2)


# Answers to both

READERS = (callbacks.read_events_answer, callbacks.read_event_batch_answer)
each_reader = pytest.mark.parametrize("read", READERS)


@each_reader
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Pyro5.errors.DaemonError("unknown object"), "Pyro5.errors.DaemonError: unknown object"),
        (ValueError("a", 7, [None]), r"builtins.ValueError: a 7 \[None\]"),
        ("no exception", "an error that cannot be read"),
        ([], "an error that cannot be read"),
        ({"args": "no list"}, "an error: "),
        ({"__class__": None, "args": []}, "None: "),
    ],
)
def test_a_call_that_failed_says_why(read: Any, error: Any, text: str) -> None:
    with pytest.raises(ProtocolError, match=f"^{text}$"):
        read(answer(dumped(error), pyro.FLAGS_EXCEPTION), 2)


@pytest.mark.parametrize("serializer_id", [1, 2, 3, 42])
def test_another_serializer_is_not_read(serializer_id: int) -> None:
    frame = answer(dumped([]), serializer_id=serializer_id)
    for read in READERS:
        with pytest.raises(ProtocolError, match="another serializer"):
            read(frame, 2)
    with pytest.raises(ProtocolError, match="another serializer"):
        callbacks.read_greeting(frame)


def test_results_are_of_no_interest() -> None:
    # Pyro5 writes these as msgpack extensions.
    result = [datetime.date(2024, 2, 29), 1 + 2j]
    assert callbacks.read_event_batch_answer(answer(dumped(result)), 2) == (2, None)


def assert_harmless(payload: bytes) -> None:
    """However an answer is read, it is a bounded fact or a ProtocolError with a bounded reason."""
    for flags in (0, pyro.FLAGS_EXCEPTION):
        try:
            failed = callbacks.read_events_answer(answer(payload, flags), 3)
            assert failed == sorted(set(failed) & {0, 1, 2})
        except ProtocolError as error:
            assert len(str(error)) <= 300
        try:
            done, reason = callbacks.read_event_batch_answer(answer(payload, flags), 3)
            assert 1 <= done <= 3
            assert reason is None or len(reason) <= 300
        except ProtocolError as error:
            assert len(str(error)) <= 300
    for kind in (pyro.MSG_CONNECTOK, pyro.MSG_CONNECTFAIL):
        try:
            assert all(type(name) is str for name in callbacks.read_greeting(answer(payload, kind=kind)))
        except ProtocolError as error:
            assert len(str(error)) <= 300


words = st.sampled_from(
    ["__class__", "exception", "args", "meta", "methods", "Pyro5.core._ExceptionWrapper", "event", ""]
)
scalars = st.none() | st.booleans() | st.integers(-2, 4) | st.floats() | words | st.binary(max_size=3)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.integers(0, 3), inner, max_size=4),
    max_leaves=15,
)


@thorough
@given(document=documents)
def test_any_answer_is_harmless(document: Any) -> None:
    assert_harmless(msgpack.packb(document))


@thorough
@given(payload=st.binary(max_size=100))
def test_any_bytes_are_harmless(payload: bytes) -> None:
    assert_harmless(payload)


@pytest.mark.parametrize("depth", [10, 500, 950, 990, 1010, 1023, 5000, 60_000])
@pytest.mark.parametrize(
    "beginning",
    [b"", msgpack.packb("__class__") + b"\xa1x", msgpack.packb("args"), b"\x91", msgpack.packb("exception")],
)
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\x01"])
def test_a_deeply_nested_answer_is_harmless(depth: int, beginning: bytes, opening: bytes) -> None:
    nested = opening * depth + b"\xc0"
    assert_harmless(nested)
    if beginning:
        assert_harmless(b"\x81" + beginning + nested)
        assert_harmless(b"\x82\xa9__class__\xbcPyro5.core._ExceptionWrapper" + beginning + nested)
        assert_harmless(b"\x91\x82\xa9__class__\xbcPyro5.core._ExceptionWrapper" + beginning + nested)
        assert_harmless(
            b"\x91\x82\xa9__class__\xbcPyro5.core._ExceptionWrapper\xa9exception\x81\xa4args\x91" + nested
        )


def test_a_long_answer_is_cut() -> None:
    assert_harmless(dumped("x" * MAX_HANDSHAKE_REPLY))
    assert_harmless(dumped({"__class__": "x" * 1000, "args": ["y" * 1000] * 50}))
    assert_harmless(dumped({"__class__": list(range(1000)), "args": [list(range(1000))] * 50}))


# What is let in at all

LIMITS = [(callbacks.GREETING_LIMITS, pyro.MSG_CONNECTOK), (callbacks.ANSWER_LIMITS, pyro.MSG_RESULT)]


def admitted(data: bytes, limits: FrameLimits) -> Frame | None:
    """The frame that a subscriber's bytes are under these limits."""
    reader = FrameReader(limits)
    reader.feed(data)
    return reader.next_frame()


@pytest.mark.parametrize(("limits", "kind"), LIMITS)
@pytest.mark.parametrize("compressed", [False, True])
def test_what_a_stock_daemon_answers_is_let_in(limits: FrameLimits, kind: int, compressed: bool) -> None:
    payload = dumped([None] * 1000)
    Pyro5.config.COMPRESSION = compressed
    frame = admitted(pyro.SendingMessage(kind, 0, 1, MSGPACK, payload).data, limits)
    assert frame is not None
    assert frame.payload == payload


@pytest.mark.parametrize(("limits", "kind"), LIMITS)
def test_nothing_else_is_let_in(limits: FrameLimits, kind: int) -> None:
    too_large = pyro.SendingMessage(kind, 0, 1, MSGPACK, bytes(MAX_HANDSHAKE_REPLY + 1)).data
    for data in (
        too_large[:40],
        pyro.SendingMessage(kind, 0, 1, 2, b"marshal").data,
        pyro.SendingMessage(kind, pyro.FLAGS_KEEPSERIALIZED, 1, MSGPACK, b"").data,
        pyro.SendingMessage(pyro.MSG_INVOKE, 0, 1, MSGPACK, b"").data,
    ):
        with pytest.raises(FrameError):
            admitted(data, limits)


def test_an_answer_before_the_greeting_is_not_let_in() -> None:
    with pytest.raises(FrameError):
        admitted(pyro.SendingMessage(pyro.MSG_RESULT, 0, 1, MSGPACK, b"\x90").data, callbacks.GREETING_LIMITS)


@pytest.mark.parametrize(
    ("reason", "unrun"),
    [
        ("Pyro5.errors.SerializeError: don't know how to serialize class <class 'coroutine'> using it", True),
        ("Pyro5.errors.SerializeError: don't know how to serialize class <class 'generator'> using it", True),
        ("Pyro5.errors.SerializeError: unsupported serialized class: <class 'async_generator'>", True),
        ("Pyro5.errors.ProtocolError: result of call is an iterator", True),
        ("Pyro5.errors.SerializeError: don't know how to serialize class <class 'lab.Reading'>", False),
        ("ValueError: Pyro5.errors.SerializeError: <class 'coroutine'>", False),
        ("TypeError: a generator is on fire", False),
    ],
)
def test_what_says_that_a_method_runs_nothing(reason: str, unrun: bool) -> None:
    assert callbacks.is_unrun(reason) is unrun
