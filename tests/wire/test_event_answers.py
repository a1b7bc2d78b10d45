"""Answers to a batch of events: what became of each is read, and no answer can do more than be refused.

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
from stock_wire import dumped

from pyro_events.constants import MAX_HANDSHAKE_REPLY
from pyro_events.wire.event_answers import (
    ANSWER_LIMITS,
    CallFailedError,
    CallFailure,
    read_event_batch_answer,
    read_events_answer,
    write_events_answer,
)
from pyro_events.wire.frames import MSGPACK, Frame, FrameError, FrameReader

thorough = settings(deadline=None, max_examples=100)


def answer(
    payload: bytes, flags: int = 0, kind: int = pyro.MSG_RESULT, serializer_id: int = MSGPACK
) -> Frame:
    """A frame that a subscriber sent."""
    return Frame(kind, flags, serializer_id, 1, b"", payload)


# What a subscriber answers to `events`


@pytest.mark.parametrize(
    ("result", "failed"),
    [(None, []), ([], []), ([0], [0]), ([2, 0, 2], [0, 2]), ([0, 1, 2], [0, 1, 2])],
)
def test_the_positions_that_raised(result: Any, failed: list[int]) -> None:
    assert read_events_answer(answer(dumped(result)), 3) == failed


@pytest.mark.parametrize(
    "result", [True, 0, "0", {}, [3], [-1], [True], [0.0], ["0"], [None], [[0]], [2**63]]
)
def test_anything_else_than_positions(result: Any) -> None:
    with pytest.raises(ProtocolError, match="something else than positions"):
        read_events_answer(answer(dumped(result)), 3)


# What a stock daemon answers to a batch of `event`


def test_a_batch_that_went_well() -> None:
    assert read_event_batch_answer(answer(dumped([None, 7])), 2) == (2, None)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_batch_stops_at_an_exception(done: int) -> None:
    results = [None] * (done - 1) + [Pyro5.core._ExceptionWrapper(KeyError("SUN"))]
    read = read_event_batch_answer(answer(dumped(results)), 3)
    assert read == (done, "builtins.KeyError: SUN")


@pytest.mark.parametrize("result", [None, 2, {}, "ab", [], [None] * 3])
def test_anything_else_than_results(result: Any) -> None:
    with pytest.raises(ProtocolError, match="something else than results"):
        read_event_batch_answer(answer(dumped(result)), 2)


def test_a_batch_cannot_end_early_without_a_reason() -> None:
    with pytest.raises(ProtocolError, match="answered 1 of 2 calls"):
        read_event_batch_answer(answer(dumped([None])), 2)


# Answers to both

READERS = (read_events_answer, read_event_batch_answer)
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


def test_results_are_of_no_interest() -> None:
    # Pyro5 writes these as msgpack extensions.
    result = [datetime.date(2024, 2, 29), 1 + 2j]
    assert read_event_batch_answer(answer(dumped(result)), 2) == (2, None)


def assert_harmless(payload: bytes) -> None:
    """However an answer is read, it is a bounded fact or a ProtocolError with a bounded reason."""
    for flags in (0, pyro.FLAGS_EXCEPTION):
        try:
            failed = read_events_answer(answer(payload, flags), 3)
            assert failed == sorted(set(failed) & {0, 1, 2})
        except ProtocolError as error:
            assert len(str(error)) <= 300
        try:
            done, reason = read_event_batch_answer(answer(payload, flags), 3)
            assert 1 <= done <= 3
            assert reason is None or len(reason) <= 300
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


# Why a call failed


def failed_with(name: str, text: str, flags: int = pyro.FLAGS_EXCEPTION) -> CallFailure:
    """What an answer with an exception says of later calls."""
    with pytest.raises(CallFailedError) as caught:
        read_events_answer(answer(dumped({"__class__": name, "args": [text]}), flags), 2)
    return caught.value.failure


@pytest.mark.parametrize(
    ("name", "text", "failure"),
    [
        ("SerializeError", "don't know how to serialize class <class 'coroutine'> using it", "RUNS_NOTHING"),
        ("SerializeError", "don't know how to serialize class <class 'generator'> using it", "RUNS_NOTHING"),
        ("SerializeError", "unsupported serialized class: <class 'async_generator'>", "RUNS_NOTHING"),
        ("ProtocolError", "result of call is an iterator", "RUNS_NOTHING"),
        ("SerializeError", "don't know how to serialize class <class 'lab.Reading'>", "RESULT_NOT_CARRIED"),
        ("SerializeError", "unsupported serialized class: pyro_events.event.Event", "NO_EVENT_CLASS"),
        ("DaemonError", "unknown object", "NO_OBJECT"),
        ("ProtocolError", "result of call is something", "OTHER"),
        ("DaemonErrorOfAnotherKind", "unknown object", "OTHER"),
    ],
)
def test_what_a_failure_says_of_later_calls(name: str, text: str, failure: str) -> None:
    assert failed_with(f"Pyro5.errors.{name}", text) is CallFailure[failure]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("builtins.ValueError", "Pyro5.errors.SerializeError: <class 'coroutine'>"),
        ("builtins.TypeError", "a generator is on fire"),
        ("lab.DaemonError", "Pyro5.errors.DaemonError: unknown object"),
    ],
)
def test_what_a_method_raises_says_nothing_of_later_calls(name: str, text: str) -> None:
    assert failed_with(name, text) is CallFailure.OTHER


# What our own subscriber answers


@pytest.mark.parametrize("failed", [[], [0], [0, 2]])
def test_what_our_subscriber_answers_is_read(failed: list[int]) -> None:
    reader = FrameReader(ANSWER_LIMITS)
    reader.feed(write_events_answer(7, failed))
    frame = reader.next_frame()
    assert frame is not None and frame.seq == 7
    assert read_events_answer(frame, 3) == failed
    assert frame.payload == dumped(failed)


# What is let through at all


@pytest.mark.parametrize("compressed", [False, True])
def test_what_a_stock_daemon_answers_is_let_through(compressed: bool) -> None:
    payload = dumped([None] * 1000)
    Pyro5.config.COMPRESSION = compressed
    reader = FrameReader(ANSWER_LIMITS)
    reader.feed(pyro.SendingMessage(pyro.MSG_RESULT, 0, 1, MSGPACK, payload).data)
    frame = reader.next_frame()
    assert frame is not None
    assert frame.payload == payload


@pytest.mark.parametrize(
    "data",
    [
        pyro.SendingMessage(pyro.MSG_RESULT, 0, 1, MSGPACK, bytes(MAX_HANDSHAKE_REPLY + 1)).data[:40],
        pyro.SendingMessage(pyro.MSG_RESULT, 0, 1, 2, b"marshal").data,
        pyro.SendingMessage(pyro.MSG_RESULT, pyro.FLAGS_KEEPSERIALIZED, 1, MSGPACK, b"").data,
        pyro.SendingMessage(pyro.MSG_INVOKE, 0, 1, MSGPACK, b"").data,
        pyro.SendingMessage(pyro.MSG_CONNECTOK, 0, 1, MSGPACK, b"\x90").data,
    ],
    ids=range(5),
)
def test_nothing_else_is_let_through(data: bytes) -> None:
    reader = FrameReader(ANSWER_LIMITS)
    reader.feed(data)
    with pytest.raises(FrameError):
        reader.next_frame()
