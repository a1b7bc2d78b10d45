"""URIs and proxies of Pyro5 in a message."""

from __future__ import annotations

import msgpack
import pytest
from Pyro5.client import Proxy
from Pyro5.core import URI

from pyro_events.codec import values as M
from pyro_events.codec.message import decode, encode
from pyro_events.errors import UnsupportedTypeError

pytestmark = pytest.mark.usefixtures("strange_tables")


@pytest.mark.parametrize(
    "uri", ["PYRO:x@localhost:99", "PYRO:x@./u:sock", "PYRO:x@[::1]:5", "PYRONAME:a.b", "PYROMETA:a,b@h:1"]
)
def test_uri(uri: str) -> None:
    back = decode(encode([URI(uri)]))[0]
    assert type(back) is URI
    assert back.__getstate__() == URI(uri).__getstate__()


def test_a_proxy_travels_without_its_secrets() -> None:
    proxy = Proxy("PYRO:x@localhost:99")
    proxy._pyroHandshake = "open sesame"
    proxy._pyroSerializer = "marshal"
    proxy._pyroMethods = {"a", "b"}
    payload = encode(proxy)
    assert b"sesame" not in payload and b"marshal" not in payload
    back = decode(payload)
    assert type(back) is Proxy
    assert back == proxy
    assert (back._pyroMethods, back._pyroHandshake, back._pyroSerializer) == ({"a", "b"}, "hello", None)

    class OwnProxy(Proxy):  # type: ignore[misc]
        pass

    # As with Pyro5 itself: what a proxy stands for is the object, whatever the proxy's own class.
    assert type(decode(encode(OwnProxy("PYRO:x@localhost:99")))) is Proxy


def test_what_a_received_proxy_asks_for_is_ignored() -> None:
    state = ["PYRO:x@h:1", [], [], [], "open sesame", "marshal"]
    proxy = decode(msgpack.packb([M.OBJECT, "Pyro5.client.Proxy", {"state": state}]))
    assert (proxy._pyroHandshake, proxy._pyroSerializer) == ("hello", None)


def test_a_proxy_that_nobody_could_read_is_refused() -> None:
    with pytest.raises(UnsupportedTypeError, match="not the URI of a Proxy"):
        encode([Proxy("PYRO:x@" + "h" * 5000 + ":1")])
