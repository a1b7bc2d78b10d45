"""Replies: a stock client reads what the service answers, and ours too, which rebuilds known errors alone.

Knows: Pyro5's own serializers, the other side. Must not know: what was called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import Pyro5.core
import Pyro5.errors
import Pyro5.protocol as pyro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stock_wire import IDS, each_serializer, frame, plain, received, result_of, thorough

from pyro_events.errors import (
    AccessDeniedError,
    EventServiceError,
    MessageTooLargeError,
    ServiceNotFoundError,
    UnsupportedTypeError,
)
from pyro_events.wire import replies
from pyro_events.wire.frames import Frame, FrameError
from pyro_events.wire.replies import read_reply, read_small_result, rebuilt


def raised_by(data: bytes) -> Exception:
    """The error that a stock client raises for an answer."""
    assert received(data).flags & pyro.FLAGS_EXCEPTION
    error = result_of(data)
    assert isinstance(error, Exception)
    return error


# What the service writes


@each_serializer
@thorough
@given(value=plain, seq=st.integers(0, 0xFFFF))
def test_a_result_is_read_by_pyro5(name: str, value: Any, seq: int) -> None:
    data = replies.write_result(IDS[name], seq, value)
    message = received(data)
    assert (message.type, message.flags, message.seq) == (pyro.MSG_RESULT, 0, seq)
    assert result_of(data) == value


@each_serializer
@pytest.mark.parametrize("count", [0, 1, 127, 128, 2**40, True])
def test_a_count_of_deliveries_is_read_by_pyro5(name: str, count: int) -> None:
    value = result_of(replies.write_result(IDS[name], 1, count))
    assert (value, type(value)) == (count, type(count))


@each_serializer
def test_the_results_of_a_batch_are_read_by_pyro5(name: str) -> None:
    data = replies.write_result(
        IDS[name], 1, [3, None, replies.wrapped_error(ValueError("no such thing"))], batch=True
    )
    assert received(data).flags == pyro.FLAGS_BATCH
    first, second, third = result_of(data)
    assert (first, second) == (3, None)
    assert isinstance(third, Pyro5.core._ExceptionWrapper)
    with pytest.raises(ValueError, match="^no such thing$"):
        third.raiseIt()


PYRO_ERRORS = sorted(
    {
        kind
        for kind in vars(Pyro5.errors).values()
        if isinstance(kind, type) and issubclass(kind, Pyro5.errors.PyroError)
    },
    key=str,
)


@each_serializer
@pytest.mark.parametrize(
    "kind", [ValueError, TypeError, AttributeError, KeyError, RuntimeError, OSError, *PYRO_ERRORS]
)
def test_an_error_is_rebuilt_by_pyro5(name: str, kind: type[Exception]) -> None:
    data = replies.write_error(IDS[name], 9, kind("what was wrong"))
    message = received(data)
    assert (message.type, message.flags, message.seq) == (pyro.MSG_RESULT, pyro.FLAGS_EXCEPTION, 9)
    error = raised_by(data)
    assert type(error) is kind
    assert error.args == ("what was wrong",)


class Unknown(Exception):
    """An error of nobody's."""


@each_serializer
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UnsupportedTypeError("a set of sockets"), TypeError),
        (MessageTooLargeError("a set of sockets"), ValueError),
        (ServiceNotFoundError("a set of sockets"), Pyro5.errors.NamingError),
        (FrameError("a set of sockets"), Pyro5.errors.ProtocolError),
        (Unknown("a set of sockets"), Exception),
    ],
)
def test_an_error_that_pyro5_does_not_know_comes_as_one_that_it_does(
    name: str, error: Any, kind: Any
) -> None:
    rebuilt = raised_by(replies.write_error(IDS[name], 0, error))
    assert type(rebuilt) is kind
    assert rebuilt.args == ("a set of sockets",)


def _unicode_error(make: Callable[[], Any]) -> UnicodeError:
    with pytest.raises(UnicodeError) as caught:
        make()
    return caught.value


@each_serializer
@pytest.mark.parametrize(
    "error",
    [
        _unicode_error(lambda: "\ud800".encode()),
        _unicode_error(lambda: b"\xff".decode()),
        UnicodeError("bad"),
    ],
)
def test_an_error_that_wants_special_arguments_comes_as_a_value_error(name: str, error: Exception) -> None:
    rebuilt = raised_by(replies.write_error(IDS[name], 0, error))
    assert type(rebuilt) is ValueError
    assert rebuilt.args == (str(error),)


@each_serializer
@thorough
@given(text=st.text(st.characters()))
def test_an_error_may_say_anything(name: str, text: str) -> None:
    error = raised_by(replies.write_error(IDS[name], 0, ValueError(text, 7)))
    assert error.args == (text.encode("utf-8", "backslashreplace").decode(), "7")


