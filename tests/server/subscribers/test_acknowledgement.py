"""What becomes of a batch's events by the subscriber's answer, and what follows for the connection."""

from __future__ import annotations

from typing import Any

import msgpack
import Pyro5.errors
import pytest

from pyro_events.broker.accounting import Batch, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.options import BacklogOptions
from pyro_events.server.subscribers.acknowledgement import Outcome, settle_answer
from pyro_events.wire.frames import EXCEPTION, MSGPACK, RESULT, Frame


def taken(events: int) -> tuple[Backlog, Batch]:
    """A backlog, and a batch of so many events that was taken from it."""
    total = TotalBytes()
    backlog = Backlog("PYRO:s@h:1", BacklogOptions(), total)
    for number in range(events):
        event = queued_event("A", 1.0, b"%d" % number)
        total.value += event[3]
        backlog.push(event)
    return backlog, backlog.take(events, 10_000)


def answer(value: Any, flags: int = 0) -> Frame:
    return Frame(RESULT, flags, MSGPACK, 1, b"", msgpack.packb(value))


def error(name: str, text: str) -> Frame:
    return answer({"__class__": f"Pyro5.errors.{name}", "args": [text]}, EXCEPTION)


def raised(text: str) -> dict[str, Any]:
    """An exception among the results of a Pyro batch."""
    exception = {"__class__": "builtins.ValueError", "args": [text]}
    return {"__class__": "Pyro5.core._ExceptionWrapper", "exception": exception}


def lost(backlog: Backlog) -> dict[str, int]:
    return {reason: count for reason, count in backlog.lost.items() if count}


@pytest.mark.parametrize(
    ("value", "delivered", "lost_ones"), [([], 3, {}), (None, 3, {}), ([0, 2], 1, {"handler-error": 2})]
)
def test_an_answer_to_events(
    value: Any, delivered: int, lost_ones: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    backlog, batch = taken(3)
    assert settle_answer(answer(value), batch, backlog, event_only=False) is Outcome.DONE
    assert (backlog.delivered, lost(backlog), backlog.unacknowledged) == (delivered, lost_ones, 0)


def test_an_answer_to_calls_of_event() -> None:
    backlog, batch = taken(2)
    assert settle_answer(answer([None, 7]), batch, backlog, event_only=True) is Outcome.DONE
    assert (backlog.delivered, lost(backlog), backlog.unacknowledged) == (2, {}, 0)


def test_a_pyro_batch_that_stopped_is_resumed_behind_the_event_that_raised() -> None:
    backlog, batch = taken(3)
    partly = settle_answer(answer([None, raised("two")]), batch, backlog, event_only=True)
    assert partly is Outcome.PARTLY_DONE
    assert (backlog.delivered, lost(backlog), backlog.unacknowledged) == (1, {"handler-error": 1}, 1)
    assert [row[2] for row in batch.rows] == [3]
    assert settle_answer(answer([raised("three")]), batch, backlog, event_only=True) is Outcome.DONE
    assert (backlog.delivered, lost(backlog), backlog.unacknowledged) == (1, {"handler-error": 2}, 0)


@pytest.mark.parametrize("event_only", [False, True])
@pytest.mark.parametrize(
    ("frame", "outcome"),
    [
        (answer("something else"), Outcome.DONE),
        (error("CommunicationError", "it was busy"), Outcome.DONE),
        (error("SerializeError", "don't know how to serialize class <class 'lab.Thing'>"), Outcome.RECONNECT),
    ],
)
def test_what_does_not_say_what_became_of_the_batch_makes_it_unconfirmed(
    event_only: bool, frame: Frame, outcome: Outcome
) -> None:
    backlog, batch = taken(2)
    assert settle_answer(frame, batch, backlog, event_only) is outcome
    assert (backlog.delivered, lost(backlog), backlog.unacknowledged) == (0, {"unconfirmed": 2}, 0)


@pytest.mark.parametrize("event_only", [False, True])
@pytest.mark.parametrize(
    "frame",
    [
        error("DaemonError", "unknown object"),
        error("SerializeError", "unsupported serialized class: pyro_events.event.Event"),
        error("SerializeError", "don't know how to serialize class <class 'coroutine'>"),
        error("ProtocolError", "result of call is an iterator"),
    ],
    ids=range(4),
)
def test_what_no_later_event_could_change_is_raised(event_only: bool, frame: Frame) -> None:
    backlog, batch = taken(2)
    with pytest.raises(Pyro5.errors.ProtocolError):
        settle_answer(frame, batch, backlog, event_only)
    assert (backlog.delivered, lost(backlog), backlog.unacknowledged) == (0, {}, 2)
