"""Finding the event service.

Knows: how its address is spelled, and what to ask the name server. Must not know: what is then said to the
service.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterator
from typing import Final

import Pyro5.core
import Pyro5.errors
from Pyro5 import config

from ...constants import EVENTSERVER_NAME
from ...errors import AccessDeniedError, ServiceNotFoundError
from ...foreign_exceptions import is_foreign
from ...transport.addresses import (
    MAX_URI,
    UNIX,
    checked_host,
    checked_port,
    format_address,
    is_ip_address,
    split_address,
)
from ...transport.name_server import NameServer
from ...transport.name_server_search import LOOKUP, find_name_server
from ...wire.handshake.passphrase import Identity

# While a lost service is looked for, asking the name server may take this many seconds; no more, so that the
# last address is tried again soon.
QUICK_LOOKUP: Final = 0.7

# A host may be called `pyro`: after the protocol of a URI comes an object, and not only a number.
_PROTOCOL: Final = re.compile(r"(PYRO(?!:\d+$)|PYRONAME|PYROMETA):", re.I | re.A)
_WRITE: Final = (
    "write HOST:PORT, such as lab-server:9095 or [::1]:9095, or a URI, which looks like "
    f"PYRO:{EVENTSERVER_NAME}@hostname:port; without {{}} the name server is asked"
).format
_ARGUMENT: Final = "es_uri"


def parse_uri(es_uri: object, variable: str = "") -> Pyro5.core.URI:
    """The address of the service as a Pyro5 URI; None stands for its name in the name server.

    es_uri: `host:port`, or a PYRO, PYRONAME or PYROMETA URI, as text or as Pyro5's URI. variable: the one in
    the environment that gave it, for the error; "" for none. Raises TypeError or ValueError that says what to
    write.
    """
    if es_uri is None:
        es_uri = "PYRONAME:" + EVENTSERVER_NAME
    if not isinstance(es_uri, (str, Pyro5.core.URI)):
        kind = type(es_uri).__name__
        raise TypeError(f"es_uri must be a str or a Pyro5 URI, not {kind}; {_WRITE(_ARGUMENT)}")
    text = str(es_uri)
    if len(text) > MAX_URI:
        raise _not_an_address(f"{text[:60]!r}...", f"it is longer than {MAX_URI} characters", variable)
    try:
        if not _PROTOCOL.match(text):
            return Pyro5.core.URI(f"PYRO:{EVENTSERVER_NAME}@{_location(text)}")
        named, at, location = text.partition("@")
        if any(character.isspace() for character in text):
            raise ValueError("it contains white space")
        if at:
            needed = named.upper().startswith("PYRO:")
            text = f"{named}@{_location(location, None if needed else config.NS_PORT)}"
        return Pyro5.core.URI(text)
    except (ValueError, Pyro5.errors.PyroError) as error:
        if is_foreign(error, ValueError, Pyro5.errors.PyroError):
            raise
        raise _not_an_address(repr(str(es_uri)), error, variable) from None


def _not_an_address(shown: str, reason: object, variable: str) -> ValueError:
    name, where = (variable, " in the environment") if variable else (_ARGUMENT, "")
    return ValueError(
        f"{name}={shown}{where} is not the address of an event service: {reason}; {_WRITE(name)}"
    )


def _location(text: str, default_port: int | None = None) -> str:
    """A location as in a URI. Raises ValueError that says what is wrong."""
    if text.startswith(UNIX):
        return text
    if default_port is not None and not text.rpartition("]")[2].count(":"):
        text = f"{text}:{default_port}"
    return format_address(*split_address(text))


class ServiceLocator:
    """Finds the addresses at which the service may be, the likeliest first."""

    def __init__(
        self,
        es_uri: object = None,
        identity: Identity | None = None,
        ns_host: str | ipaddress.IPv4Address | ipaddress.IPv6Address | None = None,
        ns_port: int | None = None,
        name: str = "",
        variable: str = "",
    ) -> None:
        """es_uri: as for `parse_uri`; None: ask the name server for EVENTSERVER_NAME. identity: proves the
        passphrase to the name server and the service, which must prove it too. ns_host, ns_port: the address
        of the name server; None is Pyro5's settings. name: the client's name for the service. variable: the
        one in the environment that gave `es_uri`, for errors; "" if the program gave it.

        Raises TypeError or ValueError for arguments that are not allowed.
        """
        self._wanted = wanted = parse_uri(es_uri, variable)
        # For errors about the place where the service, or the name server, should be.
        self._origin = f" ({variable} in the environment says so)" if variable else ""
        self._ns_host = checked_host("ns_host", ns_host, unix=True)
        self._ns_port = checked_port("ns_port", ns_port)
        places = {"ns_host": self._ns_host, "ns_port": self._ns_port}
        given = [place for place, value in places.items() if value is not None]
        if given and (wanted.protocol == "PYRO" or wanted.location):
            raise ValueError(
                f"es_uri={str(es_uri)!r} already says where the service is, so {' and '.join(given)} would "
                "not be used: give one or the other"
            )
        if wanted.location and wanted.protocol != "PYRO":
            self._ns_host = UNIX + wanted.sockname if wanted.sockname else wanted.host
            self._ns_port = None if wanted.sockname else wanted.port
        self._last: Pyro5.core.URI | None = None
        self._name_server: tuple[str, int] | None = None
        self.identity = identity
        self.name = name

    def candidates(self, quick: bool = False) -> Iterator[Pyro5.core.URI]:
        """First the address that is known, then the one in the name server if it is another.

        quick: as for `look_up`. Raises as `look_up`.
        """
        known = self.known
        if known is not None:
            yield known
        if self.asks:
            fresh = self.look_up(quick)
            if fresh != known:
                yield fresh

    @property
    def known(self) -> Pyro5.core.URI | None:
        """An address that needs no look-up: the last one that worked, or the one that the program gave."""
        return self._last if self.asks else self._wanted

    @property
    def asks(self) -> bool:
        """Whether the name server knows the address."""
        return bool(self._wanted.protocol != "PYRO")

    @property
    def delay(self) -> float:
        """For how many seconds Pyro5's NS_LOOKUP_DELAY allows to wait for a name that is not registered
        yet."""
        return float(config.NS_LOOKUP_DELAY) if self.asks else 0.0

    def was_good(self, uri: Pyro5.core.URI) -> None:
        """Remember an address to which a connection was made."""
        self._last = uri

    def source(self, uri: Pyro5.core.URI) -> str:
        """Where an address of `candidates` came from, for an error about it; "" if the program gave it
        itself."""
        if not self.asks or self._name_server is None:
            return self._origin
        host = self._name_server[0]
        text = f" (the name server at {format_address(*self._name_server)} has it registered there"
        if _is_loopback(uri.host) and not _is_loopback(host) and not host.startswith(UNIX):
            text += ", but only its own machine can use that address: start the service with --host and "
            "an address that others can reach, or give such an address with --nathost"
        else:
            text += ": is it running, and can it be reached from here?"
        return f"{text}){self._origin}"

    def look_up(self, quick: bool = False) -> Pyro5.core.URI:
        """The address of the service in the name server.

        quick: ask the name server only where it was found before, within QUICK_LOOKUP, and only once. Raises
        AccessDeniedError, or ServiceNotFoundError if there is no name server or it does not have the service.
        """
        try:
            with self._asked(quick) as names:
                found = names.find(self._wanted, 0.0 if quick else self.delay)
                self._name_server = names.host, names.port
                return found
        except (ServiceNotFoundError, AccessDeniedError) as error:
            if self._origin and not is_foreign(error, ServiceNotFoundError, AccessDeniedError):
                error.args = (f"{error}{self._origin}",)
            raise

    def _asked(self, quick: bool) -> NameServer:
        if quick and self._name_server is not None:
            return NameServer(*self._name_server, self.identity, time.monotonic() + QUICK_LOOKUP)
        try:
            return find_name_server(self._ns_host, self._ns_port, self.identity, LOOKUP)
        except ServiceNotFoundError as error:
            if is_foreign(error, ServiceNotFoundError):
                raise
            error.args = (f"no event service found: {error}",)
            raise


def _is_loopback(host: str | None) -> bool:
    return host is not None and (host in ("localhost", "::1") or (host[:4] == "127." and is_ip_address(host)))
