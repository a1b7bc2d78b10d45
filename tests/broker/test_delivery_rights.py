"""Delivery rights: an event goes to those whose rights allow it, and nothing that is not allowed waits."""

from __future__ import annotations

from pyro_events.broker.accounting import Loss, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.broker import Broker
from pyro_events.broker.delivery_rights import allowed_targets, lose_denied
from pyro_events.broker.matching.rights import Rights
from pyro_events.broker.retained.kept_event import KeptEvent
from pyro_events.broker.retained.last import Last
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


def test_rights_with_many_rules_are_asked_of_many_last_values_with_pauses() -> None:
    """Otherwise whoever subscribes with last=True again and again holds up everybody: ten thousand subjects
    and fifty rules take a second."""
    broker = Broker(BacklogOptions(), 1 << 20)
    rights = Rights(subscribe=("*", "!*.?5"))
    subjects = [f"A.{number}" for number in range(500)]
    for subject in subjects:
        broker.retained.put(subject, 1.0, b"")
    search = broker.search_retained(["A"], rights)
    assert search is not None
    for number, _ in enumerate(search):
        if number == 10:
            broker.retained.put("A.new", 2.0, b"")
    assert number > 500 / 64 + 500 / 64  # the search, and then the judgement
    backlog = broker.subscribe("s", (), ["A"], rights=rights, last=Last.OF_ALL)
    expected = [name for name in [*subjects, "A.new"] if len(name) != 4 or name[-1] != "5"]
    batch = backlog.take(1_000, 1 << 20)
    assert [row[0] for row in batch.rows] == expected
    # What was judged for other rights does not count.
    list(broker.search_retained(["A"], rights) or ())
    nobody = broker.subscribe("t", (), ["A"], rights=Rights(), last=Last.OF_ALL)
    assert len(nobody) == 0


def test_few_last_values_are_judged_at_once() -> None:
    broker = Broker(BacklogOptions(), 1 << 20)
    broker.retained.put("A", 1.0, b"")
    assert list(broker.search_retained(["A"], Rights(subscribe=("A",))) or ()) == [None]
    assert broker.search_retained(["A"], Rights(subscribe=("A",))) is None
    assert len(broker.subscribe("s", (), ["A"], rights=Rights(subscribe=("A",)), last=Last.OF_ALL)) == 1
