"""The row of an event: every module that makes or reads one has its fields in this order."""

from __future__ import annotations

import msgpack
from stock_wire import received

from pyro_events import Event
from pyro_events.broker.accounting import queued_event
from pyro_events.broker.event_queue import rows_of
from pyro_events.constants import EVENT_FIELDS
from pyro_events.wire.event_batch import write_event_batch

EVENT = {"subject": "A", "time": 1.5, "seq": 7, "missed": 2, "payload": b"\xc0"}


def test_the_fields_are_those_of_an_event() -> None:
    state = Event.from_payload("A", 1.5, 7, 2, b"\xc0").to_dict()
    del state["__class__"]
    assert tuple(state) == EVENT_FIELDS
    assert state == EVENT


def test_a_backlog_makes_rows_of_them() -> None:
    for last, missed in ((6, 0), (4, 2)):
        (row,) = rows_of([7], [queued_event("A", 1.5, b"\xc0")], last)
        assert dict(zip(EVENT_FIELDS, row, strict=True)) == {**EVENT, "missed": missed}


def test_a_stock_subscriber_gets_them_by_name() -> None:
    data = write_event_batch("obj", 1, [("A", 1.5, 7, 2, b"\xc0")])
    _, _, calls, _ = msgpack.unpackb(received(data).data)
    assert calls[0][1][0] == {"__class__": "pyro_events.event.Event", **EVENT}
