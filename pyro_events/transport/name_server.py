"""A name server: its methods, and what its answers mean.

Knows: its methods, and what may be wrong with an entry. Must not know: how it is connected to, where a name
server may be (name_server_search.py does), or what the event service's entry is used for.
"""

from __future__ import annotations

import random
import time
from typing import Any, Final

import Pyro5.core
import Pyro5.errors

from ..errors import ServiceNotFoundError
from ..foreign_exceptions import is_foreign
from .addresses import MAX_URI, UNIX, format_address
from .name_server_connection import NameServerConnection, NameServerFailedError, shown

# How often to ask again for a name that is not there yet, within NS_LOOKUP_DELAY.
_ASK_AGAIN: Final = 0.2

# The errors of reading a text that is not a URI.
_NO_URI: Final = (Pyro5.errors.PyroError, TypeError, ValueError, KeyError, AttributeError)


class UnusableEntryError(ServiceNotFoundError):
    """A name is registered, but its entry is not the URI of an object."""


class NameServer(NameServerConnection):
    """A connection to a name server. Use it in a `with` statement."""

    def lookup(self, name: str) -> Pyro5.core.URI:
        """The URI of a name.

        Raises Pyro5's NamingError if the name is not there, UnusableEntryError, ServiceNotFoundError.
        """
        try:
            return self._uri(name, self.call("lookup", name))
        except (
            NameServerFailedError
        ) as error:  # Pyro5's name server fails if something other than a URI was registered
            raise UnusableEntryError(str(error)) from None

    def find(self, wanted: Pyro5.core.URI, patience: float) -> Pyro5.core.URI:
        """The entry under the name of a PYRONAME URI, or under the metadata of a PYROMETA one.

        patience: for so many seconds, ask again for an entry that is not there. Raises ServiceNotFoundError.
        """
        until = time.monotonic() + patience
        self.deadline += patience
        while True:
            try:
                if wanted.protocol == "PYRONAME":
                    return self.lookup(wanted.object)
                found = self.call("yplookup", set(wanted.object), None, False)
                if isinstance(found, dict) and found:
                    return self._uri("metadata", random.choice(list(found.values())))
                raise Pyro5.errors.NamingError
            except ServiceNotFoundError:
                raise
            except Pyro5.errors.NamingError:
                if time.monotonic() >= until:
                    raise self._unknown(wanted) from None
            time.sleep(_ASK_AGAIN)

    def _unknown(self, wanted: Pyro5.core.URI) -> ServiceNotFoundError:
        named = wanted.protocol == "PYRONAME"
        what = wanted.object if named else f"service with the metadata {', '.join(sorted(wanted.object))}"
        return ServiceNotFoundError(
            f"no event service found: the name server at {self.where} knows no {what}; start the service "
            "with this name server (python -m pyro_events.es --ns-host … --ns-port …) or with one of its own "
            "(--embed-ns), name another by ns_host= or PYRO_NS_HOST, or pass the service's address as es_uri"
        )

    def _uri(self, name: str, value: Any) -> Pyro5.core.URI:
        """The PYRO URI in an answer."""
        try:
            if isinstance(value, dict) and value.get("__class__") == "Pyro5.core.URI":
                protocol, object_id, sockname, host, port = value["state"]
                where = f"{UNIX}{sockname}" if sockname else format_address(host, port)
                value = f"{protocol}:{object_id}@{where}"
            # Pyro5's regular expression takes quadratic time for some texts.
            if not isinstance(value, str) or len(value) <= MAX_URI:
                uri = Pyro5.core.URI(value)
                if uri.protocol == "PYRO":
                    return uri
        except _NO_URI as error:
            if is_foreign(error, *_NO_URI):
                raise
        raise UnusableEntryError(
            f"the name server at {self.where} does not have a URI under {name}: {shown(value)!r}"
        )

    def register(self, name: str, uri: str) -> None:
        """Register a name, and replace its entry if it has one. Raises Pyro5's NamingError."""
        self.call("register", name, uri)

    def remove(self, name: str) -> None:
        """Remove a name; one that is not there is ignored. Raises Pyro5's NamingError."""
        self.call("remove", name)
