"""URIs and proxies: which parts travel, and what is not taken from a stranger."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from Pyro5.client import Proxy
from Pyro5.core import URI
from raising_handler import needs_signals, raising

from pyro_events.codec.classes.pyro_objects import MAX_RESTORED_URI, PYRO_OBJECTS, describe_pyro_object
from pyro_events.errors import PayloadError, UnsupportedTypeError

URI_NAME, PROXY_NAME = "Pyro5.core.URI", "Pyro5.client.Proxy"
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


def back(value: Any) -> Any:
    described = describe_pyro_object(value)
    assert described is not None
    name, state = described
    return PYRO_OBJECTS[name](state)


@given(names, st.sampled_from(["localhost", "[::1]", "127.0.0.1"]), st.integers(1, 65535))
def test_uris_and_proxies_arrive_equal(name: str, host: str, port: int) -> None:
    for uri in (f"PYRO:{name}@{host}:{port}", f"PYRONAME:{name}@{host}:{port}", f"PYRONAME:{name}"):
        got = back(URI(uri))
        assert type(got) is URI
        assert got.__getstate__() == URI(uri).__getstate__()
        proxy = back(Proxy(uri))
        assert type(proxy) is Proxy
        assert proxy == Proxy(uri)


@pytest.mark.parametrize("uri", ["PYRO:x@./u:sock", "PYROMETA:a,b@h:1", "PYROMETA:a"])
def test_uris_of_other_kinds(uri: str) -> None:
    assert back(URI(uri)).__getstate__() == URI(uri).__getstate__()


@pytest.mark.parametrize("value", [None, "PYRO:x@h:1", object(), URI])
def test_anything_else_is_left_to_others(value: Any) -> None:
    assert describe_pyro_object(value) is None


def test_a_proxy_travels_without_its_secrets() -> None:
    proxy = Proxy("PYRO:x@localhost:99")
    proxy._pyroHandshake = "open sesame"
    proxy._pyroSerializer = "marshal"
    proxy._pyroMethods = {"a", "b"}
    described = repr(describe_pyro_object(proxy))
    assert "sesame" not in described and "marshal" not in described
    got = back(proxy)
    assert (got._pyroMethods, got._pyroHandshake, got._pyroSerializer) == ({"a", "b"}, "hello", None)


def test_a_proxy_of_any_class_arrives_as_pyros() -> None:
    class OwnProxy(Proxy):  # type: ignore[misc]
        pass

    # As with Pyro5 itself: what a proxy stands for is the object, whatever the proxy's own class.
    assert type(back(OwnProxy("PYRO:x@localhost:99"))) is Proxy


def test_what_a_received_proxy_asks_for_is_ignored() -> None:
    state = {"state": ["PYRO:x@h:1", [], [], [], "open sesame", "marshal"]}
    proxy = PYRO_OBJECTS[PROXY_NAME](state)
    assert (proxy._pyroHandshake, proxy._pyroSerializer) == ("hello", None)


def test_a_proxy_that_no_reader_would_accept_is_refused_when_it_is_written() -> None:
    proxy = Proxy("PYRO:x@" + "h" * (MAX_RESTORED_URI - len("PYRO:x@:1")) + ":1")
    assert back(proxy) == proxy
    longer = Proxy("PYRO:x@" + "h" * MAX_RESTORED_URI + ":1")
    with pytest.raises(UnsupportedTypeError, match="it cannot be made again: not the URI of a Proxy"):
        describe_pyro_object(longer)


@pytest.mark.parametrize(
    "state",
    [
        ["HTTP", "x", None, "h", 1],
        ["PYRO", 5, None, "h", 1],
        ["PYRO", "x", 5, "h", 1],
        ["PYRO", "x", None, 5, 1],
        ["PYRO", "x", None, "h", "1"],
        ["PYRO", "x", None, "h", True],
        ["PYROMETA", [5], None, "h", 1],
    ],
    ids=repr,
)
def test_a_state_that_is_not_a_uri(state: Any) -> None:
    with pytest.raises(PayloadError, match="not the state of a URI"):
        PYRO_OBJECTS[URI_NAME]({"state": state})


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ([5, [], [], []], "not the state of a Proxy"),
        (["PYRO:x@h:1", [5], [], []], "not the state of a Proxy"),
        (["PYRO:x@h:1", [], [], [5]], "not the state of a Proxy"),
        (["PYRO:" + "@a" * 20_000, [], [], []], "not the URI of a Proxy"),
        (["PYRO:x@h\n:1", [], [], []], "not the URI of a Proxy"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_state_that_is_not_a_proxy(state: Any, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        PYRO_OBJECTS[PROXY_NAME]({"state": state})


@needs_signals
def test_what_a_signals_handler_raises_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    enough = ValueError("enough")
    with raising(enough) as interrupt:
        monkeypatch.setitem(PYRO_OBJECTS, URI_NAME, interrupt)
        with pytest.raises(ValueError) as caught:
            describe_pyro_object(URI("PYRO:x@h:1"))
    assert caught.value is enough
