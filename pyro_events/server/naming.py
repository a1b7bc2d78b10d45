"""Naming: how the service is entered in the name server, and stays there.

Knows: the name server and how to tell a live event service from a stale entry. Must not know: the
engine; everything here blocks, so it runs in another thread than the loop.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import time

import Pyro5.errors
from Pyro5.client import Proxy
from Pyro5.core import URI

from ..background_log import get_logger
from ..constants import EVENTSERVER_NAME
from ..errors import AccessDeniedError, ServiceExistsError, ServiceNotFoundError
from ..ident_proxy import IdentProxy, locate_ns
from ..introduction import STOCK_HELLO
from ..tls import TlsSocket, client_context
from ..wire import callbacks
from ..wire.frames import CONNECT_FAIL, FrameReader
from ..wire.identity import DENIED, Identity

log = get_logger("pyro_events.naming")

# How long a name server, or a service that may have the name, is given to answer, in seconds.
_PATIENCE = 3.0


class Entry(enum.Enum):
    """What the name server says of us."""

    OURS = "ours"
    RENEWED = "renewed"  # it had forgotten us, or knew a service that is dead
    TAKEN = "taken"  # another live service has the name
    UNKNOWN = "unknown"  # the name server does not answer


class Registration:
    """The entry of one service in the name server."""

    def __init__(
        self, uri: str, ns_host: str | None, ns_port: int | None, identity: Identity | None = None
    ) -> None:
        """uri: the service's own. ns_host, ns_port: where the name server is; None as Pyro5 finds it.
        identity: what the name server demands and must prove."""
        self._uri = uri
        self._host = ns_host
        self._port = ns_port
        self._identity = identity
        self._name_server: URI | None = None

    def enter(self, replace: bool) -> None:
        """Enter the service. replace: also if another live one has the name.

        Raises ServiceNotFoundError without a name server, ServiceExistsError if the name is taken,
        AccessDeniedError if the name server does not prove the passphrase.
        """
        self._name_server = self._locate()
        with self._proxy(self._name_server) as names:
            holder = _lookup(names)
            if holder is not None and holder != self._uri and not replace and is_alive(holder):
                raise ServiceExistsError(
                    f"the name {EVENTSERVER_NAME} is taken by a live event service at {holder}; stop it, "
                    "or start this one with --replace"
                )
            names.register(EVENTSERVER_NAME, self._uri)

    def check(self) -> Entry:
        """Look whether the entry is still there and ours, and renew it if it is lost or stale."""
        assert self._name_server is not None, "enter comes first"
        try:
            with self._proxy(self._name_server) as names:
                holder = _lookup(names)
                if holder == self._uri:
                    return Entry.OURS
                if holder is not None and is_alive(holder):
                    return Entry.TAKEN
                names.register(EVENTSERVER_NAME, self._uri)
                return Entry.RENEWED
        except Pyro5.errors.PyroError as error:
            log.debug("the name server does not answer: %s", error)
            return Entry.UNKNOWN

    def leave(self) -> None:
        """Remove the entry if it is ours."""
        if self._name_server is None:
            return
        try:
            with self._proxy(self._name_server) as names:
                if _lookup(names) == self._uri:
                    names.remove(EVENTSERVER_NAME)
        except Pyro5.errors.PyroError as error:
            log.warning("could not be removed from the name server: %s", error)

    def _locate(self) -> URI:
        try:
            with locate_ns(self._identity, self._host, self._port) as names:
                uri: URI = names._pyroUri
                return uri
        except AccessDeniedError:
            raise
        except Pyro5.errors.PyroError:
            if self._identity is not None:
                raise
            where = f" at {self._host}" if self._host else ""
            raise ServiceNotFoundError(
                f"no name server found{where}; start one (python -m Pyro5.nameserver), or start the "
                "service with one of its own (--embed-ns) or with none (-N)"
            ) from None

    def _proxy(self, uri: URI) -> Proxy:
        proxy = Proxy(uri) if self._identity is None else IdentProxy(uri, self._identity)
        proxy._pyroTimeout = _PATIENCE
        return proxy


def _lookup(names: Proxy) -> str | None:
    try:
        return str(names.lookup(EVENTSERVER_NAME))
    except Pyro5.errors.NamingError:
        return None


def is_alive(uri: str) -> bool:
    """Whether an event service answers there, within a few seconds."""
    try:
        parsed = URI(uri)
        address = str(parsed.host), int(parsed.port)
        deadline = time.monotonic() + _PATIENCE
        context = client_context()
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.create_connection(address, timeout=_PATIENCE))
            if context is not None:
                secured = TlsSocket(sock, context, server_hostname=parsed.host)
                stack.enter_context(secured).handshake(deadline)
                sock = secured
            sock.sendall(callbacks.write_connect(parsed.object, STOCK_HELLO))
            reader = FrameReader(callbacks.GREETING_LIMITS)
            while (frame := reader.next_frame()) is None:
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                data = sock.recv(4096)
                if not data:
                    return False
                reader.feed(data)
            # One that demands a passphrase says no more than this, whatever it is.
            if frame.type == CONNECT_FAIL and callbacks.read_refusal(frame) == DENIED:
                return True
            return "publish" in callbacks.read_greeting(frame)
    except (OSError, ValueError, TypeError, Pyro5.errors.PyroError):
        return False
