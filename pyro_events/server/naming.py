"""Naming: how the service is entered in the name server, and stays there.

Knows: the name server and how to tell a live event service from a stale entry. Must not know: the
engine; everything here blocks, so it runs in another thread than the loop.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import time
from typing import Final, Protocol

import Pyro5.errors
from Pyro5.core import URI

from ..addresses import format_address
from ..background_log import get_logger
from ..constants import EVENTSERVER_NAME
from ..errors import ServiceExistsError, ServiceNotFoundError
from ..introduction import STOCK_HELLO
from ..name_server import NameServer, UnusableEntryError
from ..name_server_search import find_name_server
from ..tls import TlsSocket, client_context
from ..wire import callbacks
from ..wire.frames import CONNECT_FAIL, FrameReader
from ..wire.identity import DENIED, Identity

log = get_logger("pyro_events.naming")

# How long a name server, or a service that may have the name, is given to answer, in seconds.
_PATIENCE = 3.0

_REMEDY: Final = (
    "start one (python -m Pyro5.nameserver), say where it is (--ns-host and --ns-port, or Pyro5's "
    "PYRO_NS_HOST and PYRO_NS_PORT in the environment), or start the service with one of its own "
    "(--embed-ns) or with none (-N)"
)


class Entry(enum.Enum):
    """What the name server says of us."""

    OURS = "ours"
    RENEWED = "renewed"  # it had forgotten us, or knew a service that is dead
    TAKEN = "taken"  # another live service has the name
    UNKNOWN = "unknown"  # the name server does not answer


class Names(Protocol):
    """What is asked of a name server."""

    def lookup(self, name: str) -> object:
        """The URI of a name. Raises Pyro5's NamingError for one that is not there."""

    def register(self, name: str, uri: str) -> None:
        """Enter a name, whatever it was before."""

    def remove(self, name: str) -> None:
        """Take a name out."""


class Registration:
    """The entry of one service in the name server.

    uri: the service's own; it may be set until `enter`. towards: this machine's address towards the name
    server, "" before `locate` and where that runs in this process.
    """

    def __init__(
        self,
        uri: str,
        ns_host: str | None,
        ns_port: int | None,
        identity: Identity | None = None,
        embedded: Names | None = None,
    ) -> None:
        """ns_host, ns_port: where the name server is; None as Pyro5 finds it. identity: what the name
        server demands and must prove. embedded: one that runs in this process, instead."""
        self.uri = uri
        self.towards = ""
        self._host = ns_host
        self._port = ns_port
        self._identity = identity
        self._embedded = embedded
        self._name_server: tuple[str, int] | None = None

    @property
    def where(self) -> str:
        """`host:port` of the name server; "" before `locate` and where that runs in this process."""
        return format_address(*self._name_server) if self._name_server is not None else ""

    def locate(self) -> None:
        """Find the name server, once. Raises ServiceNotFoundError, or AccessDeniedError if it does not
        prove the passphrase or wants one."""
        if self._embedded is None and self._name_server is None:
            with find_name_server(self._host, self._port, self._identity, remedy=_REMEDY) as names:
                self._name_server = names.host, names.port
                self.towards = names.local_host

    def enter(self, replace: bool) -> None:
        """Enter the service. replace: also if another live one has the name.

        Raises ServiceNotFoundError without a name server, ServiceExistsError if the name is taken,
        AccessDeniedError if the name server does not prove the passphrase.
        """
        self.locate()
        with self._names() as names:
            holder = _lookup(names)
            if holder is not None and holder != self.uri and not replace and is_alive(holder):
                raise ServiceExistsError(
                    f"the name {EVENTSERVER_NAME} is taken by a live event service at {holder}; stop it, "
                    "or start this one with --replace"
                )
            names.register(EVENTSERVER_NAME, self.uri)

    def check(self) -> Entry:
        """Look whether the entry is still there and ours, and renew it if it is lost or stale."""
        try:
            with self._names() as names:
                holder = _lookup(names)
                if holder == self.uri:
                    return Entry.OURS
                if holder is not None and is_alive(holder):
                    return Entry.TAKEN
                names.register(EVENTSERVER_NAME, self.uri)
                return Entry.RENEWED
        except Pyro5.errors.PyroError as error:
            log.debug("the name server does not answer: %s", error)
            return Entry.UNKNOWN

    def leave(self) -> None:
        """Remove the entry if it is ours."""
        if self._name_server is None and self._embedded is None:
            return
        try:
            with self._names() as names:
                if _lookup(names) == self.uri:
                    names.remove(EVENTSERVER_NAME)
        except Pyro5.errors.PyroError as error:
            log.warning("could not be removed from the name server: %s", error)

    def _names(self) -> contextlib.AbstractContextManager[Names]:
        """The name server, connected to. Raises Pyro5's errors, of which ours are kinds."""
        if self._embedded is not None:
            return contextlib.nullcontext(self._embedded)
        assert self._name_server is not None, "locate comes first"
        deadline = time.monotonic() + _PATIENCE
        return NameServer(*self._name_server, self._identity, deadline, _PATIENCE)


def _lookup(names: Names) -> str | None:
    try:
        return str(names.lookup(EVENTSERVER_NAME))
    except UnusableEntryError:
        return ""
    except ServiceNotFoundError:  # it does not answer
        raise
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
