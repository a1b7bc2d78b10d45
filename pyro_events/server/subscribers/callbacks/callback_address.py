"""Callback address: what a subscribing call says about its subscriber.

Knows: proxies and URIs in the form that any serializer gives them, and where the service may connect. Must
not know: subscriptions, deliveries, or how a call arrived.

Of a proxy, only its object id, its port and the methods of its object are used; its host only as the rules
below allow. Its serializer, its handshake data and a unix socket are never used.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final, NamedTuple

import Pyro5.errors
from Pyro5.client import Proxy
from Pyro5.core import URI

from ....transport.addresses import check_uri, format_address
from ...objects import Caller

_HOST_NAME: Final = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I | re.A
)


class Callback(NamedTuple):
    """Where the service connects to a subscriber.

    address: an IP address and a port. uri: its canonical name. certified_name: the host that its certificate
    must name if TLS is used.
    """

    address: tuple[str, int]
    object_id: str
    uri: str
    certified_name: str


def read_subscriber(subscriber: Any, caller_host: str, allowed: frozenset[str]) -> Callback:
    """The callback address of a call's subscriber.

    subscriber: a Proxy, a URI, the text of one, or the dictionary that a serializer makes of them.
    caller_host: the address that the call came from, where the service will connect, unless the URI's host is
    one of `allowed` (IP addresses). Raises TypeError or ValueError.
    """
    uri, methods = _identity(subscriber)
    check_uri(uri)
    if methods and not {"event", "events"} & methods:
        raise TypeError(
            f"the object of {uri} cannot be a subscriber: it exposes no method `event`; "
            "give it one, with Pyro5's @expose"
        )
    try:
        parsed = URI(uri)
    except (Pyro5.errors.PyroError, TypeError):
        raise ValueError(
            f"{uri!r} is not a Pyro URI; a subscriber's looks like PYRO:object@host:port"
        ) from None
    if parsed.protocol != "PYRO" or parsed.sockname or not parsed.port:
        raise ValueError(
            f"{uri!r} cannot be called back; a subscriber needs a URI like PYRO:object@host:port"
        )
    if not 0 < parsed.port < 65536:
        raise ValueError(f"{uri!r} cannot be called back: {parsed.port} is not a port")
    host = _numeric(parsed.host)
    address = host if host in allowed else caller_host, parsed.port
    canonical = f"PYRO:{parsed.object}@{format_address(*address)}"
    return Callback(address, parsed.object, canonical, _certified_name(parsed.host, address[0]))


def _certified_name(host: str, address: str) -> str:
    """The name that a subscriber gives to its host; if it has none, the address that is connected to.

    The name comes from the subscribing call, which came over TLS too. It is not looked up; it must only be in
    the certificate of the peer at that address.
    """
    proper = len(host) <= 253 and _HOST_NAME.fullmatch(host) and _numeric(host) is None
    return host if proper else address


def names_of(subscriber: Any, caller: Caller, allowed: frozenset[str]) -> list[str]:
    """The canonical names that a subscriber may have, the likeliest first; errors as above.

    Only a client that has proved the passphrase may mean a subscriber at any other host.
    """
    callback = read_subscriber(subscriber, caller.host, allowed)
    host = _numeric(URI(_identity(subscriber)[0]).host) if caller.proved else None
    elsewhere = read_subscriber(subscriber, host, allowed) if host else callback
    return [callback.uri] if elsewhere == callback else [callback.uri, elsewhere.uri]


def _numeric(host: str) -> str | None:
    """`host` if it is an IP address: names are not looked up."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _identity(subscriber: Any) -> tuple[str, frozenset[str]]:
    """The URI of a subscriber, and its known methods, if any are known."""
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


def _is_sequence(value: Any, length: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == length
