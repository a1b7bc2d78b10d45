"""EventServiceStarter: an event service in your own program.

Knows: the order in which a service comes up and goes down. Must not know: the command line, signals,
or how events travel.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from Pyro5 import config
from Pyro5.core import DAEMON_NAME, NAMESERVER_NAME

from ..constants import DEFAULT_PORT, EVENTSERVER_NAME, NAME_CHECK
from ..errors import EventServiceError
from ..options import ServiceOptions
from .binding import bind, is_loopback, location
from .engine import Engine
from .loops import new_event_loop
from .nameserver import DaemonMethods, EmbeddedNameServer
from .naming import Entry, Registration
from .service import ServiceMethods

log = logging.getLogger("pyro_events.service")

T = TypeVar("T")


class EventServiceStarter:
    """Starts an event service, on an engine of its own, and stops it.

    Either call `start()`, which blocks, in a thread of yours, or use it as a context manager, which
    runs it in a thread of its own. One starter starts once.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        use_ns: bool = True,
        ns_host: str | None = None,
        ns_port: int | None = None,
        embed_ns: bool = False,
        replace: bool = False,
        options: ServiceOptions | None = None,
    ) -> None:
        """host: where to listen; None is Pyro5's setting HOST, which is the loopback interface.

        port: 0 is any free one; None is 9095, or any free one if that is taken and a name server is
        used. use_ns: register as EVENTSERVER_NAME. ns_host, ns_port: where the name server is, or
        where the embedded one shall be. embed_ns: run one in this process. replace: take the name
        over from a live service.
        """
        self._host = host
        self._port = port
        self._use_ns = use_ns or embed_ns
        self._ns_host = ns_host
        self._ns_port = ns_port
        self._embed_ns = embed_ns
        self._replace = replace
        self._options = options or ServiceOptions()
        self._uri: str | None = None
        self._ns_uri: str | None = None
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self._lock = threading.Lock()
        self._shut = False
        self._thread: threading.Thread | None = None

    @property
    def uri(self) -> str:
        """The service's URI, to be given as `es_uri`. Raises EventServiceError before it has started."""
        if self._uri is None:
            raise EventServiceError("the event service has not started, so it has no URI yet")
        return self._uri

    @property
    def ns_uri(self) -> str | None:
        """The embedded name server's URI, or None without one."""
        return self._ns_uri

    def start(self, announce: Callable[[], None] = lambda: None) -> None:
        """Run the service until `shutdown`; blocks. announce: called on the loop when it is ready.

        Raises OSError (host or port), ServiceNotFoundError (no name server), ServiceExistsError
        (the name is taken).
        """
        with self._lock:
            if self._loop is not None:
                raise EventServiceError("this starter has been started before; make a new one")
            self._loop = loop = new_event_loop()
            self._stopping = asyncio.Event()
        try:
            loop.run_until_complete(self._run(announce))
            loop.run_until_complete(loop.shutdown_default_executor())
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._uri = None
            self._started.set()
            with self._lock:
                self._shut = True
                loop.close()

    def waitUntilStarted(self, timeout: float | None = None) -> bool:
        """Wait until the service is ready, at most `timeout` seconds; False if it is not by then.

        Raises the error that kept it from starting.
        """
        self._started.wait(timeout)
        if self._error is not None:
            raise self._error
        return self._started.is_set()

    def shutdown(self) -> None:
        """Have the service drain and end; returns at once, from any thread and more than once.

        As a context manager, leaving the block waits for the end.
        """
        with self._lock:
            self._shut, was_shut = True, self._shut
            if self._loop is not None and not was_shut:
                self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        assert self._stopping is not None
        self._stopping.set()

    def __enter__(self) -> EventServiceStarter:
        self._thread = threading.Thread(target=self._start_quietly, name="pyro_events-service", daemon=True)
        self._thread.start()
        try:
            self.waitUntilStarted()
        except BaseException:
            self._thread.join()
            raise
        return self

    def _start_quietly(self) -> None:
        """Start in a thread of our own, where `__enter__` picks the error up."""
        try:
            self.start()
        except Exception as error:
            if self._started.is_set():
                log.debug("the event service ended: %s", error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        if self._thread is not None:
            self._thread.join()

    async def _run(self, announce: Callable[[], None]) -> None:
        assert self._stopping is not None
        engine = Engine(self._options)
        try:
            registration = await self._come_up(engine)
            self._started.set()
            announce()
            if self._shut:
                self._stopping.set()
            await self._stay(registration)
            if registration is not None:
                await self._blocking(registration.leave)
        finally:
            await engine.stop()

    async def _come_up(self, engine: Engine) -> Registration | None:
        port = DEFAULT_PORT if self._port is None else self._port
        sock = bind(self._host, port, others=self._port is None and self._use_ns)
        where = location(self._host, sock)
        loopback = is_loopback(sock)
        uri = f"PYRO:{EVENTSERVER_NAME}@{where}"
        engine.objects[EVENTSERVER_NAME] = ServiceMethods(engine)
        engine.objects[DAEMON_NAME] = DaemonMethods(engine.objects, where)
        await engine.listen(sock)
        if not loopback and not config.SSL:
            log.warning("listening on %s, where everybody who can reach it may publish and subscribe", where)
        registration = None
        if self._embed_ns:
            await self._embed(engine)
        if self._use_ns:
            host, ns_port = self._ns_host, self._ns_port
            if self._ns_uri is not None:
                host, _, number = self._ns_uri.partition("@")[2].rpartition(":")
                ns_port = int(number)
            registration = Registration(uri, host, ns_port)
            await self._blocking(lambda: registration.enter(self._replace))
        self._uri = uri
        return registration

    async def _embed(self, engine: Engine) -> None:
        host = self._ns_host or self._host
        port = config.NS_PORT if self._ns_port is None else self._ns_port
        sock = bind(host, port)
        self._ns_uri = f"PYRO:{NAMESERVER_NAME}@{location(host, sock)}"
        engine.objects[NAMESERVER_NAME] = EmbeddedNameServer(self._ns_uri)
        await engine.listen(sock)

    async def _stay(self, registration: Registration | None) -> None:
        """Until told to stop; meanwhile see to it that the name server knows us."""
        assert self._stopping is not None
        while not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), NAME_CHECK)
            except asyncio.TimeoutError:
                if registration is not None and await self._taken(registration):
                    return

    async def _taken(self, registration: Registration) -> bool:
        entry = await self._blocking(registration.check)
        if entry is Entry.RENEWED:
            log.warning("the name server had forgotten the event service; it has been told again")
        if entry is Entry.TAKEN:
            log.error("another live event service has the name %s now; this one stops", EVENTSERVER_NAME)
        return entry is Entry.TAKEN

    @staticmethod
    async def _blocking(work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(None, work)
