"""Name servers and event services as processes of their own, and the kinds of listeners.

Knows: the start scripts of Pyro5 and of pyro_events, and in which ways events can be listened to. Must not
know: what the tests do with them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import Pyro5
import pytest
from fake_listener import FAKES, Listener
from listening import Collecting, Collector, OwnCollector, StreamCollector, collecting
from processes import Process, Spawner
from Pyro5.api import URI, Proxy
from Pyro5.errors import NamingError

from pyro_events import EVENTSERVER_NAME

LOOPBACK = "127.0.0.1"
URI_LINE = r"PYRO:Pyro\.EventService@\S+:\d+"


class NameServer:
    """A stock name server in a process, that can be restarted with empty memory on the same port."""

    def __init__(self, spawn: Spawner, port: int) -> None:
        self._spawn = spawn
        self.port = port
        self.env = {"PYRO_NS_HOST": LOOPBACK, "PYRO_NS_PORT": str(port)}
        self.start()

    def start(self) -> None:
        options = ["--host", LOOPBACK, "--port", str(self.port), "--nobc"]
        self.process = self._spawn("-m", "Pyro5.nameserver", *options, ready="URI =")

    def stop(self) -> None:
        # What it knew is gone with it: it keeps its registrations in memory.
        self.process.terminate()

    def proxy(self) -> Proxy:
        return Proxy(f"PYRO:Pyro.NameServer@{LOOPBACK}:{self.port}")

    def lookup(self, name: str = EVENTSERVER_NAME) -> str | None:
        """The URI that is registered, None if there is none."""
        with self.proxy() as ns:
            try:
                return str(ns.lookup(name))
            except NamingError:
                return None


@dataclass
class Service:
    """An event service in a process."""

    process: Process
    uri: str
    env: dict[str, str] = field(default_factory=dict)  # with which its clients find it by name

    @property
    def port(self) -> int:
        return int(URI(self.uri).port)


StartService = Callable[..., Service]


@pytest.fixture
def name_server(spawn: Spawner, free_port: Callable[[], int]) -> NameServer:
    """A stock name server; this process's own clients find it as well."""
    server = NameServer(spawn, free_port())
    Pyro5.config.NS_HOST = LOOPBACK
    Pyro5.config.NS_PORT = server.port
    return server


@pytest.fixture
def start_service(spawn: Spawner) -> StartService:
    """Starts `python -m pyro_events.es` on a free port: start_service(*options, ns=None, env=None).

    ns: the NameServer to register in; without one, and without --embed-ns, it runs with --no-ns.
    """

    def start(*options: str, ns: NameServer | None = None, env: dict[str, str] | None = None) -> Service:
        arguments = ["-m", "pyro_events.es", "--host", LOOPBACK]
        if "--port" not in options:
            arguments += ["--port", "0"]
        if ns is None and "--embed-ns" not in options:
            arguments.append("--no-ns")
        known = ns.env if ns else {}
        process = spawn(*arguments, *options, env={**known, **(env or {})}, ready="(?i)started")
        return Service(process, process.wait_for(URI_LINE).group(), known)

    return start


@pytest.fixture
def es(start_service: StartService) -> Service:
    """An event service in a process, without a name server."""
    return start_service()


@pytest.fixture
def named_es(start_service: StartService, free_port: Callable[[], int]) -> Service:
    """An event service with a name server in the same process."""
    port = free_port()
    service = start_service("--embed-ns", "--ns-host", LOOPBACK, "--ns-port", str(port))
    service.env = {"PYRO_NS_HOST": LOOPBACK, "PYRO_NS_PORT": str(port)}
    Pyro5.config.NS_HOST = LOOPBACK
    Pyro5.config.NS_PORT = port
    return service


@pytest.fixture(params=FAKES)
def listener(request: pytest.FixtureRequest) -> Listener:
    """Makes a listener whose answers are the test's: one that is called back, or one that has connected."""
    return FAKES[request.param]


KINDS = {"callback": Collector, "own connection": OwnCollector, "stream": StreamCollector}


@pytest.fixture(params=KINDS)
def collect(request: pytest.FixtureRequest) -> Collecting:
    """`collecting`, with each kind of a collector."""
    return functools.partial(collecting, kind=KINDS[request.param])
