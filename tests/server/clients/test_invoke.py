"""What comes of a call and of a Pyro batch of them, without a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import Pyro5.errors
import pytest

from pyro_events.server.clients import invoke as invoke_module
from pyro_events.server.clients.invoke import invoke, invoke_batch, is_larger, written
from pyro_events.server.objects import LARGE, Caller, DeferredResult
from pyro_events.wire.frames import INVOKE, MSGPACK, SERPENT, Frame
from pyro_events.wire.replies import wrapped_error
from pyro_events.wire.requests import Call

FRAME = Frame(INVOKE, 0, MSGPACK, 1, b"", b"")


class Desk:
    """An object that can be called; `later` answers when the test does."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.pending: list[DeferredResult] = []
        self.waiting: list[Callable[[], None]] = []
        self.methods = {"now": self.now, "later": self.later, "fail": self.fail, LARGE: self.now}

    def again(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def turn(self) -> None:
        """It is the client's turn again."""
        self.waiting.pop(0)()

    def now(self, caller: Caller, value: Any, *, twice: bool = False) -> Any:
        self.made.append(value)
        return 2 * value if twice else value

    def later(self, caller: Caller) -> DeferredResult:
        self.made.append("later")
        self.pending.append(DeferredResult())
        return self.pending[-1]

    def fail(self, caller: Caller, error: Exception) -> None:
        self.made.append("fail")
        raise error


@pytest.fixture(autouse=True)
def long_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long enough for any batch here, on any machine."""
    monkeypatch.setattr(invoke_module, "TURN", 60.0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def call(desk: Desk, method: str, *args: Any, **kwargs: Any) -> Any:
    return invoke(FRAME, {"desk": desk}, Caller("h", 0), Call("desk", method, list(args), kwargs))


def batch(desk: Desk, *entries: tuple[Any, ...]) -> Any:
    whole = Call("desk", "", [], {}, [(name, list(args), {}) for name, *args in entries])
    return invoke_batch(FRAME, {"desk": desk}, Caller("h", 0), whole, desk.again)


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
    nobody = Call("nobody", "", [], {}, [])
    refused = invoke_batch(FRAME, {"desk": desk}, Caller("h", 0), nobody, desk.again)
    assert isinstance(refused, Pyro5.errors.DaemonError)


def test_a_batch_has_all_results(desk: Desk) -> None:
    assert batch(desk) == []
    assert batch(desk, ("now", 1), ("now", 2)) == [1, 2]


def test_a_batch_ends_at_its_first_error(desk: Desk) -> None:
    error = ValueError("so")
    assert batch(desk, ("now", 1), ("fail", error), ("now", 2)) == [1, wrapped_error(error)]
    assert desk.made == [1, "fail"]


def test_a_batch_that_has_to_wait_goes_on_when_it_can(desk: Desk) -> None:
    found: list[Any] = []
    pending = batch(desk, ("now", 1), ("later",), ("later",), ("now", 2))
    pending.when_done(found.append)
    assert desk.made == [1, "later"]
    desk.pending[0].settle("first")
    assert desk.made == [1, "later"]
    desk.turn()
    assert desk.made == [1, "later", "later"]
    assert found == []
    desk.pending[1].settle("second")
    desk.turn()
    assert found == [[1, "first", "second", 2]]


def test_a_batch_ends_at_an_error_that_came_later(desk: Desk) -> None:
    found: list[Any] = []
    error = ValueError("so")
    batch(desk, ("later",), ("now", 2)).when_done(found.append)
    desk.pending[0].settle(error)
    assert found == [[wrapped_error(error)]]
    assert desk.made == ["later"]


def test_a_batch_whose_client_is_gone_makes_no_other_call(desk: Desk) -> None:
    found: list[Any] = []
    pending = batch(desk, ("later",), ("now", 2))
    pending.when_done(found.append)
    pending.abandon()
    assert desk.pending[0].abandoned
    desk.pending[0].settle(1)
    assert (desk.made, found) == (["later"], [])


def test_a_long_batch_lets_others_have_their_turn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoke_module, "TURN", -1.0)
    found: list[Any] = []
    batch(desk, *[("now", number) for number in range(10)]).when_done(found.append)
    made = []
    while desk.waiting:
        made.append(len(desk.made))
        assert not found
        desk.turn()
    assert made == list(range(1, 11))
    assert found == [list(range(10))]


def test_a_long_batch_whose_client_is_gone_is_not_gone_on_with(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoke_module, "TURN", -1.0)
    batch(desk, ("now", 1), ("now", 2)).abandon()
    desk.turn()
    assert desk.made == [1]


@pytest.mark.parametrize("large", [["x" * 3_000_000], {"a": "x" * 3_000_000}, ("x" * 3_000_000, desk)])
def test_the_results_of_a_batch_are_bounded(desk: Desk, large: Any) -> None:
    results = batch(desk, *[("now", large)] * 5)
    assert results[:2] == [large, large]
    assert len(results) == 3
    assert "the results of a batch can be at most 8388608 bytes" in str(results[2])
    assert batch(desk, ("now", [large] * 3)) == [[large] * 3]  # what is allowed by itself


def test_a_result_that_cannot_be_written_is_said_to_be_so(caplog: pytest.LogCaptureFixture) -> None:
    assert b"cannot be written" in written(FRAME, object(), "h")
    assert "a result for h cannot be written" in caplog.text


def test_it_is_seen_whether_a_result_is_large() -> None:
    rows = [{"name": "x" * 10, "numbers": (1, 2, 3)}] * 100
    assert is_larger(rows, 3000) and not is_larger(rows, 10_000)
    assert is_larger({"text": "x" * 100, "bytes": b""}, 100) and not is_larger(None, 4)
