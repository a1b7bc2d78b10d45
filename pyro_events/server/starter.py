"""EventServiceStarter: an event service in your own program.

Knows: the order in which its parts start and stop. Must not know: the command line, signals, or how events
travel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from Pyro5.core import DAEMON_NAME

from ..constants import DEFAULT_PORT, EVENTSERVER_NAME
from ..errors import ServiceNotFoundError
from ..log.background import get_logger
from ..options import ServiceOptions, chosen_options
from ..transport.addresses import checked_host, checked_port
from ..version import in_words
from ..wire.handshake.passphrase import Ident, identity_of, sealed
from .engine import Engine
from .name_server_starter import serve_names
from .names.nameserver import DaemonMethods
from .names.registration import EntryState, NamingTimes, Registration
from .net.listening import bind, location, nat_address, warn_if_open, warn_if_unreachable
from .permissions.reloading import ReadsPermissions, ReloadedPermissions
from .polled_runner import PolledRunner
from .service_methods import ServiceMethods

log = get_logger("pyro_events.service")


class EventServiceStarter(ReadsPermissions, PolledRunner):
    """Starts an event service, on an engine of its own, and stops it.

    Either call `start()`, which blocks, in a thread of yours, or use it as a context manager, which
    runs it in a thread of its own. One starter starts once.

    Example:
        >>> with EventServiceStarter(port=0, use_ns=False) as es:
        ...     with Publisher(es_uri=es.uri) as market:
        ...         market.publish("STOCKQUOTE.SUN", 22.44)
        0
    """

    _naming_times = NamingTimes()

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
        ident: Ident = None,
        identification: Ident = None,
        nathost: str | None = None,
        natport: int | None = None,
    ) -> None:
        """Say what will be started; `start` or `with` starts it.

        Args:
            host: where to listen. Default None: Pyro5's setting HOST, which is the loopback interface.
            port: 0 for any free one. Default None: 9095, or any free one if that is taken and a name server
                is used.
            use_ns: whether to register as EVENTSERVER_NAME in a name server; True by default.
            ns_host: where the name server is, or where the embedded one listens. Default None: Pyro5's
                setting NS_HOST; for the embedded one, as `host`.
            ns_port: its port. Default None: Pyro5's setting NS_PORT.
            embed_ns: whether to run a name server in this process; False by default.
            replace: whether to take the name over from a live service; False by default.
            options: bounds and times. Default None: those of ServiceOptions.
            ident: the passphrase that clients, subscribers and the name server must prove, and that is proved
                to them. Default None: there is none.
            identification: Pyro3's name for `ident`; None by default.
            nathost: the host at which clients reach it, if that is not the one it listens on. Default None:
                Pyro5's setting NATHOST.
            natport: the same for the port. Default None: Pyro5's setting NATPORT.

        Raises:
            TypeError, ValueError: an argument is not one of the above, or the file of permissions cannot be
                used; the text says what to write.
        """
        ident, identification = sealed(ident), sealed(identification)
        if ident is not None and identification is not None:
            raise TypeError("ident and identification are the same argument: give one of them")
        if ident is None:
            ident = identification
        super().__init__()
        # Here, because it takes a while, and nothing runs on the loop yet.
        self._identity = identity_of(ident)
        self._host = checked_host("host", host)
        self._port = checked_port("port", port, least=0)
        self._use_ns = use_ns or embed_ns
        self._ns_host = checked_host("ns_host", ns_host, unix=not embed_ns)
        self._ns_port = checked_port("ns_port", ns_port, least=0 if embed_ns else 1)
        self._nathost, self._natport = nat_address(nathost, natport)
        self._embed_ns = embed_ns
        self._replace = replace
        self._options = chosen_options(options)
        self._permissions = ReloadedPermissions(self._options.permissions, self._blocking)
        self._ns_uri: str | None = None
        self._other_ports = port is None

    def start(
        self,
        hostname: str | None = None,
        port: int | None = None,
        useNameServer: bool | int | None = None,
        norange: bool | int | None = None,
        *,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        """Run the service until `shutdown`; blocks. Its arguments are Pyro3's.

        Args:
            hostname: in place of `host`; "" and None, the default, leave it as it is.
            port: in place of `port`; None, the default, leaves it as it is.
            useNameServer: in place of `use_ns`; None, the default, leaves it as it is.
            norange: if true, fail where port 9095 is taken, instead of taking any free one; None by default.
            announce: is called on the service's loop when it is ready. By default nothing is.

        Raises:
            OSError: the host or port cannot be used.
            ServiceNotFoundError: there is no name server.
            ServiceExistsError: a live service has the name.
            AccessDeniedError: the name server has another ident, or none.
            EventServiceError: this starter has been started before.
            TypeError, ValueError: an argument is not one of the above.
        """
        self._choose(hostname, port, useNameServer, norange)
        super().start(announce=announce)

    def initialize(
        self,
        hostname: str | None = None,
        port: int | None = None,
        useNameServer: bool | int | None = None,
        norange: bool | int | None = None,
    ) -> None:
        """Start the service for a program with a loop of its own, and return when it is ready; Pyro3's name.

        The service runs in a thread of its own and needs no calls. `shutdown` then waits for its end.

        Args:
            hostname: as for `start`; None by default.
            port: as for `start`; None by default.
            useNameServer: as for `start`; None by default.
            norange: as for `start`; None by default.

        Raises:
            Exception: as `start`.
        """
        self._choose(hostname, port, useNameServer, norange)
        self._initialize()

    def _choose(
        self,
        hostname: str | None,
        port: int | None,
        use_ns: bool | int | None,
        norange: bool | int | None,
    ) -> None:
        """Let the arguments of the call replace those of the constructor."""
        self._host = checked_host("hostname", hostname) or self._host
        if port is not None:
            self._port, self._other_ports = checked_port("port", port, least=0), False
        if use_ns is not None:
            self._use_ns = bool(use_ns) or self._embed_ns
        if norange:
            self._other_ports = False

    @property
    def ns_uri(self) -> str | None:
        """The embedded name server's URI, or None without one."""
        return self._ns_uri

    async def _run(self, announce: Callable[[], None]) -> None:
        log.debug("event service of %s", in_words())
        engine = Engine(self._options, identity=self._identity, permissions=self._permissions.current)
        self._descriptors = engine.descriptors
        self._permissions.begin(engine.permit)
        try:
            registration = await self._come_up(engine)
            try:
                self._is_ready(announce)
                await self._stay(registration)
            finally:  # also if Ctrl-C interrupts it
                if registration is not None:
                    leaving = asyncio.ensure_future(self._blocking(registration.leave))
                    await asyncio.wait({leaving}, timeout=self._naming_times.leave)
                    leaving.cancel()
        finally:
            self._permissions.end()
            await engine.stop()

    async def _come_up(self, engine: Engine) -> Registration | None:
        port = DEFAULT_PORT if self._port is None else self._port
        sock = bind(self._host, port, others=self._other_ports and self._use_ns)
        try:
            registration = await self._find_names(engine)
        except BaseException:
            sock.close()
            raise
        self._listens_on = sock
        towards = registration.towards if registration is not None else ""
        where = location(self._host, sock, self._nathost, self._natport, towards)
        uri = f"PYRO:{EVENTSERVER_NAME}@{where}"
        engine.objects[EVENTSERVER_NAME] = ServiceMethods(engine)
        engine.objects[DAEMON_NAME] = DaemonMethods(engine.objects, where)
        warn_if_open(sock, self._identity is not None)
        await engine.clients.listen(sock)
        await engine.clients.listen_on_unix(self._options.unix_socket)
        if registration is not None and not self._told_to_stop:
            registration.uri, registration.listens_on = uri, sock.getsockname()[:2]
            await self._unless_stopped(lambda: registration.enter(self._replace))
            warn_if_unreachable(where, registration.where, registration.towards)
        self._uri = uri
        return registration

    async def _find_names(self, engine: Engine) -> Registration | None:
        """The registration, in an embedded or found name server; None without one."""
        if self._embed_ns:
            names = await serve_names(
                engine,
                self._ns_host or self._host,
                self._ns_port,
                self._identity is not None,
                self._nathost,
                reserved=(EVENTSERVER_NAME,),
            )
            self._ns_uri = names.uri
            return Registration("", None, None, embedded=names, patience=self._naming_times.answer)
        if not self._use_ns:
            return None
        registration = Registration(
            "",
            self._ns_host,
            self._ns_port,
            self._identity,
            may_ask=self._options.allow_callback,
            patience=self._naming_times.answer,
        )
        await self._unless_stopped(registration.locate)
        return registration

    @property
    def _told_to_stop(self) -> bool:
        return self._stopping is not None and self._stopping.is_set()

    async def _unless_stopped(self, work: Callable[[], None]) -> None:
        """Do blocking work on the name server, unless told to stop meanwhile.

        Raises ServiceNotFoundError if it takes too long.
        """
        assert self._stopping is not None
        working = asyncio.ensure_future(self._blocking(work))
        stopped = asyncio.ensure_future(self._stopping.wait())
        patience = self._naming_times.entry
        await asyncio.wait((working, stopped), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        told = stopped.done()
        stopped.cancel()
        if working.done():
            working.result()
        working.cancel()
        if not working.done() and not told:
            raise ServiceNotFoundError(f"the name server has not answered within {patience:g} s")

    async def _stay(self, registration: Registration | None) -> None:
        """Wait until told to stop; meanwhile check the entry in the name server."""
        assert self._stopping is not None
        while not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), self._naming_times.check)
            except asyncio.TimeoutError:
                if registration is not None and await self._taken(registration):
                    return

    async def _taken(self, registration: Registration) -> bool:
        """Whether another service has the name; False too if told to stop before that is known."""
        assert self._stopping is not None
        checking = asyncio.ensure_future(self._blocking(registration.check))
        stopped = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((checking, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not checking.done():
            checking.cancel()
            return False
        taken = checking.result() is EntryState.TAKEN
        if taken:
            log.error("another live event service has the name %s now; this one stops", EVENTSERVER_NAME)
        return taken
