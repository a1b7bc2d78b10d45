"""Subscribers find a service again that was gone (C27)."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from contract import account, running
from fake_service import fake_service
from listening import (
    AnyCollector,
    Collecting,
    Collector,
    collecting,
    disconnect,
    listening,
    listens,
    set_times,
)
from processes import Process, Spawner
from Pyro5.api import config
from waiting import eventually

from pyro_events import Event, EventServiceStarter, EventStream, OutcomeUnknownError, Publisher, Subscriber
from pyro_events.client.connection import opener
from pyro_events.client.connection.connection import Connection
from pyro_events.client.connection.handshake import Attempt
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.client.reconnect import reconnect_queue
from pyro_events.client.reconnect.reconnection import Reconnection
from pyro_events.client.reconnect.state import Stage
from pyro_events.client.reconnect.times import ReconnectTimes

LOOPBACK = "127.0.0.1"
# What is promised, from the moment at which it is possible; this machine may be busy with other things.
PROMISED = 2.0
SECRET = "a secret"


def start(spawn: Spawner, port: int, *options: str) -> Process:
    arguments = ["-m", "pyro_events.es", "-n", LOOPBACK, "-p", str(port), *options]
    return spawn(*arguments, ready="Event service started")


def kill(process: Process) -> None:
    process.send(signal.SIGKILL)
    process.wait()


def reaches(publisher: Publisher, subject: str, message: Any, count: int = 1) -> bool:
    """Whether a publication was queued for so many subscribers."""
    with contextlib.suppress(OutcomeUnknownError):
        return publisher.publish(subject, message) >= count
    return False


def back_after(
    uri: str | None, collectors: Sequence[AnyCollector], subject: str, ident: str | None = None
) -> float:
    """Seconds from now until all are subscribed again; returns when each has got another event."""
    began, before = time.monotonic(), [collector.messages().count("back") for collector in collectors]
    with Publisher(ident, uri) as publisher:
        eventually(lambda: reaches(publisher, subject, "back", len(collectors)), 10)
        took = time.monotonic() - began
        for collector, count in zip(collectors, before, strict=True):
            eventually(lambda c=collector, n=count: c.messages().count("back") > n, 10)  # type: ignore[misc]
    return took


def connected(*collectors: Subscriber) -> bool:
    """Whether the service has connected to all of them, and shaken hands."""
    return all(reconnection(one).state.connections for one in collectors)


def reconnection(subscriber: Subscriber) -> Reconnection:
    return subscriber._Subscriber__receiver.reconnection  # type: ignore[attr-defined, no-any-return]


def first_after(collector: AnyCollector) -> Event:
    """The first event after the return."""
    return next(event for event in collector.events if event.msg == "back")


@pytest.mark.parametrize("ident", [None, SECRET])
def test_killed_and_restarted_on_the_same_port(
    spawn: Spawner, free_port: Callable[[], int], collect: Collecting, ident: str | None
) -> None:
    port = free_port()
    options = ("-N",) if ident is None else ("-N", "-i", ident)
    uri = f"PYRO:Pyro.EventService@{LOOPBACK}:{port}"
    process = start(spawn, port, *options)
    with collect(uri, "A", ident=ident) as collector:
        collector.subscribeMatch(r"^B\.", overflow="latest")
        with Publisher(ident, uri) as publisher:
            publisher.publish(["A", "b.1"], "before")
            assert [event.missed for event in collector.wait(2)] == [0, 0]
        kill(process)
        eventually(lambda: not collector.is_connected)
        start(spawn, port, *options)
        assert back_after(uri, [collector], "A", ident) < PROMISED
        assert first_after(collector).missed is None
        assert first_after(collector).seq == 1
        with Publisher(ident, uri) as publisher:
            assert publisher.publish(["A", "b.1"], "after") == 2
            eventually(lambda: collector.messages().count("after") == 2)
            last = collector.events[-1]
            assert last.missed == 0 and last.seq > 1
        (reason,) = collector.reasons
        # A stream is told that something may be missing, and not why.
        assert reason == "the connection from the event service ended" or isinstance(collector, EventStream)


def test_restarted_on_another_port_with_a_name_server(
    spawn: Spawner, name_server: Any, free_port: Callable[[], int], collect: Collecting
) -> None:
    options = ("--ns-host", LOOPBACK, "--ns-port", str(name_server.port))
    process = start(spawn, 0, *options)
    with collect(None, "A") as collector:
        first = collector.statistics().address
        kill(process)
        eventually(lambda: not collector.is_connected)
        start(spawn, 0, *options)
        assert back_after(None, [collector], "A") < PROMISED
        assert first_after(collector).missed is None
        assert collector.statistics().address != first


def test_restarted_together_with_its_guarded_name_server(
    spawn: Spawner, free_port: Callable[[], int], collect: Collecting
) -> None:
    port = free_port()
    config.NS_HOST, config.NS_PORT = LOOPBACK, port
    options = ("--embed-ns", "--ns-host", LOOPBACK, "--ns-port", str(port), "-i", SECRET)
    process = start(spawn, 0, *options)
    with collect(None, "A", ident=SECRET) as collector:
        kill(process)
        eventually(lambda: not collector.is_connected)
        start(spawn, 0, *options)
        assert back_after(None, [collector], "A", SECRET) < PROMISED


@pytest.mark.usefixtures("each_way")
def test_a_service_that_ended_in_order_is_found_again(free_port: Callable[[], int]) -> None:
    port = free_port()
    with EventServiceStarter(LOOPBACK, port, use_ns=False) as es:
        uri = es.uri
        collector = Collector(uri)
        collector.subscribe("A")
    # It ended before `listen` began, so that nothing of it is left but the subscriptions.
    with listening(collector), EventServiceStarter(LOOPBACK, port, use_ns=False):
        assert back_after(uri, [collector], "A") < PROMISED + ReconnectTimes().arrival


@pytest.mark.usefixtures("each_way")
def test_only_the_connection_to_the_subscriber_breaks() -> None:
    with running() as es, collecting(es.uri, "A") as collector, Publisher(es_uri=es.uri) as publisher:
        publisher.publish("A", "before")
        collector.wait(1)
        with publisher.getES() as proxy:  # an event that is not acknowledged would be called lost
            eventually(lambda: proxy.statistics()["delivered"] == 1)
        disconnect(collector)
        assert back_after(es.uri, [collector], "A") < PROMISED
        assert first_after(collector).missed is None
        assert collector.reasons == ["the connection from the event service ended"]
        assert collector.statistics().reconnects == 0


@pytest.mark.usefixtures("each_way")
def test_a_subscriber_that_was_disconnected_because_it_was_slow() -> None:
    go_on = threading.Event()

    class Slow(Collector):
        def event(self, event: Event) -> None:
            super().event(event)
            if event.msg == "wait":
                go_on.wait(20)

    with running(backlog=5, overflow="disconnect") as es, Publisher(es_uri=es.uri) as publisher:
        slow = Slow(es.uri)
        with listening(slow):
            slow.subscribe("A")
            publisher.publish("A", "wait")
            slow.wait(1)
            eventually(lambda: publisher.publish("A", "more") == 0)
            # Its handler is still busy, and yet it is subscribed again.
            eventually(lambda: publisher.publish("A", "back") == 1)
            assert len(slow.events) == 1
            go_on.set()
            eventually(lambda: "back" in slow.messages())
            assert first_after(slow).missed is None or slow.events[1].missed is None
            assert slow.reasons


def test_many_subscribers_of_one_program_come_back_a_few_at_once(
    spawn: Spawner, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch, each_way: bool
) -> None:
    """With two threads each, they would keep each other from shaking hands if all came in one instant."""
    many = 200
    port = free_port()
    uri = f"PYRO:Pyro.EventService@{LOOPBACK}:{port}"
    process = start(spawn, port, "-N")
    attempts: list[float] = []
    opened = opener.open_connection
    trying, most, lock = 0, 0, threading.Lock()

    def open_counted(attempt: Attempt) -> Connection:
        nonlocal trying, most
        with lock:
            attempts.append(time.monotonic())
            trying += 1
            most = max(most, trying)
        try:
            return opened(attempt)
        finally:
            with lock:
                trying -= 1

    with contextlib.ExitStack() as stack:
        collectors = [stack.enter_context(collecting(uri, "A")) for _ in range(many)]
        eventually(lambda: connected(*collectors), 15)
        monkeypatch.setattr(opener, "open_connection", open_counted)
        kill(process)
        eventually(lambda: not any(collector.statistics().connections for collector in collectors), 15)
        lost = time.monotonic()
        # Sixteen find that it is away, and then one at a time tries.
        eventually(lambda: len(attempts) >= reconnect_queue.AT_ONCE + 3)
        start(spawn, port, "-N")
        eventually(lambda: connected(*collectors), 15)
        tries = reconnect_queue.AT_ONCE + 4 + (time.monotonic() - lost) / (ReconnectTimes().most_delay / 4)
        assert most <= reconnect_queue.AT_ONCE
        each = many if each_way else 2 * many  # one for calls, and one for events
        assert each <= len(attempts) <= each + 2 * tries
        back_after(uri, collectors, "A")
        assert all(len(collector.reasons) == 1 for collector in collectors)


@pytest.mark.usefixtures("each_way")
def test_all_subscriptions_come_back_however_many() -> None:
    with running() as es, Publisher(es_uri=es.uri) as publisher, collecting(es.uri) as collector:
        names = [f"N{number}" for number in range(120)]
        collector.subscribe(names)
        collector.subscribeMatch([f"^P{number}$" for number in range(60)])
        collector.unsubscribe(["N7", "^P7$"])
        eventually(lambda: connected(collector))
        disconnect(collector)
        eventually(lambda: collector.reasons)
        eventually(lambda: publisher.publish([*names, *(f"P{n}" for n in range(60))], 1) == 178)


@pytest.mark.usefixtures("each_way")
def test_the_hook_may_subscribe_and_publish() -> None:
    class Hooked(Collector):
        def on_reconnect(self, reason: str) -> None:
            super().on_reconnect(reason)
            assert self.events == []
            self.subscribe("B")
            publisher.publish("B", "from the hook")

    with running() as es, Publisher(es_uri=es.uri) as publisher:
        hooked = Hooked(es.uri)
        with listening(hooked):
            hooked.subscribe("A")
            eventually(lambda: connected(hooked))
            disconnect(hooked)
            assert hooked.wait(1)[0].msg == "from the hook"


@pytest.mark.usefixtures("each_way")
def test_a_hook_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Collector):
        def on_reconnect(self, reason: str) -> None:
            raise RuntimeError("no wish to come back")

    with running() as es:
        failing = Failing(es.uri)
        with listening(failing):
            failing.subscribe("A")
            eventually(lambda: connected(failing))
            disconnect(failing)
            back_after(es.uri, [failing], "A")
    assert "on_reconnect() failed" in caplog.text and "no wish to come back" in caplog.text


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_hook_that_ends_its_thread_is_logged_too(
    caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    """And the connection goes on, as it does after such an exception in `event`."""

    class Exiting(Collector):
        def on_reconnect(self, reason: str) -> None:
            raise kind("the end")

    with running() as es:
        exiting = Exiting(es.uri)
        with listening(exiting):
            exiting.subscribe("A")
            eventually(lambda: connected(exiting))
            disconnect(exiting)
            back_after(es.uri, [exiting], "A")
    assert "on_reconnect() failed" in caplog.text and "the end" in caplog.text


@pytest.mark.usefixtures("each_way")
def test_what_is_unsubscribed_from_while_it_is_subscribed_again_does_not_come_back() -> None:
    """The service connects when it knows the first of many subscriptions; the others are still being told."""
    names = [f"{number:0>200}" for number in range(900)]

    class Leaving(Collector):
        def on_reconnect(self, reason: str) -> None:
            self.unsubscribe(names)
            super().on_reconnect(reason)

    with running() as es:
        leaving = Leaving(es.uri)
        with listening(leaving):
            leaving.subscribe(["A", *names])
            eventually(lambda: connected(leaving))
            disconnect(leaving)
            eventually(lambda: leaving.reasons, 10)
            eventually(lambda: reconnection(leaving).state.stage is Stage.NONE)
            assert leaving.statistics().subscriptions == ("A",)
            known = account(es.uri, leaving.known_as)
            assert known is not None and known["subscriptions"] == 1


@pytest.mark.usefixtures("each_way")
def test_what_waited_while_nothing_was_subscribed_is_known_to_be_lost() -> None:
    """C18: the handler unsubscribes from its only subject when 20 events are queued, and the connection
    breaks."""
    go_on = threading.Event()

    class Leaving(Collector):
        def event(self, event: Event) -> None:
            super().event(event)
            if event.msg == 0:
                self.unsubscribe("A")
                go_on.wait(20)

    with running() as es, Publisher(es_uri=es.uri) as publisher:
        leaving = Leaving(es.uri)
        with listening(leaving):
            leaving.subscribe("A")
            eventually(lambda: connected(leaving))
            with publisher.pipeline() as fast:
                for number in range(20):
                    fast.publish("A", number)
            leaving.wait(1)
            eventually(lambda: not leaving.statistics().subscriptions)
            disconnect(leaving)
            go_on.set()
            eventually(lambda: account(es.uri, leaving.known_as) is None)
            lost = 20 - leaving.statistics().handled
            leaving.subscribe("A")
            back_after(es.uri, [leaving], "A")
            assert first_after(leaving).missed is None
            (reason,) = leaving.reasons
            assert "events that waited for it were lost" in reason
            assert lost


@pytest.mark.usefixtures("each_way")
def test_closing_in_the_hook() -> None:
    class Closing(Collector):
        def on_reconnect(self, reason: str) -> None:
            self.close()

    with running() as es:
        closing = Closing(es.uri)
        thread = threading.Thread(target=closing.listen)
        thread.start()
        closing.subscribe("A")
        eventually(lambda: connected(closing))
        disconnect(closing)
        thread.join(10)
        assert not thread.is_alive()


def test_unsubscribing_and_subscribing_again_loses_nothing() -> None:
    with running(linger=0.01) as es, collecting(es.uri, "A") as collector:
        with Publisher(es_uri=es.uri) as publisher:
            eventually(lambda: connected(collector))
            collector.unsubscribe("A")
            eventually(lambda: not collector.statistics().connections)
            collector.subscribe("A")
            publisher.publish("A", 1)
            assert collector.wait(1)[0].missed == 0
        assert collector.reasons == []


@pytest.mark.usefixtures("each_way")
def test_nothing_is_tried_between_abort_and_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as es, Collector(es.uri) as collector:
        collector.subscribe("A")
        thread = threading.Thread(target=collector.listen)
        thread.start()
        eventually(lambda: connected(collector) and listens(collector))
        collector.abort()
        thread.join(10)
        disconnect(collector)
        eventually(lambda: not collector.statistics().connections)
        with Publisher(es_uri=es.uri) as publisher:
            eventually(lambda: publisher.publish("A", "lost") == 0)
        with listening(collector):
            back_after(es.uri, [collector], "A")
            assert first_after(collector).missed is None


@contextlib.contextmanager
def one_service_then_none(**times: float) -> Iterator[tuple[Collector, Any]]:
    """A subscriber whose service was ours and is then silent."""
    with fake_service() as fake:
        collector = Collector(fake.uri)
        set_times(collector, **times)
        connection = fake.next()
        answering = threading.Thread(target=answer, args=(connection,))
        answering.start()
        try:
            with listening(collector):
                collector.subscribe("A")
                yield collector, connection
        finally:
            connection.close()
            answering.join(10)


def answer(connection: Any) -> None:
    """Take one call and be silent then."""
    with contextlib.suppress(OSError, AssertionError):
        seq, _, _ = connection.call()
        connection.answer(seq, None)


def test_a_service_that_vanished_without_a_message() -> None:
    with one_service_then_none(heartbeat=0.1, answer=0.05, arrival=60.0) as (collector, _):
        host, _, port = collector.statistics().uri.rpartition("@")[2].rpartition(":")
        with socket.create_connection((host, int(port))) as service:
            greet(service, collector.statistics().uri)
            eventually(lambda: connected(collector))
            # Three heartbeats, and then it is looked for; that connection is kept for as long.
            eventually(lambda: not collector.statistics().connected)
            eventually(lambda: looked_for(collector))
            assert connected(collector)


def looked_for(collector: Collector) -> bool:
    """Whether as many questions have failed as it takes until the log says so."""
    state, times = reconnection(collector).state, reconnection(collector).times
    return state.questions >= times.tries


def greet(sock: socket.socket, uri: str) -> None:
    """Shake hands as the service does."""
    from pyro_events.wire.handshake.messages import write_connect

    object_id = uri.partition(":")[2].partition("@")[0]
    sock.sendall(write_connect(object_id, "hello"))


@pytest.mark.usefixtures("each_way")
def test_closing_while_the_service_is_away_takes_no_time(free_port: Callable[[], int]) -> None:
    port = free_port()
    with EventServiceStarter(LOOPBACK, port, use_ns=False) as es:
        collector = Collector(es.uri)
        thread = threading.Thread(target=collector.listen)
        thread.start()
        collector.subscribe("A")
        eventually(lambda: connected(collector))
    # Somebody else listens there, and does not answer.
    with socket.create_server((LOOPBACK, port)) as silent:
        silent.settimeout(10)
        connection, _ = silent.accept()
        with connection:
            began = time.monotonic()
            collector.close()
            assert time.monotonic() - began < 1.0
            thread.join(10)
    assert not [one for one in threading.enumerate() if one.name.startswith("pyro_events-reconnect")]


@pytest.mark.parametrize("aborted", [False, True])
def test_a_windows_loop_comes_back_too(aborted: bool) -> None:
    """Also after `abort`, which the next turn of the loop ends."""
    stop = threading.Event()

    class Window(Collector):
        def loop(self) -> None:
            while not stop.wait(0.01):
                self.daemon.events(self.daemon.sockets)

    with running() as es, Window(es.uri) as window:
        thread = threading.Thread(target=window.loop)
        thread.start()
        try:
            window.subscribe("A")
            eventually(lambda: connected(window))
            if aborted:
                window.abort()
                back_after(es.uri, [window], "A")
            disconnect(window)
            eventually(lambda: window.reasons)  # before, the service may send over the connection that ends
            back_after(es.uri, [window], "A")
        finally:
            stop.set()
            thread.join(10)


@pytest.mark.usefixtures("each_way")
def test_no_hook_need_be_defined() -> None:
    class Plain(Subscriber):
        got: list[Any]

        def event(self, event: Event) -> None:
            self.got.append(event.missed)

    with running() as es, Publisher(es_uri=es.uri) as publisher:
        plain = Plain(es_uri=es.uri)
        plain.got = []
        with listening(plain):
            plain.subscribe("A")
            eventually(lambda: connected(plain))
            disconnect(plain)
            eventually(lambda: publisher.publish("A", 1) == 1 and plain.got)
            assert plain.got[0] is None


def test_a_service_that_was_frozen(spawn: Spawner, free_port: Callable[[], int]) -> None:
    port = free_port()
    uri = f"PYRO:Pyro.EventService@{LOOPBACK}:{port}"
    process = start(spawn, port, "-N")
    with collecting(uri) as collector:
        collector._Subscriber__receiver.connection.current.times = ConnectTimes(connect=0.5)  # type: ignore[attr-defined]
        set_times(collector, heartbeat=0.2, answer=0.2)
        collector.subscribe("A")
        eventually(lambda: connected(collector))
        process.send(signal.SIGSTOP)
        eventually(lambda: looked_for(collector))
        process.send(signal.SIGCONT)
        assert back_after(uri, [collector], "A") < PROMISED
        eventually(lambda: not looked_for(collector))
        assert first_after(collector).missed == 0
        assert collector.reasons == []


@pytest.mark.usefixtures("each_way")
def test_a_service_that_was_frozen_for_a_moment_loses_nothing(
    spawn: Spawner, free_port: Callable[[], int]
) -> None:
    port = free_port()
    uri = f"PYRO:Pyro.EventService@{LOOPBACK}:{port}"
    process = start(spawn, port, "-N")
    with collecting(uri) as collector:
        set_times(collector, heartbeat=0.1, answer=0.5)
        collector.subscribe("A")
        eventually(lambda: connected(collector))
        process.send(signal.SIGSTOP)
        # It is asked in vain once, which costs the connection that asks.
        eventually(lambda: not collector.statistics().connected)
        process.send(signal.SIGCONT)
        eventually(lambda: collector.statistics().reconnects == 1)
        back_after(uri, [collector], "A")
        assert first_after(collector).missed == 0
        assert collector.reasons == []


def test_a_stream_of_a_frozen_service_is_closed_soon(spawn: Spawner, free_port: Callable[[], int]) -> None:
    """Though the service cannot be told, and connections to it are neither refused nor answered."""
    port = free_port()
    process = start(spawn, port, "-N")
    events = EventStream("A", es_uri=f"{LOOPBACK}:{port}")
    process.send(signal.SIGSTOP)
    began = time.monotonic()
    events.close()
    assert time.monotonic() - began < ConnectTimes().connect / 2
    process.send(signal.SIGCONT)
