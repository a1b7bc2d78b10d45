"""Where the service may call back."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
import serpent
from Pyro5.api import URI, Proxy
from Pyro5.serializers import serializers

from pyro_events.server.objects import Caller
from pyro_events.server.subscribers.callbacks.callback_address import names_of, read_subscriber

NOBODY: frozenset[str] = frozenset()


def proxy_state(uri: str, methods: object = ()) -> dict[str, Any]:
    return {"__class__": "Pyro5.client.Proxy", "state": [uri, [], methods, [], "hello", None]}


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
@pytest.mark.parametrize("kind", [Proxy, URI])
def test_what_stock_serializers_make_of_a_proxy_and_a_uri(serializer: str, kind: Any) -> None:
    value = kind("PYRO:obj@1.2.3.4:5")
    written = serializers[serializer].dumps(value)
    plain: Any
    if serializer == "serpent":
        plain = serpent.loads(written)
    elif serializer == "json":
        plain = json.loads(written)
    else:
        plain = msgpack.unpackb(written)
    for form in (plain, value, str(value._pyroUri if kind is Proxy else value)):
        found = read_subscriber(form, "9.9.9.9", NOBODY)
        assert found[:3] == (("9.9.9.9", 5), "obj", "PYRO:obj@9.9.9.9:5")


def test_the_host_is_the_callers_unless_another_is_allowed() -> None:
    allowed = frozenset({"1.2.3.4", "::1", "example.org"})
    assert read_subscriber("PYRO:o@1.2.3.4:5", "9.9.9.9", allowed).address == ("1.2.3.4", 5)
    assert read_subscriber("PYRO:o@1.2.3.5:5", "9.9.9.9", allowed).address == ("9.9.9.9", 5)
    # No name is looked up, not even an allowed one.
    assert read_subscriber("PYRO:o@example.org:5", "9.9.9.9", allowed).address == ("9.9.9.9", 5)
    found = read_subscriber("PYRO:o@[::1]:5", "9.9.9.9", allowed)
    assert (found.address, found.uri) == (("::1", 5), "PYRO:o@[::1]:5")
    found = read_subscriber("PYRO:o@localhost:5", "::1", NOBODY)
    assert (found.address, found.uri) == (("::1", 5), "PYRO:o@[::1]:5")


def test_methods_are_looked_at_where_they_are_known() -> None:
    uri = "PYRO:o@h:5"
    for methods in (["event"], ("events", "x"), {"event"}, [], (), ["event", 5], 7):
        assert read_subscriber(proxy_state(uri, methods), "h", NOBODY).object_id == "o"
    with pytest.raises(TypeError, match="no method `event`"):
        read_subscriber(proxy_state(uri, ["listen"]), "h", NOBODY)


@pytest.mark.parametrize(
    "value", [5, None, b"PYRO:o@h:5", [], {}, object(), proxy_state("x")["state"], {"__class__": []}]
)
def test_another_type_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="must be a Pyro proxy"):
        read_subscriber(value, "h", NOBODY)


@pytest.mark.parametrize(
    "uri",
    ["", "x", "PYRO:", "PYRO:o", "PYRO:o@h", "PYRO:o@h:0", "PYRO:o@h:70000", "PYRO:o@./u:/s", "PYRONAME:o"],
)
def test_a_uri_that_cannot_be_called_is_a_value_error(uri: str) -> None:
    with pytest.raises(ValueError):
        read_subscriber(uri, "h", NOBODY)
    with pytest.raises(ValueError):
        read_subscriber(proxy_state(uri), "h", NOBODY)


HERE, THERE = "192.0.2.1", "192.0.2.2"


def test_an_allowed_host_in_another_spelling() -> None:
    allowed = frozenset({"2001:db8::1"})
    assert read_subscriber("PYRO:o@[2001:DB8::0:1]:5", HERE, allowed).address == ("2001:db8::1", 5)


@pytest.mark.parametrize(
    ("proved", "names"),
    [(False, [f"PYRO:o@{HERE}:5"]), (True, [f"PYRO:o@{HERE}:5", f"PYRO:o@{THERE}:5"])],
)
def test_who_means_which_subscriber(proved: bool, names: list[str]) -> None:
    assert names_of(f"PYRO:o@{THERE}:5", Caller(HERE, 4, proved), frozenset()) == names
    assert names_of(f"PYRO:o@{HERE}:5", Caller(HERE, 4, proved), frozenset()) == names[:1]
    assert names_of("PYRO:o@localhost:5", Caller(HERE, 4, proved), frozenset()) == names[:1]
