"""EventServiceStarter as programs for Pyro3 use it."""

from __future__ import annotations

import select
import signal
import socket
import threading
import time
from collections.abc import Callable

import Pyro5
import pytest
from processes import Spawner
from waiting import eventually

from pyro_events import AccessDeniedError, EventServiceError, EventServiceStarter, Publisher


def publishes(uri: str, ident: str | None = None) -> bool:
    with Publisher(ident, uri) as publisher:
        return publisher.publish("A", 1) == 0


def test_start_takes_pyro3s_arguments(free_port: Callable[[], int]) -> None:
    for arguments, named in (
        (("127.0.0.1", 0, 0, 1), {}),
        ((), {"hostname": "127.0.0.1", "port": 0, "useNameServer": 0, "norange": 1}),
        (("",), {"port": free_port(), "useNameServer": False}),
    ):
        starter = EventServiceStarter()
        thread = threading.Thread(target=starter.start, args=arguments, kwargs=named)
        thread.start()
        assert starter.waitUntilStarted(10)
        if named.get("port"):
            assert starter.uri.endswith(f":{named['port']}")
        assert publishes(starter.uri)
        starter.shutdown(None)
        thread.join(10)
        assert not thread.is_alive()


def test_they_come_before_those_of_the_constructor(free_port: Callable[[], int]) -> None:
    port = free_port()
    starter = EventServiceStarter("127.0.0.2", 0, use_ns=True)
    starter.initialize("127.0.0.1", port, False)
    assert starter.uri == f"PYRO:Pyro.EventService@127.0.0.1:{port}"
    starter.shutdown()
    starter = EventServiceStarter("127.0.0.2", port, use_ns=False)
    starter.initialize()
    assert starter.uri == f"PYRO:Pyro.EventService@127.0.0.2:{port}"
    starter.shutdown()


def test_norange_takes_no_other_port(taken_default_port: int, free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = "127.0.0.1", free_port()
    starter = EventServiceStarter("127.0.0.1", embed_ns=True)
    starter.initialize()
    assert not starter.uri.endswith(f":{taken_default_port}")
    starter.shutdown()
    with pytest.raises(OSError, match=f"port {taken_default_port}"):
        EventServiceStarter("127.0.0.1", embed_ns=True).initialize(norange=1)


def test_identification_is_ident() -> None:
    starter = EventServiceStarter(identification="secret")
    starter.initialize("127.0.0.1", 0, useNameServer=0)
    assert publishes(starter.uri, "secret")
    with pytest.raises(AccessDeniedError):
        publishes(starter.uri)
    starter.shutdown(None)
    with pytest.raises(TypeError, match="ident and identification"):
        EventServiceStarter(ident="a", identification="a")
    with pytest.raises(ValueError, match="empty"):
        EventServiceStarter(identification="")


def test_a_loop_of_the_programs_own() -> None:
    starter = EventServiceStarter()
    for method in (starter.handleRequests, starter.getServerSockets):
        with pytest.raises(EventServiceError, match=r"call initialize\(\) first"):
            method()
    starter.initialize(hostname="127.0.0.1", port=0, useNameServer=0)
    uri = starter.uri
    done: list[bool] = []
    client = threading.Thread(target=lambda: done.append(publishes(uri)))
    client.start()
    while not done:
        sockets = starter.getServerSockets()
        assert len(sockets) == 1
        select.select(sockets, [], [], 0.05)
        starter.handleRequests(timeout=0.01)
    client.join()
    assert done == [True]
    starter.handleRequests()
    threads = threading.active_count()
    starter.shutdown(None)
    assert threading.active_count() < threads  # it has ended
    assert starter.getServerSockets() == []
    begun = time.monotonic()
    starter.handleRequests(timeout=60)
    assert time.monotonic() - begun < 50
    starter.shutdown()


def test_initialize_raises_what_keeps_it_from_starting(free_port: Callable[[], int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        starter = EventServiceStarter()
        with pytest.raises(OSError, match=f"port {port}"):
            starter.initialize("127.0.0.1", port, 0)
        starter.shutdown()
    with pytest.raises(EventServiceError, match="has been started before"):
        starter.initialize("127.0.0.1", 0, 0)
    with EventServiceStarter("127.0.0.1", 0, use_ns=False) as once:
        pass
    with pytest.raises(EventServiceError, match="has been started before"), once:
        """It would be a block without a service."""


INTERRUPTED = """
import signal, sys
from Pyro5.api import Proxy
from pyro_events import EventServiceStarter, locate_ns

signal.signal(signal.SIGINT, signal.default_int_handler)
starter = EventServiceStarter(ns_port=int(sys.argv[1]), ns_host="127.0.0.1")
try:
    starter.start("127.0.0.1", 0, announce=lambda: print("started", flush=True))
except KeyboardInterrupt:
    print(sorted(locate_ns(host="127.0.0.1", port=int(sys.argv[1])).list()), flush=True)
"""


def test_ctrl_c_ends_a_start_in_the_main_thread_in_order(
    spawn: Spawner, free_port: Callable[[], int]
) -> None:
    port = free_port()
    spawn("-m", "Pyro5.nameserver", "--host", "127.0.0.1", "--port", str(port), "--nobc", ready="URI =")
    program = spawn("-c", INTERRUPTED, str(port), ready="started")
    with Publisher(ns_host="127.0.0.1", ns_port=port) as publisher:
        assert publisher.publish("A", 1) == 0  # it is not interrupted in the middle of its start
    program.send(signal.SIGINT)
    assert program.wait(20) == 0, program
    assert program.stdout.splitlines()[-1] == "['Pyro.NameServer']"  # the service's own entry is gone
    assert program.stderr == ""


def test_a_thread_that_shuts_down_what_waits_in_another() -> None:
    starter = EventServiceStarter()
    starter.initialize("127.0.0.1", 0, 0)
    waiting = threading.Thread(target=starter.handleRequests, args=(60,))
    waiting.start()
    starter.shutdown()
    eventually(lambda: not waiting.is_alive())
