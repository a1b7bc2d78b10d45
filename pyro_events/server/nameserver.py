"""The embedded name server: Pyro5's name server, served by the event service's own engine.

Knows: the name server's remote methods. Must not know: events.

It is guarded as the service is, because the same connections serve it. Regular expressions are
searched with RE2, so that none of them can keep the process busy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import Pyro5.errors
import re2
from Pyro5.core import NAMESERVER_NAME, URI
from Pyro5.nameserver import MemoryStorage, NameServer

from .served import Caller, remote_names
from .subscribers import check_uri

_METHODS = ("count", "lookup", "register", "set_metadata", "remove", "list", "yplookup", "ping")


class EmbeddedNameServer:
    """Names in memory; they are forgotten when the process ends."""

    def __init__(self, uri: str) -> None:
        """uri: its own, under which it registers itself."""
        self.uri = uri
        self._names = NameServer(MemoryStorage())
        self._names.register(NAMESERVER_NAME, uri, metadata={"class:Pyro5.nameserver.NameServer"})
        self.methods: Mapping[str, Callable[..., Any]] = {
            **{name: self._plain(name) for name in _METHODS},
            "register": self._register,
            "list": self._list,
        }

    # What the service that runs in the same process does here, in any thread.

    def lookup(self, name: str) -> str:
        """The URI of a name. Raises Pyro5's NamingError for one that is not there."""
        return str(self._names.lookup(name))

    def register(self, name: str, uri: str) -> None:
        """Enter a name, whatever it was before."""
        self._names.register(name, uri)

    def remove(self, name: str) -> None:
        """Take a name out; one that is not there is no error."""
        self._names.remove(name)

    def _plain(self, name: str) -> Callable[..., Any]:
        method = getattr(self._names, name)
        return lambda caller, *args, **kwargs: _writable(method(*args, **kwargs))

    def _register(
        self, caller: Caller, name: Any, uri: Any, safe: bool = False, metadata: Any = None
    ) -> None:
        if isinstance(uri, dict) and isinstance(uri.get("state"), (list, tuple)) and len(uri["state"]) == 5:
            parsed = URI.__new__(URI)
            parsed.__setstate__(tuple(uri["state"]))
            uri = str(parsed)
        if isinstance(uri, str):
            check_uri(uri)
        self._names.register(name, uri, safe=safe, metadata=metadata)

    def _list(
        self,
        caller: Caller,
        prefix: str | None = None,
        regex: str | None = None,
        return_metadata: bool = False,
    ) -> Any:
        if prefix or not regex:
            return _writable(self._names.list(prefix=prefix, regex=regex, return_metadata=return_metadata))
        options = re2.Options()
        options.log_errors = False
        try:
            pattern = re2.compile(regex, options)
        except re2.error as error:
            raise Pyro5.errors.NamingError(f"invalid regular expression {regex!r}: {error}") from None
        everything = self._names.list(return_metadata=return_metadata)
        return _writable({name: value for name, value in everything.items() if pattern.match(name)})


def _writable(result: Any) -> Any:
    """Metadata as lists: not every serializer can write a frozen set."""
    if isinstance(result, (set, frozenset)):
        return sorted(result)
    if isinstance(result, tuple):
        return tuple(_writable(item) for item in result)
    if isinstance(result, dict):
        return {name: _writable(value) for name, value in result.items()}
    return result


class DaemonMethods:
    """What Pyro5 clients ask of any daemon: a sign of life, and what its objects can do."""

    def __init__(self, objects: Mapping[str, Any], location: str) -> None:
        self._objects = objects
        self._location = location
        self.methods: Mapping[str, Callable[..., Any]] = {
            "ping": lambda caller: None,
            "registered": lambda caller: list(self._objects),
            "info": lambda caller: f"Pyro.Daemon of pyro_events on {self._location}",
            "get_metadata": self._metadata,
        }

    def _metadata(self, caller: Caller, objectId: str) -> dict[str, list[str]]:
        served = self._objects.get(objectId)
        if served is None:
            raise Pyro5.errors.DaemonError("unknown object")
        return {"methods": remote_names(served), "oneway": [], "attrs": []}
