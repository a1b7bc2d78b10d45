"""NameServerStarter: a name server by itself, protected as the event service is.

Knows: the order in which it starts and stops. Must not know: the command line, signals, or the event service.
"""

from __future__ import annotations

from collections.abc import Callable

from Pyro5 import config
from Pyro5.core import DAEMON_NAME, NAMESERVER_NAME

from ..options import ServiceOptions, chosen_options
from ..transport.addresses import checked_host, checked_port
from ..wire.handshake.passphrase import Ident, identity_of, sealed
from .engine import Engine
from .names.nameserver import DaemonMethods, EmbeddedNameServer
from .net.listening import bind, location, nat_address, warn_if_open
from .permissions.reloading import ReadsPermissions, ReloadedPermissions
from .runner import Runner


class NameServerStarter(ReadsPermissions, Runner):
    """Starts a name server alone, guarded as the event service is; used like EventServiceStarter.

    Names are kept in memory. It answers no broadcasts.

    Example:
        >>> with NameServerStarter("127.0.0.1", 0, ident="secret") as starter:
        ...     port = int(starter.uri.rpartition(":")[2])
        ...     with locate_ns("secret", "127.0.0.1", port) as names:
        ...         print(list(names.list()))
        ['Pyro.NameServer']
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        options: ServiceOptions | None = None,
        ident: Ident = None,
    ) -> None:
        """Say what will be started; `start` or `with` starts it.

        Args:
            host: where to listen. Default None: Pyro5's setting HOST, which is the loopback interface.
            port: 0 for any free one. Default None: Pyro5's setting NS_PORT.
            options: bounds and times, of which those of clients are used; and `permissions`, for the
                passphrases of users. Default None: those of ServiceOptions.
            ident: the passphrase that clients must prove. Default None: there is none.

        Raises:
            TypeError, ValueError: an argument is not one of the above; the text says what to write.
        """
        ident = sealed(ident)
        super().__init__()
        self._identity = identity_of(ident)
        self._host = checked_host("host", host)
        self._port = checked_port("port", port, least=0)
        self._options = chosen_options(options)
        self._permissions = ReloadedPermissions(self._options.permissions, self._blocking)

    async def _run(self, announce: Callable[[], None]) -> None:
        assert self._stopping is not None
        engine = Engine(self._options, identity=self._identity, permissions=self._permissions.current)
        self._descriptors = engine.descriptors
        self._permissions.begin(engine.permit)
        try:
            nathost, natport = nat_address(None, None)
            names = await serve_names(
                engine, self._host, self._port, self._identity is not None, nathost, natport
            )
            engine.objects[DAEMON_NAME] = DaemonMethods(engine.objects, names.uri.partition("@")[2])
            self._uri = names.uri
            self._is_ready(announce)
            await self._stopping.wait()
        finally:
            self._permissions.end()
            await engine.stop()


async def serve_names(
    engine: Engine,
    host: str | None,
    port: int | None,
    ident: bool,
    nathost: str | None,
    natport: int | None = None,
    reserved: tuple[str, ...] = (),
) -> EmbeddedNameServer:
    """Serve a name server on an engine. ident: whether a passphrase protects it. nathost, natport: as for
    `location`. reserved: names that only this process registers."""
    sock = bind(host, config.NS_PORT if port is None else port)
    uri = f"PYRO:{NAMESERVER_NAME}@{location(host, sock, nathost, natport)}"
    names = EmbeddedNameServer(uri, reserved, may_change=engine.access.may_change_names)
    engine.objects[NAMESERVER_NAME] = names
    warn_if_open(sock, ident)
    await engine.clients.listen(sock)
    return names
