"""By which way a subscriber's events come, and that it changes where the service cannot connect (C32)."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import account, running, statistics
from fake_subscriber import FakeSubscriber, fake_subscriber
from listening import Collector, listening, set_times
from Pyro5.api import Daemon, config
from raw_client import raw_client
from waiting import eventually

from pyro_events import (
    EVENTSERVER_NAME,
    Event,
    EventService,
    EventServiceError,
    EventServiceStarter,
    Publisher,
    ServiceUnreachableError,
    Subscriber,
)
from pyro_events.wire.frames import CONNECT_FAIL

LISTEN = "0A"  # the state of such a socket in /proc/net/tcp


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Daemons listen on another address than the service sees their program at, so it is refused."""
    monkeypatch.setattr(config, "HOST", "127.0.0.2")


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def redirect(subscriber: Subscriber, port: int) -> None:
    """Have the service find another program where it looks for the subscriber's daemon."""
    state = subscriber._Subscriber__receiver.remote.calls.subscriber["state"]  # type: ignore[attr-defined]
    state[0] = state[0].rpartition(":")[0] + f":{port}"


def listening_sockets() -> set[str]:
    """The sockets of this process that somebody can connect to."""
    mine = {os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in mine:
                found.add(fields[9])
    return found


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("listens_first", [True, False])
def test_a_daemon_that_is_refused_is_replaced_at_once(
    service: EventServiceStarter,
    publisher: Publisher,
    caplog: pytest.LogCaptureFixture,
    listens_first: bool,
) -> None:
    """And what was published meanwhile is not lost."""
    with Collector(service.uri, name="behind") as collector:
        set_times(collector, warn_after=600.0)  # what is waited for where there is no answer
        if listens_first:
            collector.listen_in_background()
        collector.subscribe("A")
        assert collector.statistics().callback
        assert publisher.publish("A", 0) == 1
        assert collector.wait_until_connected(20)
        for message in range(1, 100):
            assert publisher.publish("A", message) == 1
        if not listens_first:
            assert not collector.events
            collector.listen_in_background()
        events = collector.wait(100)
        assert [(event.msg, event.seq, event.missed) for event in events] == [
            (number, number + 1, 0) for number in range(100)
        ]
        found = collector.statistics()
        assert not found.callback and found.unreachable is None and found.connections == 1
        assert collector.reasons == []
        one = account(service.uri, found.uri.replace("127.0.0.2", "127.0.0.1"))
        assert one is not None and one["name"] == "behind"
    eventually(lambda: not statistics(service.uri)["subscribers"])
    said = [record.getMessage() for record in caplog.records if record.name == "pyro_events.subscriber"]
    (line,) = [text for text in said if "makes itself" in text]
    assert "cannot reach this subscriber at 127.0.0.2:" in line and "Connect" in line
    assert not [text for text in said if "no event arrives" in text]


@pytest.mark.usefixtures("elsewhere")
def test_with_callback_true_it_only_says_so(
    service: EventServiceStarter, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    with Collector(service.uri, callback=True) as collector:
        set_times(collector, arrival=0.05, warn_after=0.1)
        collector.listen_in_background()
        collector.subscribe("A")
        eventually(lambda: collector.statistics().unreachable)
        assert collector.statistics().callback and not collector.wait_until_connected(0.2)
    assert caplog.text.count("no event arrives") == 1 and "makes itself" not in caplog.text
    assert "without callback=True" in caplog.text


@pytest.fixture
def full() -> Iterator[int]:
    """A port where connections are neither accepted nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for sock in waiting:
            sock.close()


@pytest.mark.parametrize("listens", [True, False])
def test_no_answer_is_waited_for_three_seconds_from_subscribing_on(
    service: EventServiceStarter, publisher: Publisher, full: int, listens: bool
) -> None:
    with Collector(service.uri) as collector:
        if listens:
            collector.listen_in_background()
        redirect(collector, full)
        began = time.monotonic()
        collector.subscribe("A")
        publisher.publish("A", "meanwhile")
        assert collector.wait_until_connected(20)
        assert time.monotonic() - began > 2.9
        collector.abort()
        collector.listen_in_background()
        (event,) = collector.wait(1)
        assert (event.msg, event.seq, event.missed) == ("meanwhile", 1, 0)
        assert not collector.statistics().callback


def test_silence_is_waited_for_three_seconds_from_listening_on(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with fake_subscriber() as other, Collector(service.uri) as collector:
        redirect(collector, other.port)
        collector.subscribe("A")
        other.accept()
        publisher.publish("A", "meanwhile")
        state = collector._Subscriber__receiver.reconnection  # type: ignore[attr-defined]
        eventually(lambda: state.state.at == float("inf"))  # it has asked, and waits for `listen`
        assert not collector.wait_until_connected(0.2)
        began = time.monotonic()
        collector.listen_in_background()
        (event,) = collector.wait(1)
        assert time.monotonic() - began > 2.9
        assert (event.msg, event.seq, event.missed) == ("meanwhile", 1, 0)
        other.wait_for_end()


def _closes(other: FakeSubscriber) -> None:
    other.accept()
    other.leave()


def _refuses(other: FakeSubscriber) -> None:
    other.accept()
    frame = other.frame()
    assert frame is not None
    other.send(CONNECT_FAIL, frame.seq, "unknown object")


def _is_something_else(other: FakeSubscriber) -> None:
    other.accept()
    assert other.sock is not None
    other.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("greet", [_closes, _refuses, _is_something_else])
def test_a_wrong_greeting_is_found_at_once(
    service: EventServiceStarter, publisher: Publisher, greet: Callable[[FakeSubscriber], None]
) -> None:
    with fake_subscriber() as other, Collector(service.uri) as collector:
        set_times(collector, warn_after=600.0)
        redirect(collector, other.port)
        collector.subscribe("A")
        greet(other)
        assert collector.wait_until_connected(20)
        publisher.publish("A", 1)
        collector.listen_in_background()
        collector.wait(1)


@pytest.mark.usefixtures("elsewhere")
def test_a_loop_of_the_programs_own_goes_on_waiting_for_the_daemons_sockets(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with Collector(service.uri) as collector:
        collector.subscribe("A")
        assert collector.wait_until_connected(10)
        publisher.publish("A", 1)
        assert not collector.events

        def poll() -> bool:
            ready, _, _ = select.select(collector.daemon.sockets, [], [], 0)
            collector.daemon.events(ready)
            return bool(collector.events)

        eventually(poll)
        assert collector.events[0].msg == 1


class TestWithoutAPort:
    """callback=False."""

    def test_nobody_can_connect_to_it(self, service: EventServiceStarter, publisher: Publisher) -> None:
        before = listening_sockets()
        with Collector(service.uri, callback=False) as collector:
            collector.subscribe("A")
            publisher.publish("A", 1)
            collector.listen_in_background()
            collector.wait(1)
            assert listening_sockets() == before
            found = collector.statistics()
            assert not found.callback and found.connections == 1
            assert account(service.uri, f"OWN:{found.uri}@127.0.0.1") is not None
        with Collector(service.uri):
            assert len(listening_sockets() - before) == 1  # which this would find

    def test_what_needs_a_daemon_says_so(self, service: EventServiceStarter) -> None:
        with Collector(service.uri, callback=False) as collector:
            for use in (collector.getDaemon, collector.getProxy, lambda: collector.daemon):
                with pytest.raises(EventServiceError, match="callback=False and opens no port"):
                    use()

    def test_a_service_that_cannot_do_it_is_refused_when_it_is_made(self) -> None:
        """The service in a stock daemon: older ones say as little."""
        with Daemon(host="127.0.0.1") as daemon:
            es = EventService()
            daemon.register(es, EVENTSERVER_NAME)
            thread = threading.Thread(target=daemon.requestLoop)
            thread.start()
            try:
                uri = f"PYRO:{EVENTSERVER_NAME}@{daemon.locationStr}"
                with pytest.raises(ServiceUnreachableError, match="callback=True"):
                    Subscriber(es_uri=uri, callback=False)
                with Collector(uri) as collector:  # which has one way
                    collector.subscribe("A")
                    assert collector.statistics().callback
                    collector.listen_in_background()
                    assert collector.wait_until_connected(10)
            finally:
                daemon.shutdown()
                thread.join(10)
                es.close()

    def test_what_is_refused_leaves_it_usable(self, service: EventServiceStarter) -> None:
        with Collector(service.uri, callback=False) as collector:
            collector.unsubscribe("NEVER")
            with pytest.raises(ValueError, match="pattern"):
                collector.subscribeMatch("(")
            collector.subscribe("A")
            assert collector.statistics().subscriptions == ("A",)

    def test_one_class_that_is_both(self, service: EventServiceStarter) -> None:
        class Relay(Publisher, Subscriber):
            def __init__(self) -> None:
                super().__init__(es_uri=service.uri, callback=False)  # type: ignore[call-arg]
                self.got = threading.Event()

            def event(self, event: Event) -> None:
                if event.subject == "A":
                    self.publish("B", event.msg)
                else:
                    self.got.set()

        with Relay() as relay:
            relay.subscribe(["A", "B"])
            relay.listen_in_background()
            relay.publish("A", 1)
            assert relay.got.wait(10)

    @pytest.mark.parametrize("callback", [1, 0, "yes"])
    def test_what_is_neither(self, service: EventServiceStarter, callback: Any) -> None:
        with pytest.raises(TypeError, match="callback must be True, False or None"):
            Subscriber(es_uri=service.uri, callback=callback)

    def test_it_may_subscribe_while_the_service_does_not_know_it(
        self, service: EventServiceStarter, publisher: Publisher
    ) -> None:
        """It has just been disconnected, and does not know that yet."""
        with Collector(service.uri, callback=False) as collector:
            collector.listen_in_background()
            collector.subscribe("A")
            assert collector.wait_until_connected(10)
            receiver = collector._Subscriber__receiver  # type: ignore[attr-defined]
            key = dict(receiver.remote.calls.subscriber)
            with raw_client(service.uri) as thief:  # nobody else can have it
                thief.attach(key=key["key"])
                thief.close()
                eventually(lambda: _standing(service.uri, key) == -1)
            collector.subscribe("B")
            publisher.publish("B", "at once")
            assert any(event.msg == "at once" for event in collector.wait(1))
            eventually(lambda: publisher.publish("A", "again"))
            eventually(lambda: any(event.msg == "again" for event in collector.events))
            assert len(collector.reasons) == 1 and collector.events[0].missed is None


def _standing(uri: str, subscriber: dict[str, str]) -> int:
    with raw_client(uri) as client:
        found: int = client.call("statistics", {"subscriber": subscriber})["subscriptions"]
        return found


def test_a_service_that_comes_back_is_found_by_both_ways(free_port: Callable[[], int]) -> None:
    """C27, though the first attempts to connect for events are refused."""
    port = free_port()

    def start(**options: Any) -> EventServiceStarter:
        return EventServiceStarter(host="127.0.0.1", port=port, use_ns=False, **options)

    collectors: list[Collector] = []
    try:
        with start() as es, Publisher(es_uri=es.uri) as publisher:
            for way in (True, False):
                collector = Collector(es.uri, callback=way)
                collectors.append(collector)
                set_times(collector, most_delay=0.05)
                collector.listen_in_background()
                collector.subscribe("A")
                assert collector.wait_until_connected(10)
            assert publisher.publish("A", 1) == 2
            for collector in collectors:
                collector.wait(1)
        with start() as es, Publisher(es_uri=es.uri) as publisher:
            eventually(lambda: len(statistics(es.uri)["subscribers"]) == 2)
            eventually(lambda: publisher.publish("A", 2) == 2)
            for collector in collectors:
                events = collector.wait(2)
                assert (events[1].seq, events[1].missed) == (1, None)
                assert len(collector.reasons) == 1
    finally:
        for collector in collectors:
            collector.close()


def test_both_ways_are_told_why_they_were_disconnected() -> None:
    with running(backlog=1, delivery_deadline=0.3) as es, Publisher(es_uri=es.uri) as publisher:
        slow = Slow(es.uri, callback=False)
        with listening(slow):
            slow.subscribe("A")
            assert slow.wait_until_connected(10)
            publisher.publish("A", "wait")
            slow.wait(1)
            eventually(lambda: publisher.publish("A", "more") >= 0 and slow.reasons, 10)
            slow.go_on.set()
            (reason,) = slow.reasons
        assert "blocked a publisher for 0.3 s" in reason


class Slow(Collector):
    """Handles one event until it is let go."""

    def __init__(self, es_uri: str, **others: Any) -> None:
        super().__init__(es_uri, **others)
        self.go_on = threading.Event()

    def event(self, event: Event) -> None:
        super().event(event)
        if event.msg == "wait":
            self.go_on.wait(20)
