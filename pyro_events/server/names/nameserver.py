"""The embedded name server: the methods of Pyro5's name server, served by the event service's own engine.

Knows: the name server's remote methods, and which entries clients may change. Must not know: events.

It is protected as the service is, because the same connections serve it. Whatever an argument is, a call
neither keeps the process busy nor fills its memory: regular expressions are treated as patterns, searches
take turns, and names and metadata are limited. Only this process changes its own entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import Pyro5.errors
from Pyro5.core import NAMESERVER_NAME, URI

from ...broker.matching.patterns import compile_pattern
from ..objects import Caller, remote_names
from .name_search import NameSearch, listing
from .name_table import NameTable, Record, check_metadata

_METADATA = ("class:Pyro5.nameserver.NameServer",)


class EmbeddedNameServer:
    """Names in memory; they are forgotten when the process ends."""

    def __init__(
        self,
        uri: str,
        reserved: tuple[str, ...] = (),
        table: NameTable | None = None,
        may_change: Callable[[Caller], bool] = lambda caller: True,
    ) -> None:
        """uri: its own, under which it registers itself. reserved: names that only this process registers,
        changes and removes. table: where names are kept; one with the default limits unless given.
        may_change: whether a client may change any other name."""
        self.uri = uri
        self._may_change = may_change
        self._table = table or NameTable()
        self._reserved = frozenset({NAMESERVER_NAME, *reserved})
        self._table.enter(NAMESERVER_NAME, uri, _METADATA)
        self.methods: Mapping[str, Callable[..., Any]] = {
            "ping": lambda caller: None,
            "count": lambda caller: len(self._table),
            "lookup": self._lookup,
            "register": self._register,
            "set_metadata": self._set_metadata,
            "remove": self._remove,
            "list": self._list,
            "yplookup": self._yplookup,
        }

    # # Used by the service in the same process, in any thread.

    def lookup(self, name: str) -> str:
        """The URI of a name. Raises Pyro5's NamingError if it is not there."""
        return self._table.get(name).uri

    def register(self, name: str, uri: str) -> None:
        """Register a name, and replace its entry if it has one."""
        self._table.enter(name, uri)

    def remove(self, name: str) -> None:
        """Remove a name; one that is not there is ignored."""
        self._table.remove([name])

    # Used by clients. The names of the arguments are those of Pyro5's name server.

    def _lookup(self, caller: Caller, name: Any, return_metadata: bool = False) -> Any:
        record = self._table.get(name)
        return (URI(record.uri), list(record.metadata)) if return_metadata else URI(record.uri)

    def _register(
        self, caller: Caller, name: Any, uri: Any, safe: bool = False, metadata: Any = None
    ) -> None:
        self._check_rights(caller, name)
        self._table.enter(name, _uri_text(uri), metadata, bool(safe))

    def _set_metadata(self, caller: Caller, name: Any, metadata: Any) -> None:
        self._check_rights(caller, name)
        self._table.set_metadata(name, metadata)

    def _check_rights(self, caller: Caller, name: object = None) -> None:
        if not self._may_change(caller):
            raise Pyro5.errors.NamingError(
                "only a client that proves a passphrase can change entries here: a user's (ident and user), "
                "or this name server's own (--ident-file), which an event service needs"
            )
        if isinstance(name, str) and name in self._reserved:
            raise Pyro5.errors.NamingError(
                f"{name} belongs to the program that this name server runs in, and only that program can "
                "change it: stop it, or use another name server"
            )

    def _remove(self, caller: Caller, name: Any = None, prefix: Any = None, regex: Any = None) -> Any:
        if name:
            if name == NAMESERVER_NAME:  # the same answer as Pyro5's
                return 0
            self._check_rights(caller, name)
            return self._table.remove([name]) if isinstance(name, str) else self._table.get(name)
        if not prefix and not regex:
            return 0
        self._check_rights(caller)
        return self._search(
            _matching(prefix, regex),
            lambda found: self._table.remove([each for each, _ in found if each not in self._reserved]),
        )

    def _list(
        self, caller: Caller, prefix: Any = None, regex: Any = None, return_metadata: bool = False
    ) -> Any:
        if prefix and regex:
            raise ValueError("you can only filter on one thing at a time")
        return self._search(_matching(prefix, regex), lambda found: listing(found, bool(return_metadata)))

    def _yplookup(
        self, caller: Caller, meta_all: Any = None, meta_any: Any = None, return_metadata: bool = True
    ) -> Any:
        if meta_all and meta_any:
            raise ValueError("you can't use meta_all or meta_any at the same time")
        wanted = frozenset(check_metadata(meta_all or meta_any or None))
        matches: Callable[[str, Record], bool]
        if not wanted:
            return {}
        if meta_all:
            matches = lambda name, record: wanted.issubset(record.metadata)  # noqa: E731
        else:
            matches = lambda name, record: not wanted.isdisjoint(record.metadata)  # noqa: E731
        return self._search(matches, lambda found: listing(found, bool(return_metadata)))

    def _search(
        self, matches: Callable[[str, Record], bool], result: Callable[[list[tuple[str, Record]]], Any]
    ) -> Any:
        return NameSearch(self._table.entries(), matches, result).begin()


def _uri_text(uri: object) -> str:
    """The text of a URI, in whatever form a serializer has sent it. Raises TypeError or ValueError."""
    if isinstance(uri, str):
        return uri
    if isinstance(uri, URI):
        return str(uri)
    state = uri.get("state") if isinstance(uri, dict) and uri.get("__class__") == "Pyro5.core.URI" else None
    if isinstance(state, (list, tuple)) and len(state) == 5:
        parsed = URI.__new__(URI)
        parsed.__setstate__(tuple(state))
        return str(parsed)
    raise TypeError("only URIs or strings can be registered")


def _matching(prefix: object, regex: object) -> Callable[[str, Record], bool]:
    """Whether a name has that prefix, or matches a regular expression from its start; any name if neither is
    given."""
    if prefix:
        if not isinstance(prefix, str):
            raise TypeError(f"a prefix is text, not {type(prefix).__name__}")
        start = prefix
        return lambda name, record: name.startswith(start)
    if not regex:
        return lambda name, record: True
    try:
        pattern = compile_pattern(regex, ignore_case=False)
    except ValueError as error:
        raise Pyro5.errors.NamingError(f"invalid regular expression: {error}") from None
    return lambda name, record: pattern.matches(name)


class DaemonMethods:
    """The methods that Pyro5 clients call on any daemon: a ping, and what its objects can do."""

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
