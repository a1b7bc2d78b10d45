"""Delivery rights: an event goes to those whose rights allow it, and nothing that is not allowed waits."""

from __future__ import annotations

from pyro_events.broker.accounting import Loss, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.delivery_rights import allowed_targets, lose_denied
from pyro_events.broker.matching.rights import Rights
from pyro_events.broker.retained.kept_event import KeptEvent
from pyro_events.options import BacklogOptions


def backlog_with(rights: Rights | None, *subjects: str) -> Backlog:
    total = TotalBytes()
    backlog = Backlog("PYRO:s@h:1", BacklogOptions(), total)
    backlog.rights = rights
    for subject in subjects:
        event = queued_event(subject, 1.0, b"")
        total.value += event[3]
        backlog.push(event)
    return backlog


LAB = Rights(subscribe=("LAB.*",))
HALL = Rights(subscribe=("HALL.*",))


def test_an_event_goes_to_those_whose_rights_allow_it() -> None:
    lab, hall, other, anyone = (backlog_with(rights) for rights in (LAB, HALL, LAB, None))
    assert allowed_targets("lab.door", (lab, hall, other, anyone)) == (lab, other, anyone)
    assert allowed_targets("CELLAR", (lab, hall)) == ()


def test_where_all_may_get_it_nothing_is_copied() -> None:
    targets = (backlog_with(LAB), backlog_with(None))
    assert allowed_targets("LAB.X", targets) is targets


def test_what_is_not_allowed_any_more_is_lost_and_counted() -> None:
    lab, anyone = backlog_with(LAB, "LAB.A", "HALL.B", "lab.c", "Hall.d"), backlog_with(None, "HALL.B")
    untouched = backlog_with(HALL, "HALL.A")
    assert lose_denied([lab, anyone, untouched]) == [lab]
    assert lab.lost == {Loss.DENIED.value: 2} and not anyone.lost and not untouched.lost
    rows = lab.take(10, 10_000).rows
    assert [(row[0], row[2], row[3]) for row in rows] == [("LAB.A", 1, 0), ("lab.c", 3, 1)]


def test_last_values_that_wait_are_lost_too() -> None:
    lab = backlog_with(LAB)
    lab.replay([KeptEvent(name, name.lower(), 1.0, b"", i) for i, name in enumerate(["HALL.A", "LAB.B"])])
    assert lose_denied([lab]) == [lab] and lab.lost == {Loss.DENIED.value: 1}
    assert [(row[0], row[2], row[3]) for row in lab.take(10, 10_000).rows] == [("LAB.B", 1, 0)]
