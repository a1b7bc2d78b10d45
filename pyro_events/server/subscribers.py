"""Who is to be called back: what a subscribing call says about its subscriber.

Knows: proxies and URIs as any serializer brings them, and where the service may connect. Must not
know: subscriptions, links, or how a call arrived.

Of a proxy nothing is used but its object id, its port and what it says the object can do: not its
serializer, not its handshake data, no unix socket, and its host only as the rules below allow.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final, NamedTuple

import Pyro5.errors
from Pyro5.client import Proxy
from Pyro5.core import URI

from .sockets import format_address

_HOST_NAME: Final = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I | re.A
)


class Callback(NamedTuple):
    """Where a subscriber is called back.

    address: an IP address and a port. uri: its canonical name. certified_name: the host that its
    certificate must name where TLS is used.
    """

    address: tuple[str, int]
    object_id: str
    uri: str
    certified_name: str


def read_subscriber(subscriber: Any, caller_host: str, allowed: frozenset[str]) -> Callback:
    """Where the subscriber of a call is.

    subscriber: a Proxy, a URI, the text of one, or the dictionary that a serializer makes of them.
    caller_host: the address the call came from, where the service will connect, unless the URI's
    host is one of `allowed` (IP addresses). Raises TypeError or ValueError.
    """
    uri, methods = _identity(subscriber)
    if methods and not {"event", "events"} & methods:
        raise TypeError(
            f"the object of {uri} cannot be a subscriber: it exposes no method `event`; "
            "give it one, with Pyro5's @expose"
        )
    try:
        parsed = URI(uri)
    except (Pyro5.errors.PyroError, TypeError):
        raise ValueError(f"{uri!r} is no Pyro URI; a subscriber's looks like PYRO:object@host:port") from None
    if parsed.protocol != "PYRO" or parsed.sockname or not parsed.port or not _is_proper(uri):
        raise ValueError(
            f"{uri!r} cannot be called back; a subscriber needs a URI like PYRO:object@host:port"
        )
    if not 0 < parsed.port < 65536:
        raise ValueError(f"{uri!r} cannot be called back: {parsed.port} is no port")
    host = _numeric(parsed.host) if parsed.host in allowed else caller_host
    address = host or caller_host, parsed.port
    canonical = f"PYRO:{parsed.object}@{format_address(*address)}"
    return Callback(address, parsed.object, canonical, _certified_name(parsed.host, address[0]))


def _certified_name(host: str, address: str) -> str:
    """The name by which a subscriber calls its host; the address that is connected to if it has none.

    The name is that of the subscribing call, which came over TLS too, and it is not looked up: it
    only has to stand in the certificate of whoever answers at that address.
    """
    proper = len(host) <= 253 and _HOST_NAME.fullmatch(host) and _numeric(host) is None
    return host if proper else address


def _numeric(host: str) -> str | None:
    """`host` if it is an IP address: names are not looked up."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _identity(subscriber: Any) -> tuple[str, frozenset[str]]:
    """The URI of a subscriber and the methods that it is known to have, if any are."""
    if isinstance(subscriber, Proxy):
        return str(subscriber._pyroUri), frozenset(subscriber._pyroMethods)
    if isinstance(subscriber, URI):
        return str(subscriber), frozenset()
    if isinstance(subscriber, str):
        return subscriber, frozenset()
    if isinstance(subscriber, dict):
        kind: Any = subscriber.get("__class__")
        state: Any = subscriber.get("state")
        if kind == "Pyro5.client.Proxy" and _is_sequence(state, 6) and isinstance(state[0], str):
            methods = state[2] if isinstance(state[2], (list, tuple, set)) else ()
            return state[0], frozenset(method for method in methods if isinstance(method, str))
        if kind == "Pyro5.core.URI" and _is_sequence(state, 5):
            protocol, object_id, _, host, port = state
            if isinstance(host, str) and isinstance(port, int):
                return f"{protocol}:{object_id}@{format_address(host, port)}", frozenset()
    raise TypeError(
        "the subscriber must be a Pyro proxy, or the URI of a Pyro object; an object that is to be "
        "called back must be registered in its program's daemon first"
    )


def _is_proper(uri: str) -> bool:
    """Whether it can stand in a log and in statistics."""
    return len(uri) <= 1000 and uri.isprintable()


def _is_sequence(value: Any, length: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == length
