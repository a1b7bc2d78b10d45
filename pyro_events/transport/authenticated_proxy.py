"""IdentProxy: a Pyro5 proxy that proves a passphrase; and finding the name server with one.

Knows: Pyro5's Proxy and how it connects. Must not know: the event service's methods.

Pyro5 has a hook for what a handshake says, and one for the answer, but none for a second attempt. So a
private method of its Proxy is replaced here (the same in 5.15 to 5.17; a test fails if it changes).
"""

from __future__ import annotations

from typing import Any

import Pyro5.core
import Pyro5.errors
from Pyro5.client import Proxy

from ..errors import AccessDeniedError, ServiceNotFoundError
from ..wire.handshake.passphrase import Ident, Identity, identity_of, sealed
from .addresses import checked_host, checked_port
from .authentication import STOCK_HELLO, ClientHandshake
from .name_server_connection import UNGUARDED
from .name_server_search import find_name_server
from .tls import use_renewed_certificates

_START_ONE = (
    "start one (python -m Pyro5.nameserver), or give its address: host and port, or Pyro5's settings NS_HOST "
    "and NS_PORT (PYRO_NS_HOST and PYRO_NS_PORT in the environment)"
)


class IdentProxy(Proxy):
    """A proxy that proves `ident` at every connection, and demands the same of the other side.

    Sent to another program by Pyro5, or logged, it is an ordinary proxy without the passphrase. A copy
    proves as much as the original. One that was pickled has lost it, and refuses to connect.

    Example:
        >>> with EventServiceStarter(port=0, use_ns=False, ident="secret") as guarded:
        ...     with IdentProxy(guarded.uri, "secret") as es:
        ...         es.publish("STOCKQUOTE.SUN", 22.44)
        0
    """

    # On the class as well, because a proxy that was unpickled has none. Such a proxy must not connect: it
    # would prove nothing and check nothing, as an ordinary proxy does.
    _identity: Identity | None = None
    _lost_identity = True
    _introduction: ClientHandshake | None = None

    def __init__(self, uri: Any, ident: Ident, user: str | None = None) -> None:
        """Make a proxy. It connects with its first call, which may raise AccessDeniedError.

        Args:
            uri: a Pyro URI that says where the object is, as text or as Pyro5's URI.
            ident: the passphrase.
            user: whose passphrase that is: a user of the service's permissions file. Default None: it is the
                service's own.

        Raises:
            TypeError, ValueError: the passphrase is not text, or empty, or `user` cannot be a name.
            ValueError: the URI has to be looked up first.
        """
        ident = sealed(ident)
        parsed = Pyro5.core.URI(uri)
        if parsed.protocol != "PYRO":
            raise ValueError(f"{parsed} must be looked up first: locate_ns(ident=…).lookup(name)")
        # Proxy accepts only its own attributes.
        object.__setattr__(self, "_identity", identity_of(ident, user))
        object.__setattr__(self, "_lost_identity", False)
        super().__init__(parsed)

    @property
    def _pyroHandshake(self) -> str:
        uri = self._pyroUri
        introduction = ClientHandshake(self._identity, uri.object, uri.location)
        object.__setattr__(self, "_introduction", introduction)
        return introduction.hello

    @_pyroHandshake.setter
    def _pyroHandshake(self, value: object) -> None:
        """The handshake data, which a caller cannot replace."""

    def _pyroValidateHandshake(self, response: Any) -> None:
        assert self._introduction is not None
        try:
            self._introduction.check(response)
        except BaseException:
            self._pyroRelease()  # otherwise the next call would be sent all the same
            raise

    def _Proxy__pyroCreateConnection(self, replaceUri: bool = False, connected_socket: Any = None) -> Any:
        """Connect; a second time if the other side has answered with its run."""
        if self._lost_identity:
            raise AccessDeniedError(
                f"this IdentProxy for {self._pyroUri} was pickled, which removes its passphrase: make a new "
                "one, IdentProxy(uri, ident)"
            )
        use_renewed_certificates()
        tried = False
        while True:
            try:
                return super()._Proxy__pyroCreateConnection(replaceUri, connected_socket)
            except Pyro5.errors.CommunicationError as error:
                reason = str(error).partition(" rejected: ")[2]
                if self._introduction is None or not self._introduction.may_retry(reason, tried):
                    raise
                tried = True

    def __getstate__(self) -> tuple[Any, ...]:
        lists = tuple(self._pyroOneway), tuple(self._pyroMethods), tuple(self._pyroAttrs)
        return (str(self._pyroUri), *lists, STOCK_HELLO, self._pyroSerializer)

    def __copy__(self) -> IdentProxy:
        copied: IdentProxy = super().__copy__()
        for name in ("_identity", "_lost_identity"):
            object.__setattr__(copied, name, getattr(self, name))
        return copied

    def __deepcopy__(self, memo: object) -> IdentProxy:
        return self.__copy__()


def locate_ns(
    ident: Ident = None, host: str | None = None, port: int | None = None, *, user: str | None = None
) -> Proxy:
    """A connected proxy for the name server, found as Pyro5 finds one.

    Args:
        ident: the passphrase that the name server demands; with one, nothing is broadcast, because anybody
            may answer that. Default None: it demands none.
        host: where it is. Default None: Pyro5's setting NS_HOST.
        port: its port. Default None: Pyro5's setting NS_PORT.
        user: whose passphrase `ident` is, as for IdentProxy. Default None: it is the name server's own.

    Returns:
        The proxy, which belongs to the calling thread. Use it in a `with` statement, or release it.

    Raises:
        ServiceNotFoundError: there is no name server (a NamingError).
        AccessDeniedError: the passphrase, or the user, is missing or wrong.
        TypeError, ValueError: an argument is not one of the above.

    Example:
        >>> with locate_ns() as names:
        ...     print(names.lookup(EVENTSERVER_NAME))
        PYRO:Pyro.EventService@...
    """
    ident = sealed(ident)
    identity = identity_of(ident, user)
    remedy = _START_ONE if identity is None else UNGUARDED
    with find_name_server(
        checked_host("host", host, unix=True), checked_port("port", port), identity, remedy=remedy
    ) as found:
        uri = f"PYRO:{Pyro5.core.NAMESERVER_NAME}@{found.where}"
    use_renewed_certificates()
    proxy = Proxy(uri) if identity is None else IdentProxy(uri, identity)
    try:
        proxy._pyroBind()
    except AccessDeniedError:
        raise
    except Pyro5.errors.CommunicationError as error:  # it has ended or moved since then
        raise ServiceNotFoundError(f"no name server was found at {found.where}: {error}") from None
    return proxy
