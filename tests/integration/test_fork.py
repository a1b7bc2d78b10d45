"""Forked children: what is the parent's goes on, and ends when the parent ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from accounts import needs_proc
from contract import in_background, statistics
from fake_subscriber import fake_subscriber
from forking import child
from listening import Collector, collecting
from Pyro5.api import Proxy
from Pyro5.server import Daemon
from waiting import eventually

from pyro_events import (
    Event,
    EventService,
    EventServiceError,
    EventServiceStarter,
    Publisher,
    Subscriber,
)
from pyro_events.constants import EVENTSERVER_NAME
from pyro_events.server import runner

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # other threads run while we fork
]


def nothing() -> None:
    """A child that touches none of what is ours."""


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "asyncio":
        monkeypatch.setattr(runner, "new_event_loop", asyncio.new_event_loop)


def end_all(*ends: Any) -> None:
    """What a child may do to what it has inherited: end it, in every way."""
    for end in ends:
        if isinstance(end, EventServiceStarter):
            with pytest.raises(EventServiceError):
                _ = end.uri
            end.shutdown()
            end.__exit__(None, None, None)
            assert end.waitUntilStarted()
        else:
            end.close()


@pytest.mark.parametrize("ends", [False, True], ids=["left alone", "ended in the child"])
def test_c23a_a_childs_service_keeps_nothing_of_the_parents(loop: None, ends: bool) -> None:
    starter = EventServiceStarter(host="127.0.0.1", port=0, ns_port=0, embed_ns=True)
    with fake_subscriber() as subscriber, contextlib.ExitStack() as parent:
        service = parent.enter_context(starter)
        port = int(service.uri.rpartition(":")[2])
        assert service.ns_uri is not None
        ns_port = int(service.ns_uri.rpartition(":")[2])
        collector = parent.enter_context(Collector(service.uri))
        collector.listen_in_background()
        collector.subscribe("A")
        publisher = parent.enter_context(Publisher(es_uri=service.uri))
        with Proxy(service.uri) as proxy:
            proxy.subscribe("A", Proxy(subscriber.uri))
        subscriber.greet()
        silent = parent.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert publisher.publish("A", 1) == 2
        subscriber.take(1)
        collector.wait(1)
        work = (lambda: end_all(collector, publisher, service)) if ends else nothing
        with child(work):
            assert publisher.publish("A", 2) == 2
            assert [row[0] for row in subscriber.take(1)] == ["A"]
            assert [event.msg for event in collector.wait(2)] == [1, 2]
            assert publisher.statistics().reconnects == 0
            assert statistics(service.uri)["lost"] == {}
            collector.close()
            publisher.close()
            starter.shutdown()
            subscriber.wait_for_end()
            assert silent.recv(1) == b""
            starter.__exit__(None, None, None)
            for number in (port, ns_port):
                socket.create_server(("127.0.0.1", number)).close()


def test_c23a_a_child_opens_its_own(service: EventServiceStarter) -> None:
    """A publisher of the parent's makes a connection of its own; a service can be started; nothing is closed
    by what the child inherited."""

    def work() -> None:
        publisher.publish("A", "child")
        own = EventServiceStarter(host="127.0.0.1", port=0, use_ns=False)
        with own, Publisher(es_uri=own.uri) as another:
            assert another.publish("A", 1) == 0

    with collecting(service.uri, "A") as collector, Publisher(es_uri=service.uri) as publisher:
        publisher.publish("A", "before")
        with child(work):
            publisher.publish("A", "after")
            assert [event.msg for event in collector.wait(3)] == ["before", "child", "after"]
            assert publisher.statistics().reconnects == 0


@pytest.mark.usefixtures("each_way")
def test_c23a_a_child_of_a_handler_that_goes_on_handles_no_other_event(service: EventServiceStarter) -> None:
    parent = os.getpid()
    children: list[int] = []
    heard: list[int] = []

    class Forking(Subscriber):
        def event(self, event: Event) -> None:
            if os.getpid() != parent:
                os._exit(1)
            heard.append(event.msg)
            if event.msg == 100:
                child = os.fork()
                if child == 0:
                    signal.alarm(20)  # ends it should it not end by itself
                else:
                    children.append(child)

    with Forking(es_uri=service.uri) as forking, Publisher(es_uri=service.uri) as publisher:
        forking.subscribe("A")
        for number in range(200):
            publisher.publish("A", number)
        forking.listen_in_background()
        eventually(lambda: heard == list(range(200)))
        (child,) = children
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        publisher.publish("A", 200)
        eventually(lambda: heard == list(range(201)))
        assert forking.statistics().reconnects == 0


def test_c23a_a_service_in_a_stock_daemon_is_closed_in_the_child() -> None:
    event_service = EventService()
    with Daemon("127.0.0.1") as daemon, fake_subscriber() as subscriber:
        uri = str(daemon.register(event_service, EVENTSERVER_NAME))
        looping = in_background(daemon.requestLoop)
        with Proxy(uri) as proxy:
            proxy.subscribe("A", Proxy(subscriber.uri))
            subscriber.greet()

            def work() -> None:
                with pytest.raises(Exception, match="closed"):
                    event_service.publish("A", "child")
                event_service.close()

            with child(work):
                assert proxy.publish("A", 1) == 1
                subscriber.take(1)
                event_service.close()
                subscriber.wait_for_end()
        daemon.shutdown()
        looping.result()


@needs_proc
def test_c23a_sockets_that_are_being_connected_are_let_go_of(loop: None) -> None:
    """As the poller of the loop knows them."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        for sock in (full, *waiting):
            stack.enter_context(sock)
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        service = stack.enter_context(EventServiceStarter(host="127.0.0.1", port=0, use_ns=False))
        with Proxy(service.uri) as proxy:
            proxy.subscribe("A", Proxy(f"PYRO:x@127.0.0.1:{full.getsockname()[1]}"))

        def connecting() -> set[str]:
            ends = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            port = f":{full.getsockname()[1]:04X}"
            mine = {os.readlink(f"/proc/self/fd/{sock.fileno()}") for sock in waiting}
            return {f"socket:[{end[9]}]" for end in ends if end[2].endswith(port) and end[3] == "02"} - mine

        inodes = eventually(connecting)

        def work() -> None:
            held = set()
            for number in os.listdir("/proc/self/fd"):
                with contextlib.suppress(OSError):
                    held.add(os.readlink(f"/proc/self/fd/{number}"))
            assert not held & inodes

        with child(work):
            pass
