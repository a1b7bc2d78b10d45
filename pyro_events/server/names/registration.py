"""Registration: registers the service in the name server and keeps it registered.

Knows: the name server, and how to tell a live event service from a stale entry. Must not know: the engine.
Everything here blocks, so it runs in another thread than the loop.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol

import Pyro5.errors
from Pyro5.core import URI

from ...constants import EVENTSERVER_NAME, NAME_CHECK
from ...errors import ServiceExistsError, ServiceNotFoundError
from ...log.background import get_logger
from ...transport import connecting
from ...transport.addresses import format_address
from ...transport.authentication import STOCK_HELLO
from ...transport.name_server import NameServer, UnusableEntryError
from ...transport.name_server_search import find_name_server
from ...transport.tls import client_context
from ...wire.frames import CONNECT_FAIL, FrameReader
from ...wire.handshake.messages import answer_limits, read_connect_fail, read_connect_ok, write_connect
from ...wire.handshake.passphrase import Identity
from ...wire.handshake.proofs import DENIED
from .trusted_hosts import TrustedHosts

log = get_logger("pyro_events.naming")

_REMEDY: Final = (
    "start one (python -m Pyro5.nameserver), give its address (--ns-host and --ns-port, or Pyro5's "
    "PYRO_NS_HOST and PYRO_NS_PORT in the environment), or start the service with one of its own "
    "(--embed-ns) or with none (-N)"
)


@dataclass(frozen=True)
class NamingTimes:
    """Seconds that a service gives its name server.

    answer: for one answer of the name server, or of a service that may have the name too. entry: for
    registering as a whole; Pyro5 asks this machine first, then broadcasts three times. check: between two
    checks of the entry. leave: to remove the entry at the end.
    """

    answer: float = 3.0
    entry: float = 15.0
    check: float = NAME_CHECK
    leave: float = 3.0


class EntryState(enum.Enum):
    """The state of our entry in the name server."""

    OURS = "ours"
    RENEWED = "renewed"  # it was lost, or pointed to a service that is dead
    TAKEN = "taken"  # another live service has the name
    UNKNOWN = "unknown"  # the name server does not answer


class Names(Protocol):
    """The methods of a name server that are used here."""

    def lookup(self, name: str) -> object:
        """The URI of a name. Raises Pyro5's NamingError if it is not there."""

    def register(self, name: str, uri: str) -> None:
        """Register a name, and replace its entry if it has one."""

    def remove(self, name: str) -> None:
        """Remove a name."""


