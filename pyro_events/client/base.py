"""The common part of a publisher and a subscriber, so that one class may be both.

Knows: that a client has up to two ends, each with its own connection. Must not know: what an end does.

Each `__init__` adds its end, in either order, whether it is called by its name or by `super()`
(constructors.py).

Programs give objects any attributes they like, also their own `close` or `daemon`. So if a method of the
class is needed here, it is never taken from the object, and private names begin with two underscores.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, cast, overload

from Pyro5.client import Proxy

from ..client_name import chosen_client_name
from ..constants import ES_URI_VARIABLE
from ..errors import EventServiceError
from ..transport.authenticated_proxy import IdentProxy
from ..wire.handshake.passphrase import identity_of, sealed
from .connection.discovery import ServiceLocator
from .connection.reconnecting import ReconnectingConnection

if TYPE_CHECKING:  # imported when statistics are first asked for
    from .statistics import (
        ClientStatistics,
        PublisherStatistics,
        Publishes,
        PublishesAndSubscribes,
        SubscriberStatistics,
        Subscribes,
    )

Self = TypeVar("Self", bound="ClientBase")


class ClientInternals(Protocol):
    """The publishing or the subscribing end of a client."""

    @property
    def connection(self) -> ReconnectingConnection:
        """Its connection for calls."""

    def close(self) -> None:
        """Release everything; may be called again, from any thread."""

    def statistics(self) -> Any:
        """A frozen snapshot."""


class Uninitialised:
    """Stands for an end until `__init__` makes it, so that the error names the `__init__` that was not
    called.

    As an attribute of the class, it costs nothing if there is an end.
    """

    def __init__(self, role: str) -> None:
        self._role = role

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own checks, which get the answer no
            raise AttributeError(name)
        raise EventServiceError(
            f"call {self._role}.__init__ first, in the __init__ of the class derived from it"
        )


class ClientBase:
    """Base of Publisher and Subscriber: closing, statistics and the `with` statement."""

    def getES(self) -> Proxy:
        """A new Pyro5 proxy for the event service; Pyro3's name.

        It has the service's remote methods, such as `statistics`, and proves `ident`, of `user`, if there is
        one.

        Returns:
            The proxy, which belongs to the calling thread. Use it in a `with` statement, or release it.

        Raises:
            EventServiceError: `__init__` has not been called.

        Example:
            >>> with market.getES() as es:
            ...     es.statistics()["connections"] > 0
            True
        """
        connection = next(iter(_ends(self).values())).connection
        if connection.identity is None:
            return Proxy(connection.current.address)
        return IdentProxy(connection.current.address, connection.identity)

    def close(self) -> None:
        """Release the connections and threads. Calling it again is harmless.

        A subscriber is unsubscribed from everything first. What a pipeline still buffers, or a background
        publisher has queued, is not sent.
        """
        ends = self.__dict__.get(_ENDS, {})
        # The subscriber first: its handlers may still publish.
        for role in ("subscriber", "publisher"):
            if role in ends:
                ends[role].close()

    # A class that is both must not inherit two different versions, so all three are here.
    @overload
    def statistics(self: PublishesAndSubscribes) -> ClientStatistics: ...  # type: ignore[overload-overlap]
    @overload
    def statistics(self: Publishes) -> PublisherStatistics: ...
    @overload
    def statistics(self: Subscribes) -> SubscriberStatistics: ...
    @overload
    def statistics(self) -> ClientStatistics | PublisherStatistics | SubscriberStatistics: ...
    def statistics(self) -> Any:
        """What this object has done so far.

        Returns:
            A frozen snapshot: PublisherStatistics or SubscriberStatistics; ClientStatistics, with both, where
            the class inherits from both.

        Raises:
            EventServiceError: `__init__` has not been called.

        Example:
            >>> market.statistics().connected
            True
        """
        ends = _ends(self)
        if len(ends) == 2:
            from .statistics import ClientStatistics

            return ClientStatistics(ends["publisher"].statistics(), ends["subscriber"].statistics())
        (end,) = ends.values()
        return end.statistics()

    def __repr__(self) -> str:
        kind = type(self).__name__
        links = {id(end.connection): end.connection for end in self.__dict__.get(_ENDS, {}).values()}
        if not links:
            return f"<{kind}, not initialised>"
        states = {_state(connection): None for connection in links.values()}
        addresses = {str(connection.current.address): None for connection in links.values()}
        name = next(iter(links.values())).name
        return f"<{kind} {name!r} of {' and '.join(addresses)}, {' and '.join(states)}>"

    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if not name.startswith(_OURS)]

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} can be neither copied nor pickled, because it has connections and "
            "threads: make another one where you need it"
        )

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        type(self).close(self)  # the program may have an attribute of that name


_ENDS = "_ClientBase__ends"
# The beginning of private attributes' names.
_OURS = (
    "_ClientBase__",
    "_InterestMethods__",
    "_Publisher__",
    "_SubscribeMethods__",
    "_Subscriber__",
    "_pyro",
)


def add_end(client: ClientBase, role: str, end: ClientInternals) -> None:
    """Add the end for `role`, which is "publisher" or "subscriber"."""
    ends = client.__dict__.setdefault(_ENDS, {})
    previous = ends.get(role)
    ends[role] = end
    if previous is not None:  # __init__ was called twice
        previous.close()


def end_of(client: ClientBase, role: str) -> ClientInternals:
    """The end for `role`. Raises EventServiceError before the `__init__` that makes it."""
    end = client.__dict__.get(_ENDS, {}).get(role) or Uninitialised(role.capitalize())
    return cast(ClientInternals, end)


def _ends(client: ClientBase) -> dict[str, ClientInternals]:
    ends: dict[str, ClientInternals] = client.__dict__.get(_ENDS, {})
    if not ends:
        raise EventServiceError("call Publisher.__init__ or Subscriber.__init__ first")
    return ends


def _state(connection: ReconnectingConnection) -> str:
    if connection.current.closed:
        return "closed"
    return "connected" if connection.current.connected else "not connected"


class _NotGiven:
    """The default of an argument that has two names."""

    def __repr__(self) -> str:
        return "<not given>"


NOT_GIVEN: Any = _NotGiven()


def either(function: str, name: str, value: Any, other: str, other_value: Any) -> Any:
    """The value of an argument with two names, ours and Pyro3's. Raises TypeError unless it was given by
    exactly one of them."""
    if value is not NOT_GIVEN and other_value is not NOT_GIVEN:
        raise TypeError(f"{function}: {name} and {other} are the same argument: give one of them")
    if value is NOT_GIVEN and other_value is NOT_GIVEN:
        raise TypeError(f"{function} needs the argument {name}")
    return other_value if value is NOT_GIVEN else value


def chosen_locator(
    ident: object,
    es_uri: object,
    esURI: object,
    name: object = None,
    ns_host: Any = None,
    ns_port: Any = None,
    user: str | None = None,
) -> ServiceLocator:
    """The locator for the arguments of a client's `__init__`.

    If they do not say where the service or its name server is, PYROEVENTS_ES_URI in the environment may.
    name: the client's name for the service; None stands for the script's name and process id. user: whose
    passphrase `ident` is; None for the service's own.

    Raises TypeError if both spellings of the address are given; TypeError or ValueError for an invalid
    passphrase, user, address or name, also one in the environment, for a user without a passphrase, or if two
    arguments contradict each other.
    """
    ident = sealed(ident)
    if es_uri is not None and esURI is not None:
        raise TypeError("es_uri and esURI are the same argument: give one of them")
    uri = es_uri if es_uri is not None else esURI
    variable = ""
    if uri is None and ns_host in (None, "") and ns_port is None:
        uri = os.environ.get(ES_URI_VARIABLE) or None
        variable = ES_URI_VARIABLE if uri is not None else ""
    identity, name = identity_of(ident, user), chosen_client_name(name)
    return ServiceLocator(uri, identity, ns_host, ns_port, name, variable)


def checked_wait(wait: Any) -> float:
    """Seconds to wait for the service. Raises TypeError or ValueError that says what is allowed."""
    if isinstance(wait, bool) or not isinstance(wait, (int, float)):
        raise TypeError(f"wait must be a number of seconds, 0 for none, not {type(wait).__name__}")
    if not wait >= 0:
        raise ValueError(
            f"wait={wait} is not allowed: give seconds, 0 to not wait, or math.inf to wait for ever"
        )
    return float(wait) if wait < 1e9 else math.inf
