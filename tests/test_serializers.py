"""What of ours crosses Pyro5's own wire."""

from __future__ import annotations

from typing import Any

import Pyro5.api
import pytest
from Pyro5.serializers import JsonSerializer, MsgpackSerializer, SerpentSerializer

from pyro_events import errors
from pyro_events.codec.message import encode
from pyro_events.event import Event
from pyro_events.serializers import register_with_pyro
from pyro_events.transport.authenticated_proxy import IdentProxy


@pytest.mark.parametrize(
    "serializer",
    [SerpentSerializer(), JsonSerializer(), MsgpackSerializer()],
    ids=("serpent", "json", "msgpack"),
)
@pytest.mark.parametrize("name", errors.__all__)
def test_our_errors_cross_pyros_own_wire(serializer: Any, name: str) -> None:
    register_with_pyro()
    register_with_pyro()
    cls = getattr(errors, name)
    error = cls("what was wrong")
    error.detail = 5
    back = serializer.loads(serializer.dumps(error))
    assert type(back) is cls
    assert (back.args, back.detail) == (error.args, 5)
    assert str(back) == "what was wrong"


def test_registering_leaves_pyros_configuration_alone() -> None:
    before = Pyro5.api.config.as_dict()
    register_with_pyro()
    assert Pyro5.api.config.as_dict() == before


@pytest.mark.parametrize("serializer", [SerpentSerializer(), MsgpackSerializer()], ids=["serpent", "msgpack"])
def test_across_pyros_own_wire(serializer: Any) -> None:
    register_with_pyro()
    event = Event.from_payload("x", 5.5, 3, None, encode({1: ("a", b"\0")}))
    back = serializer.loads(serializer.dumps([event]))[0]
    assert type(back) is Event
    assert back == event
    assert back.msg == {1: ("a", b"\0")}


def test_an_event_in_a_message() -> None:
    register_with_pyro()
    event = Event("x", (1, 2), 5.5, 3)
    outer = Event.from_payload("y", 6.5, 1, 0, encode([event]))
    assert outer.msg == [event]


def test_a_proxy_of_a_class_of_ours_arrives_as_pyros() -> None:
    register_with_pyro()
    serializer = MsgpackSerializer()
    with IdentProxy("PYRO:object@127.0.0.1:9", ident="secret") as proxy:
        back = serializer.loads(serializer.dumps(proxy))
    assert type(back) is Pyro5.api.Proxy
    assert back._pyroUri == proxy._pyroUri