@pytest.mark.parametrize("serializer_id", [*IDS.values(), 42])
def test_a_ping_is_answered(serializer_id: int) -> None:
    message = received(replies.write_pong(serializer_id, 12))
    assert (message.type, message.serializer_id, message.seq) == (pyro.MSG_PING, serializer_id, 12)
    assert message.data == b"pong"


@thorough
@given(value=plain)
def test_the_size_of_a_result(value: Any) -> None:
    assert replies.written_size(value) == len(msgpack.packb(value))


def test_the_size_of_a_result_that_msgpack_cannot_write_is_that_of_its_text() -> None:
    assert replies.written_size(["\ud800", 2**70, {1}]) > len("\ud800") + len(str(2**70)) + len("{1}")


# What our client reads


def answered(data: bytes) -> Frame:
    """One of our frames as the reader hands it over."""
    message = received(data)
    return Frame(message.type, message.flags, message.serializer_id, message.seq, b"", bytes(message.data))


SMALL_RESULT = replies.write_result(IDS["msgpack"], 5, 7)


@thorough
@given(value=plain)
def test_a_value_is_read(value: Any) -> None:
    assert read_reply(answered(replies.write_result(IDS["msgpack"], 1, value))) == value


@given(number=st.integers(-40, 300), seq=st.integers(0, 0xFFFF), other=st.integers(0, 0xFFFF))
def test_a_small_result_is_read_at_once(number: int, seq: int, other: int) -> None:
    data = replies.write_result(IDS["msgpack"], seq, number)
    assert read_small_result(data, seq) == (number if 0 <= number <= 127 else None)
    assert read_small_result(data, other) is None or other == seq


@given(
    data=st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda at, value: (reply := bytearray(SMALL_RESULT)).__setitem__(at, value) or bytes(reply),
            st.integers(0, len(SMALL_RESULT) - 1),
            st.integers(0, 255),
        ),
    )
)
def test_only_a_reply_is_taken_for_a_small_result(data: bytes) -> None:
    number = read_small_result(data, 5)
    assert number is None or data == replies.write_result(IDS["msgpack"], 5, number)


def test_an_error_is_raised() -> None:
    with pytest.raises(ValueError, match="^what was wrong$"):
        read_reply(answered(replies.write_error(IDS["msgpack"], 1, ValueError("what was wrong"))))


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x91", b"\x91" * 2000])
@pytest.mark.parametrize("flags", [0, pyro.FLAGS_EXCEPTION])
def test_what_cannot_be_read(payload: bytes, flags: int) -> None:
    with pytest.raises(FrameError, match="cannot be read"):
        read_reply(frame("msgpack", payload, flags))


def test_another_serializer_is_not_read() -> None:
    with pytest.raises(FrameError, match="another serializer"):
        read_reply(frame("json", b"1"))


REBUILT = [
    ("builtins.KeyError", KeyError),
    ("Pyro5.errors.MessageTooLargeError", MessageTooLargeError),
    ("Pyro5.errors.SecurityError", AccessDeniedError),
    ("builtins.SystemExit", EventServiceError),
    ("builtins.print", EventServiceError),
    ("builtins.UnicodeDecodeError", EventServiceError),
    ("os.system", EventServiceError),
    ("Pyro5.errors.sys", EventServiceError),
    (None, EventServiceError),
    ([], EventServiceError),
]


@pytest.mark.parametrize(("name", "kind"), REBUILT)
def test_only_known_exceptions_are_rebuilt(name: Any, kind: type[Exception]) -> None:
    error = rebuilt({"__class__": name, "args": ["text"], "attributes": {"x": 1}})
    assert type(error) is kind
    assert "text" in str(error)
    assert not hasattr(error, "x")


def test_a_call_that_is_refused_is_told_from_a_connection_that_is() -> None:
    error = rebuilt({"__class__": "Pyro5.errors.SecurityError", "args": ["no"]})
    assert isinstance(error, AccessDeniedError) and error.of_call
    assert not AccessDeniedError("denied").of_call


@pytest.mark.parametrize("described", [None, 3, [], {}, {"args": {"a": 1}}])
def test_no_description_at_all(described: Any) -> None:
    assert type(rebuilt(described)) is EventServiceError


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ({"_pyroTraceback": ["line one", "line two"]}, ["line one", "line two"]),
        ({"_pyroTraceback": []}, []),
        ({"_pyroTraceback": ["line", 2]}, None),
        ({"_pyroTraceback": "text"}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_traceback_of_text_is_kept_for_the_excepthook_of_pyro5(attributes: Any, kept: Any) -> None:
    error = rebuilt({"__class__": "builtins.ValueError", "args": [], "attributes": attributes})
    assert vars(error).get("_pyroTraceback") == kept


def test_an_exception_of_the_program_in_the_middle_of_rebuilding_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(text: str) -> Exception:
        raise RuntimeError("from a handler of a signal")

    monkeypatch.setitem(replies._KNOWN, "builtins.ValueError", interrupted)
    with pytest.raises(RuntimeError, match="from a handler of a signal"):
        rebuilt({"__class__": "builtins.ValueError", "args": ["text"]})