class Registration:
    """The entry of one service in the name server.

    uri: the service's own; set it before `enter`. listens_on: the address that the service is bound to, None
    if that is not known. towards: this machine's address towards the name server, "" before `locate`, or if
    the name server runs in this process.
    """

    def __init__(
        self,
        uri: str,
        ns_host: str | None,
        ns_port: int | None,
        identity: Identity | None = None,
        embedded: Names | None = None,
        may_ask: frozenset[str] = frozenset(),
        patience: float = NamingTimes.answer,
    ) -> None:
        """ns_host, ns_port: the address of the name server; None to find it as Pyro5 does. identity: proves
        the passphrase to the name server, which must prove it too. embedded: a name server in this process,
        instead. may_ask: addresses that may be asked, in addition to the name server's host, whether a
        service is alive there. patience: seconds for an answer of the name server, or of a service that may
        have the name."""
        self.uri = uri
        self.listens_on: tuple[str, int] | None = None
        self.towards = ""
        self._host = ns_host
        self._port = ns_port
        self._identity = identity
        self._embedded = embedded
        self._may_ask = may_ask
        self._patience = patience
        self._name_server: tuple[str, int] | None = None
        self._trusted_hosts = TrustedHosts("", "", "", may_ask)
        # One thread may still be checking when another removes the entry.
        self._changing = threading.Lock()
        self._left = False
        self._said: tuple[object, ...] = ()

    @property
    def where(self) -> str:
        """`host:port` of the name server; "" before `locate`, or if it runs in this process."""
        return format_address(*self._name_server) if self._name_server is not None else ""

    def locate(self) -> None:
        """Find the name server, once. Raises ServiceNotFoundError, or AccessDeniedError if it cannot prove
        the passphrase or requires one."""
        if self._embedded is None and self._name_server is None:
            with find_name_server(self._host, self._port, self._identity, remedy=_REMEDY) as names:
                self._name_server = names.host, names.port
                self.towards = names.local_host
                self._trusted_hosts = TrustedHosts(
                    names.host, names.peer_host, names.local_host, self._may_ask
                )

    def enter(self, replace: bool) -> None:
        """Register the service. replace: also if another live service has the name.

        Raises ServiceNotFoundError if there is no name server, ServiceExistsError if the name is taken,
        AccessDeniedError if the name server cannot prove the passphrase.
        """
        self.locate()
        with self._names() as names:
            holder = _lookup(names)
            if holder is not None and holder != self.uri and not replace and self._is_other(holder, True):
                raise ServiceExistsError(
                    f"the name {EVENTSERVER_NAME} is taken by a live event service at {holder}; stop it, "
                    "or start this one with --replace"
                )
            try:
                names.register(EVENTSERVER_NAME, self.uri)
            except ServiceNotFoundError:
                raise
            except Pyro5.errors.NamingError as error:
                raise ServiceExistsError(
                    f"the name server at {self.where} refuses to register the service: {error}"
                ) from None

    def check(self) -> EntryState:
        """Check whether the entry is still there and ours, and register again if it is lost or stale.

        It raises nothing, whatever the name server does or answers.
        """
        try:
            with self._names() as names:
                holder = _lookup(names)
                if holder == self.uri:
                    self._said = ()
                    return EntryState.OURS
                if holder is not None and self._is_other(holder, False):
                    return EntryState.TAKEN
                with self._changing:
                    if not self._left:
                        names.register(EVENTSERVER_NAME, self.uri)
                if holder is None:
                    self._say("the name server had lost the event service, which has registered itself again")
                return EntryState.RENEWED
        except Exception as error:  # of any class: a failing name server must not end the service
            self._say("asking the name server failed: %s; the service tries again every few seconds", error)
            return EntryState.UNKNOWN

    def leave(self) -> None:
        """Remove the entry if it is ours."""
        if self._name_server is None and self._embedded is None:
            return
        try:
            with self._changing, self._names() as names:
                self._left = True
                if _lookup(names) == self.uri:
                    names.remove(EVENTSERVER_NAME)
        except Exception as error:  # as above
            log.warning("could not be removed from the name server: %s", error)

    def _is_other(self, holder: str, starting: bool) -> bool:
        """Whether another live event service is at an address, as far as the service may ask there.

        starting: the user is told and can use --replace, so a service that requires a passphrase may count as
        one. While the service runs, it must be certain, because anybody may have registered that address.
        """
        guarded = self._identity is not None or self._embedded is not None
        host = _host_of(holder)
        if not guarded and host is not None and not self._trusted_hosts.include(host):
            self._say(
                "the name server has %s in place of this event service, which registers itself again; it "
                "does not ask there, because anybody can register an address: --allow-callback names hosts "
                "to ask",
                holder,
            )
            return False
        if is_alive(holder, self.listens_on, denied_counts=guarded or starting, patience=self._patience):
            return True
        self._say("the name server has %s, where no other event service answers; it is replaced", holder)
        return False

    def _say(self, text: str, *arguments: object) -> None:
        """Log a problem, once while it lasts."""
        said = text, *map(str, arguments)
        if said != self._said:
            self._said = said
            log.warning(text, *arguments)

    def _names(self) -> contextlib.AbstractContextManager[Names]:
        """A connection to the name server. Raises Pyro5's errors, also subclasses defined here."""
        if self._embedded is not None:
            return contextlib.nullcontext(self._embedded)
        assert self._name_server is not None, "call locate() first"
        deadline = time.monotonic() + self._patience
        return NameServer(*self._name_server, self._identity, deadline, self._patience)


def _lookup(names: Names) -> str | None:
    try:
        return str(names.lookup(EVENTSERVER_NAME))
    except UnusableEntryError:
        return ""
    except ServiceNotFoundError:  # it does not answer
        raise
    except Pyro5.errors.NamingError:
        return None


def _host_of(uri: str) -> str | None:
    """The host in the URI of an object that can be connected to; None for anything else."""
    try:
        parsed = URI(uri)
    except (Pyro5.errors.PyroError, TypeError, ValueError):
        return None
    return str(parsed.host) if parsed.protocol == "PYRO" and parsed.host and parsed.port else None


def is_alive(
    uri: str,
    ours: tuple[str, int] | None = None,
    denied_counts: bool = True,
    patience: float = NamingTimes.answer,
) -> bool:
    """Whether another event service answers at an address, within `patience` seconds.

    ours: the address that our own service is bound to; the same address in another spelling is not another
    service. denied_counts: whether a service that requires a passphrase counts as one.
    """
    host = _host_of(uri)
    if host is None:
        return False
    try:
        return _answers(URI(uri), host, ours, denied_counts, time.monotonic() + patience)
    except (OSError, ValueError, TypeError, Pyro5.errors.PyroError):
        return False


def _answers(uri: URI, host: str, ours: tuple[str, int] | None, denied_counts: bool, deadline: float) -> bool:
    context = client_context()
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(connecting.connect(host, uri.port, deadline))
        if ours is not None and _is_bound(sock, ours):
            return False
        if context is not None:
            sock = stack.enter_context(connecting.secure(sock, context, host, deadline))
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        sock.sendall(write_connect(uri.object, STOCK_HELLO))
        reader = FrameReader(answer_limits())
        while (frame := reader.next_frame()) is None:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            data = sock.recv(4096)
            if not data or time.monotonic() > deadline:
                return False
            reader.feed(data)
        # A service that requires a passphrase says only this, whatever it is.
        if frame.type == CONNECT_FAIL:
            return denied_counts and read_connect_fail(frame) == DENIED
        return "publish" in (read_connect_ok(frame).methods or ())


def _is_bound(sock: socket.socket, ours: tuple[str, int]) -> bool:
    """Whether a socket is connected to a listening socket of this machine that is bound to `ours`."""
    host, bound = ours
    expected = sock.getsockname()[0] if host in ("0.0.0.0", "::") else host
    peer: tuple[str, int] = sock.getpeername()[:2]
    return peer == (expected, bound)
