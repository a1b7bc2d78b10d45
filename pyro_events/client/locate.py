"""Finding the event service.

Knows: URIs, Pyro5's name server and its settings. Must not know: what is then said to the service.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Final

import Pyro5.core
import Pyro5.errors
import Pyro5.nameserver
from Pyro5 import config
from Pyro5.client import Proxy

from ..constants import EVENTSERVER_NAME
from ..errors import AccessDeniedError, ServiceNotFoundError
from ..ident_proxy import IdentProxy, locate_ns
from ..wire.identity import Identity

# Pyro5 itself broadcasts for 2.1 s when it finds no name server; a name server that has not
# answered after this many seconds, beyond NS_LOOKUP_DELAY, will not.
LOOKUP_TIMEOUT: Final = 10.0
# When a service that was lost is looked for again and again, a step of the name server's answer is
# given this many seconds: no more, so that the last address is tried again soon.
QUICK_LOOKUP: Final = 0.7

_REMEDIES: Final = (
    "start one with `python -m pyro_events.es --embed-ns`, or pass the address of a running one as es_uri"
)


def parse_uri(es_uri: object) -> Pyro5.core.URI:
    """The address of the service as a Pyro5 URI; None stands for its name in the name server.

    Raises TypeError or ValueError for what is no URI.
    """
    if es_uri is None:
        es_uri = "PYRONAME:" + EVENTSERVER_NAME
    if not isinstance(es_uri, (str, Pyro5.core.URI)):
        raise TypeError(f"es_uri must be a str or a Pyro5 URI, not {type(es_uri).__name__}")
    try:
        return Pyro5.core.URI(es_uri)
    except Pyro5.errors.PyroError as error:
        raise ValueError(
            f"es_uri {str(es_uri)!r} is no Pyro URI ({error}); "
            f"it looks like PYRO:{EVENTSERVER_NAME}@hostname:port"
        ) from None


class Finder:
    """Names the addresses at which the service may be, the likeliest first."""

    def __init__(self, es_uri: object = None, identity: Identity | None = None, name: str = "") -> None:
        """es_uri: a str or a Pyro5 URI; None: ask the name server for EVENTSERVER_NAME.
        identity: what the name server and the service must prove, and is proved to them.
        name: what the service shall call the client."""
        self._wanted = parse_uri(es_uri)
        self._last: Pyro5.core.URI | None = None
        self._name_server: Pyro5.core.URI | None = None
        self.identity = identity
        self.name = name

    def candidates(self, quick: bool = False) -> Iterator[Pyro5.core.URI]:
        """First the address that was good last, then what the name server says if it says another.

        quick: ask the name server only where it was found before, within QUICK_LOOKUP for each step.
        Raises ServiceNotFoundError when the name server has to be asked and does not help, or
        AccessDeniedError.
        """
        last = self._last
        if last is not None:
            yield last
        if last is None or self._wanted.protocol != "PYRO":
            fresh = self._asked_again() if quick and self._name_server is not None else self._resolved()
            if fresh != last:
                yield fresh

    def was_good(self, uri: Pyro5.core.URI) -> None:
        """Remember the address of a connection that was made."""
        self._last = uri

    def _asked_again(self) -> Pyro5.core.URI:
        """What the name server that helped before says now. Raises ServiceNotFoundError."""
        where = self._name_server
        names = Proxy(where) if self.identity is None else IdentProxy(where, self.identity)
        names._pyroTimeout = QUICK_LOOKUP
        try:
            with names:
                return _registered(names, self._wanted, patient=False)
        except (Pyro5.errors.CommunicationError, Pyro5.errors.NamingError, OSError) as error:
            raise ServiceNotFoundError(f"the name server at {where} does not help: {error}") from error

    def _resolved(self) -> Pyro5.core.URI:
        """The PYRO URI of what is wanted."""
        if self._wanted.protocol == "PYRO":
            return self._wanted
        lookup = _Lookup(self._wanted, self.identity)
        lookup.start()
        lookup.join(LOOKUP_TIMEOUT + config.NS_LOOKUP_DELAY)
        if lookup.found is not None:
            self._name_server = lookup.name_server
            return lookup.found
        if isinstance(lookup.failure, AccessDeniedError):
            raise lookup.failure
        where = f"{config.NS_HOST}:{config.NS_PORT}"
        if lookup.failure is None:
            reason = f"the name server at {where} does not answer"
        elif "unknown name" in str(lookup.failure):
            reason = f"the name server at {where} knows no {self._wanted.object}"
        else:
            reason = f"no name server was found at {where} ({lookup.failure})"
        raise ServiceNotFoundError(f"no event service found: {reason}; {_REMEDIES}") from lookup.failure


class _Lookup(threading.Thread):
    """One question to the name server, in a thread because Pyro5 gives it no timeout of its own."""

    def __init__(self, wanted: Pyro5.core.URI, identity: Identity | None) -> None:
        super().__init__(name="pyro_events-lookup", daemon=True)
        self._wanted = wanted
        self._identity = identity
        self.found: Pyro5.core.URI | None = None
        self.name_server: Pyro5.core.URI | None = None
        self.failure: Exception | None = None

    def run(self) -> None:
        wanted = self._wanted
        try:
            with locate_ns(self._identity, wanted.host, wanted.port) as names:
                self.found = _registered(names, wanted, patient=True)
                self.name_server = names._pyroUri
        except (Pyro5.errors.PyroError, OSError) as error:
            self.failure = error


def _registered(names: Proxy, wanted: Pyro5.core.URI, patient: bool) -> Pyro5.core.URI:
    """What a name server knows under a name, or under metadata (as Pyro5's `resolve` does it).

    patient: wait for it as long as NS_LOOKUP_DELAY says. Raises Pyro5's NamingError.
    """
    if wanted.protocol == "PYRONAME":
        known = Pyro5.nameserver.lookup(names, wanted.object) if patient else names.lookup(wanted.object)
        return Pyro5.core.URI(str(known))
    arguments = wanted.object, None, False
    found = Pyro5.nameserver.yplookup(names, *arguments) if patient else names.yplookup(*arguments)
    if not found:
        raise Pyro5.errors.NamingError(f"unknown name: nothing has the metadata {sorted(wanted.object)}")
    return Pyro5.core.URI(str(random.choice(list(found.values()))))
