"""What comes of a Pyro batch of calls, without a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import Pyro5.errors
import pytest

from pyro_events.server.clients import batch_result
from pyro_events.server.clients.batch_result import invoke_batch
from pyro_events.server.objects import Caller, DeferredResult
from pyro_events.wire.frames import INVOKE, MSGPACK, Frame
from pyro_events.wire.replies import wrapped_error
from pyro_events.wire.requests import Call

FRAME = Frame(INVOKE, 0, MSGPACK, 1, b"", b"")


class Desk:
    """An object that can be called; `later` answers when the test does."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.pending: list[DeferredResult] = []
        self.waiting: list[Callable[[], None]] = []
        self.methods = {"now": self.now, "later": self.later, "fail": self.fail}

    def again(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def turn(self) -> None:
        """It is the client's turn again."""
        self.waiting.pop(0)()

    def now(self, caller: Caller, value: Any) -> Any:
        self.made.append(value)
        return value

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
    monkeypatch.setattr(batch_result, "TURN", 60.0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def batch(desk: Desk, *entries: tuple[Any, ...]) -> Any:
    whole = Call("desk", "", [], {}, [(name, list(args), {}) for name, *args in entries])
    return invoke_batch(FRAME, {"desk": desk}, Caller("h", 0), whole, desk.again)


def test_an_object_that_is_not_there_is_said_to_be_so(desk: Desk) -> None:
    whole = Call("nobody", "", [], {}, [])
    refused = invoke_batch(FRAME, {"desk": desk}, Caller("h", 0), whole, desk.again)
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
    monkeypatch.setattr(batch_result, "TURN", -1.0)
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
    monkeypatch.setattr(batch_result, "TURN", -1.0)
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
