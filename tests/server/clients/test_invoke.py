"""What comes of a call, without a connection."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import Pyro5.errors
import pytest

from pyro_events.server.clients.invoke import invoke, is_larger, written
from pyro_events.server.objects import LARGE, Caller
from pyro_events.wire.frames import INVOKE, MSGPACK, SERPENT, Frame
from pyro_events.wire.requests import Call

FRAME = Frame(INVOKE, 0, MSGPACK, 1, b"", b"")


class Desk:
    """An object that can be called."""

    def __init__(self) -> None:
        self.methods = {"now": self.now, "fail": self.fail, "refuse": self.refuse, LARGE: self.now}

    def now(self, caller: Caller, value: Any, *, twice: bool = False) -> Any:
        return 2 * value if twice else value

    def refuse(self, caller: Caller, subject: object) -> None:
        try:
            raise KeyError(subject)
        except KeyError as error:
            raise ValueError("no subject") from error

    def fail(self, caller: Caller, error: Exception) -> None:
        raise error


@pytest.fixture
def desk() -> Desk:
    return Desk()


def call(desk: Desk, method: str, *args: Any, **kwargs: Any) -> Any:
    return invoke(FRAME, {"desk": desk}, Caller("h", 0), Call("desk", method, list(args), kwargs))


def test_a_call_has_its_result_and_its_caller_the_serializer(desk: Desk) -> None:
    caller = Caller("h", SERPENT)
    assert invoke(FRAME, {"desk": desk}, caller, Call("desk", "now", [2], {"twice": True})) == 4
    assert caller.serializer_id == MSGPACK


def test_errors_are_results(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    expected = ValueError("so")
    assert call(desk, "fail", expected) is expected
    assert isinstance(call(desk, "now"), TypeError)
    assert not caplog.text
    ours = call(desk, "fail", RuntimeError("secret"))
    assert isinstance(ours, Pyro5.errors.PyroError) and "secret" not in str(ours)
    assert "secret" in caplog.text
    missing = call(desk, "nothing")
    assert isinstance(missing, AttributeError) and "now" in str(missing)
    assert isinstance(call(desk, LARGE, 1), AttributeError)  # not for a frame that is small
    nobody = Call("nobody", "now", [1], {})
    assert isinstance(invoke(FRAME, {"desk": desk}, Caller("h", 0), nobody), Pyro5.errors.DaemonError)


class Subject:
    """Something that a client has sent."""


def refused(desk: Desk, subject: Subject) -> str:
    """The error of a call, whose caller still knows it when it ends, as a connection does."""
    result = call(desk, "refuse", subject)
    return str(result)


def test_what_was_refused_is_forgotten_at_once(desk: Desk) -> None:
    """Not when the garbage collector runs next: strangers would fill the memory until then."""
    subject = Subject()
    forgotten = weakref.ref(subject)
    gc.disable()
    try:
        assert refused(desk, subject) == "no subject"
        del subject
        assert forgotten() is None
    finally:
        gc.enable()


def test_a_result_that_cannot_be_written_is_said_to_be_so(caplog: pytest.LogCaptureFixture) -> None:
    assert b"cannot be written" in written(FRAME, object(), "h")
    assert "a result for h cannot be written" in caplog.text


def test_it_is_seen_whether_a_result_is_large() -> None:
    rows = [{"name": "x" * 10, "numbers": (1, 2, 3)}] * 100
    assert is_larger(rows, 3000) and not is_larger(rows, 10_000)
    assert is_larger({"text": "x" * 100, "bytes": b""}, 100) and not is_larger(None, 4)
