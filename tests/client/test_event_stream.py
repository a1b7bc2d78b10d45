"""EventStream (C33) against a service: what a program that takes its events sees."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import os
import pickle
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from contract import account, in_background, running, statistics
from waiting import eventually

from pyro_events import (
    EventService,
    EventServiceError,
    EventServiceStarter,
    EventStream,
    Publisher,
    ServiceUnreachableError,
)

LOOPBACK = "127.0.0.1"


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def of(service: EventServiceStarter, stream: EventStream) -> dict[str, Any] | None:
    """What the service says of a stream."""
    return account(service.uri, f"OWN:{stream.statistics().id}@{LOOPBACK}")


def test_names_and_patterns_come_in_one_order(service: EventServiceStarter, publisher: Publisher) -> None:
    with EventStream(["A", "B"], match="^N", es_uri=service.uri, name="plotter") as events:
        assert publisher.publish(["A", "X", "NEWS", "b"], {"price": 1}) == 3
        got = [events.get(timeout=10) for _ in range(3)]
        assert [(event.subject, event.seq, event.missed) for event in got] == [
            ("A", 1, 0),
            ("NEWS", 2, 0),
            ("b", 3, 0),
        ]
        assert {event.time for event in got} == {got[0].time} and got[0].msg == {"price": 1}
        found = eventually(lambda: (of(service, events) or {}).get("delivered") == 3 and of(service, events))
        assert found["name"] == "plotter" and found["subjects"] == ["A", "B", "^N"]
        snapshot = events.statistics()
        assert (snapshot.taken, snapshot.waiting, snapshot.reconnects) == (3, 0, 0)
        assert snapshot.subscriptions == ("A", "B", "^N") and snapshot.connected
    assert statistics(service.uri)["subscribers"] == []


def test_it_is_an_iterator_that_ends_when_it_is_closed(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    events = EventStream("A", es_uri=service.uri)
    got: list[int] = []
    loop = in_background(lambda: got.extend(event.msg for event in events))
    for number in range(5):
        publisher.publish("A", number)
    eventually(lambda: got == list(range(5)))
    events.close()
    loop.result()
    assert list(events) == [] and repr(events).endswith("closed>")
    for use in (events.get, events.fileno, lambda: events.subscribe("B"), lambda: events.unsubscribe("A")):
        with pytest.raises(EventServiceError, match="this stream is closed"):
            use()
    events.close()


def test_a_thread_that_waits_wakes_when_another_one_closes(service: EventServiceStarter) -> None:
    events = EventStream("A", es_uri=service.uri)
    waiting = [in_background(events.get) for _ in range(3)]
    eventually(lambda: threading.active_count() > 3)
    events.close()
    for each in waiting:
        with pytest.raises(EventServiceError, match="this stream is closed"):
            each.result()


def test_time_limits(service: EventServiceStarter, publisher: Publisher) -> None:
    with EventStream("A", es_uri=service.uri) as events:
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutError, match=f"no event came within {timeout:g} s"):
                events.get(timeout=timeout)
        publisher.publish("A", 1)
        assert events.get(timeout=float("inf")).msg == 1
        for wrong, kind in (
            (-1, ValueError),
            (float("nan"), ValueError),
            ("1", TypeError),
            (True, TypeError),
        ):
            with pytest.raises(kind, match="timeout"):
                events.get(timeout=wrong)


def test_what_is_subscribed_may_change(service: EventServiceStarter, publisher: Publisher) -> None:
    with EventStream(es_uri=service.uri) as events:
        events.subscribe("A", backlog=7, overflow="drop-oldest")
        events.subscribeMatch("^B")
        assert publisher.publish(["A", "B1", "C"], 1) == 2
        assert [events.get(10).subject, events.get(10).subject] == ["A", "B1"]
        found = of(service, events)
        assert found is not None and found["overflow"] == "drop-oldest"
        events.unsubscribe(["A", "^B", "nothing"])
        assert publisher.publish(["A", "B1"], 2) == 0
        events.subscribe("A")
        assert publisher.publish("A", 3) == 1
        assert events.get(10).msg == 3


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"subjects": 5}, TypeError, "subject"),
        ({"subjects": ["A", ""]}, ValueError, "empty"),
        ({"match": "("}, ValueError, r"\("),
        ({"match": 5}, TypeError, "pattern"),
        ({"backlog": 0}, ValueError, "backlog"),
        ({"backlog": 10**9}, ValueError, "backlog"),
        ({"overflow": "never"}, ValueError, "never"),
        ({"name": ""}, ValueError, "name"),
        ({"wait": -1}, ValueError, "wait"),
        ({"es_uri": 5}, TypeError, "es_uri"),
        ({"es_uri": "nonsense"}, ValueError, "nonsense"),
        ({"ident": 5}, TypeError, "ident"),
    ],
)
def test_wrong_arguments_raise_when_it_is_made_and_leave_nothing_connected(
    service: EventServiceStarter, arguments: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        EventStream(**{"es_uri": service.uri, **arguments})
    eventually(lambda: statistics(service.uri)["connections"] == 1)
    assert statistics(service.uri)["subscribers"] == []


def test_no_service_and_one_that_cannot(free_port: Callable[[], int]) -> None:
    with pytest.raises(ServiceUnreachableError, match="refused"):
        EventStream("A", es_uri=f"{LOOPBACK}:{free_port()}")
    from Pyro5.api import Daemon

    with Daemon(LOOPBACK) as daemon:
        service = EventService()
        uri = daemon.register(service, "Pyro.EventService")
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            with pytest.raises(ServiceUnreachableError, match="stock Pyro5 daemon"):
                EventStream("A", es_uri=uri)
        finally:
            daemon.shutdown()
            thread.join()
            service.close()


def test_a_slow_program_has_a_backlog_and_nothing_is_lost() -> None:
    with (
        running(backlog=50) as service,
        Publisher(es_uri=service.uri) as publisher,
        EventStream("A", es_uri=service.uri) as events,
    ):
        publishing = in_background(lambda: [publisher.publish("A", number) for number in range(3000)])
        eventually(lambda: (of(service, events) or {}).get("backlog", 0) >= 50)
        assert not publishing.done
        assert [events.get(10).msg for _ in range(3000)] == list(range(3000))
        publishing.result()


def test_many_threads_take_each_event_once(service: EventServiceStarter, publisher: Publisher) -> None:
    with EventStream("A", es_uri=service.uri, overflow="latest", backlog=1000) as one_at_a_time:
        with EventStream("A", es_uri=service.uri) as events:
            got: list[int] = []
            takers = [in_background(lambda: got.extend(event.msg for event in events)) for _ in range(4)]
            with publisher.pipeline() as fast:
                for number in range(5000):
                    fast.publish("A", number)
            eventually(lambda: len(got) == 5000)
            assert sorted(got) == list(range(5000))
            eventually(lambda: (of(service, events) or {}).get("delivered") == 5000)
            events.close()
            for taker in takers:
                taker.result()
        last = None
        while last != 4999:  # with one batch at a time, each acknowledgement brings the next
            last = one_at_a_time.get(10).msg


def test_it_comes_back_with_its_service(free_port: Callable[[], int]) -> None:
    port = free_port()
    events = None
    try:
        with EventServiceStarter(LOOPBACK, port, use_ns=False) as service:
            events = EventStream("A", match="^B", es_uri=service.uri)
            with Publisher(es_uri=service.uri) as publisher:
                publisher.publish("A", 1)
            assert (event := events.get(10)).seq == 1 and event.missed == 0
            waiting = in_background(lambda: events.get(30))
        with EventServiceStarter(LOOPBACK, port, use_ns=False) as service:
            with Publisher(es_uri=service.uri) as publisher:
                eventually(lambda: publisher.publish("B", 2))
                event = waiting.result(30)
                assert (event.subject, event.msg, event.seq, event.missed) == ("B", 2, 1, None)
                publisher.publish("A", 3)
                assert (event := events.get(10)).msg == 3 and event.missed == 0
            assert events.statistics().reconnects == 1
            events.close()
    finally:
        if events is not None:
            events.close()


def test_it_comes_back_while_the_program_takes_nothing(free_port: Callable[[], int]) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        with EventServiceStarter(LOOPBACK, port, use_ns=False) as service:
            events = stack.enter_context(EventStream("A", es_uri=service.uri))
        service = stack.enter_context(EventServiceStarter(LOOPBACK, port, use_ns=False))
        eventually(lambda: statistics(service.uri)["subscribers"])
        assert events.statistics().connected
        events.close()


def test_heartbeats_are_answered_while_the_program_takes_nothing() -> None:
    with (
        running(heartbeat=0.2, heartbeat_answer=1.5) as service,
        EventStream("A", es_uri=service.uri) as events,
    ):
        eventually(lambda: _heard(events) >= 2)
        assert len(statistics(service.uri)["subscribers"]) == 1
        assert events.statistics().reconnects == 0


def _heard(events: EventStream) -> int:
    return events._EventStream__receiver.source.link.inbox.heard  # type: ignore[attr-defined, no-any-return]


def test_the_descriptor_is_readable_while_an_event_can_be_taken(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    def readable(seconds: float) -> bool:
        return bool(select.select([events], [], [], seconds)[0])

    with EventStream("A", es_uri=service.uri) as events:
        assert not readable(0)
        publisher.publish(["A", "A"], 1)
        assert readable(10)
        assert [events.get(timeout=10).seq, events.get(timeout=10).seq] == [1, 2]
        assert not readable(0)
        publisher.publish("A", 2)
        assert readable(10) and events.get(timeout=0).msg == 2
        number = events.fileno()
        assert number == events.fileno()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_a_signal_handler_may_interrupt_it_and_take_what_is_there(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    class Interrupted(Exception):
        pass

    refused: list[str] = []

    def handler(*_: object) -> None:
        try:
            events.get(timeout=1)
        except EventServiceError as error:
            refused.append(str(error))
        raise Interrupted

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with EventStream("A", es_uri=service.uri) as events:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Interrupted) as interrupted:
                events.get(timeout=20)
            assert interrupted.value.__context__ is None, "a traceback begins with an exception of ours"
            assert "waiting for an event of this stream already" in refused[0]
            publisher.publish("A", 1)
            event = events.get(timeout=10)
            assert (event.msg, event.seq, event.missed) == (1, 1, 0)
            assert events.statistics().reconnects == 0
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_leaves_the_parents_stream_alone(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with EventStream("A", es_uri=service.uri) as events:
        events.fileno()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                try:
                    events.get(timeout=5)
                except EventServiceError:
                    events.close()
                    code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        publisher.publish("A", 1)
        assert events.get(10).msg == 1 and events.statistics().reconnects == 0


def test_one_that_is_dropped_warns_and_closes(service: EventServiceStarter) -> None:
    events: EventStream | None = EventStream("A", es_uri=service.uri)
    assert events is not None
    with pytest.warns(ResourceWarning, match="EventStream .* was not closed"):
        events = None
        gc.collect()
    eventually(lambda: not statistics(service.uri)["subscribers"])


def test_it_can_be_neither_copied_nor_pickled(service: EventServiceStarter) -> None:
    with EventStream("A", es_uri=service.uri) as events:
        for use in (copy.copy, pickle.dumps):
            with pytest.raises(TypeError, match="neither copied nor pickled"):
                use(events)


def test_a_class_that_forgets_the_constructor_is_told() -> None:
    class Forgetful(EventStream):
        def __init__(self) -> None:
            pass

    stream = Forgetful()
    assert repr(stream) == "<EventStream, not initialised>"
    for use in (stream.get, stream.statistics, lambda: list(stream)):
        with pytest.raises(EventServiceError, match="call EventStream.__init__ first"):
            use()
    stream.close()


def test_a_service_in_the_same_program_is_not_waited_for_in_its_own_thread(
    service: EventServiceStarter,
) -> None:
    from pyro_events import service_threads

    with EventStream("A", es_uri=service.uri) as events:
        service_threads.enter()
        try:
            with pytest.raises(EventServiceError, match="wait for itself"):
                events.get(timeout=1)
            with pytest.raises(EventServiceError, match="wait for itself"):
                EventStream("A", es_uri=service.uri)
        finally:
            service_threads.leave()


def test_what_the_program_does_not_want_any_more_is_no_reason_to_warn(
    service: EventServiceStarter, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    with EventStream("A", es_uri=service.uri) as events:
        eventually(lambda: statistics(service.uri)["connections"] == 2)  # no other than the test's own
        for number in range(5):
            publisher.publish("A", number)
        assert events.get(10).msg == 0
    eventually(lambda: statistics(service.uri)["lost"])
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_one_that_gets_no_thread_says_so_and_leaves_nothing_connected(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "pyro_events-streams":
            raise RuntimeError("can't start new thread")
        real(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(EventServiceError, match="no thread can be started"):
            EventStream("A", es_uri=service.uri)
    eventually(lambda: not statistics(service.uri)["subscribers"])
    with EventStream("A", es_uri=service.uri) as events, Publisher(es_uri=service.uri) as publisher:
        publisher.publish("A", 1)
        assert events.get(10).msg == 1


def test_close_takes_no_time_while_the_service_is_away(free_port: Callable[[], int]) -> None:
    with EventServiceStarter(LOOPBACK, free_port(), use_ns=False) as service:
        events = EventStream("A", es_uri=service.uri)
    waiting = in_background(events.get)
    began = time.monotonic()
    events.close()
    with pytest.raises(EventServiceError):
        waiting.result()
    assert time.monotonic() - began < 5


def test_what_is_subscribed_to_just_after_the_service_has_come_back_is_subscribed_with_the_rest(
    free_port: Any,
) -> None:
    port = free_port()
    with contextlib.ExitStack() as first, contextlib.ExitStack() as rest:
        first.enter_context(EventServiceStarter(LOOPBACK, port, use_ns=False))
        uri = f"{LOOPBACK}:{port}"
        events = rest.enter_context(EventStream("A", es_uri=uri))
        first.close()
        rest.enter_context(EventServiceStarter(LOOPBACK, port, use_ns=False))
        events.subscribe("B")  # nobody has noticed that the connection for events has ended
        with Publisher(es_uri=uri) as publisher:
            eventually(lambda: publisher.publish(["A", "B"], 1) == 2)
        assert (events.get(timeout=10).missed, events.get(timeout=10).subject) == (None, "B")


def test_a_service_on_asyncios_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where uvloop is not installed: connections are given away by other transports there."""
    monkeypatch.setattr("pyro_events.server.runner.new_event_loop", asyncio.new_event_loop)
    large = bytes(range(256)) * 100_000
    with running(heartbeat=0.2, heartbeat_answer=1.5) as service, Publisher(es_uri=service.uri) as publisher:
        with EventStream("A", match="^B", es_uri=service.uri) as events:
            talking = in_background(
                lambda: [publisher.publish("AB"[number % 2], number) for number in range(3000)]
            )
            assert [events.get(10).msg for _ in range(3000)] == list(range(3000))
            talking.result()
            publisher.publish("A", large[:16_000_000])
            assert events.get(10).msg == large[:16_000_000]
            eventually(lambda: _heard(events) > 5)
            found = eventually(lambda: (one := of(service, events)) and not one["unacknowledged"] and one)
            assert found["delivered"] == 3001
        eventually(lambda: not statistics(service.uri)["subscribers"])
