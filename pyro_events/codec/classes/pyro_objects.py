"""Pyro5's own objects in a message: `URI` and `Proxy`.

Knows: which parts of them travel and which must not. Must not know: other classes, bytes.

A proxy stands for its object. It arrives as a plain `Proxy`, whatever its own class, without the handshake,
which may contain a secret, and without a choice of serializer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from Pyro5.client import Proxy
from Pyro5.core import URI

from ...errors import PayloadError, UnsupportedTypeError
from ...foreign_exceptions import is_signal_handlers

MAX_RESTORED_URI: Final = 4096  # far more than a host name and an object id need
_URI_NAME: Final = "Pyro5.core.URI"
_PROXY_NAME: Final = "Pyro5.client.Proxy"


def describe_pyro_object(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Name and state of a URI or a proxy, None for anything else.

    Raises UnsupportedTypeError if no reader could accept it.
    """
    if type(value) is URI:
        name, state = _URI_NAME, {"state": value.__getstate__()}
    elif isinstance(value, Proxy):
        name, state = _PROXY_NAME, {"state": (*value.__getstate__()[:4], "hello", None)}
    else:
        return None
    try:
        PYRO_OBJECTS[name](state)
    except Exception as error:
        if is_signal_handlers(error):
            raise
        raise UnsupportedTypeError(f"it cannot be made again: {error}") from None
    return name, state


def _restore_uri(state: Mapping[str, Any]) -> URI:
    protocol, name, sockname, host, port = state["state"]
    names = set(name) if protocol == "PYROMETA" else {name}
    if (
        protocol not in ("PYRO", "PYRONAME", "PYROMETA")
        or not all(isinstance(text, str) for text in (*names, sockname or "", host or ""))
        or not (port is None or type(port) is int)
    ):
        raise PayloadError("not the state of a URI")
    uri = URI.__new__(URI)
    uri.__setstate__((protocol, names if protocol == "PYROMETA" else name, sockname, host, port))
    return uri


def _restore_proxy(state: Mapping[str, Any]) -> Proxy:
    uri, *names = state["state"][:4]
    if not all(isinstance(name, str) for name in (uri, *names[0], *names[1], *names[2])):
        raise PayloadError("not the state of a Proxy")
    # Pyro5's expression for a URI takes quadratic time when there is a line break.
    if len(uri) > MAX_RESTORED_URI or "\n" in uri:
        raise PayloadError("not the URI of a Proxy")
    proxy = Proxy.__new__(Proxy)
    # The sender must not choose what this program says in the handshake, or the serializer.
    proxy.__setstate__((uri, *names, "hello", None))
    return proxy


PYRO_OBJECTS: Final[dict[str, Callable[[Mapping[str, Any]], Any]]] = {
    _URI_NAME: _restore_uri,
    _PROXY_NAME: _restore_proxy,
}
