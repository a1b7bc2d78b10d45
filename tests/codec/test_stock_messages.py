"""What stock Pyro5 programs publish, by each of its serializers, through the whole codec."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
import serpent
from codec_values import same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from Pyro5.client import Proxy
from Pyro5.core import URI
from Pyro5.serializers import JsonSerializer, MsgpackSerializer

from pyro_events.codec.message import decode, encode_plain
from pyro_events.errors import PayloadError

slow = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plain_twice(value: Any) -> list[Any]:
    """`value` as the three serializers of a stock program bring it."""
    by_serpent = serpent.loads(serpent.dumps(value, module_in_classname=True))
    by_json = json.loads(JsonSerializer().dumps(value))
    by_msgpack = msgpack.unpackb(MsgpackSerializer().dumps(value), strict_map_key=False)
    return [
        decode(encode_plain(by_serpent)),
        decode(encode_plain(by_json, serpent=False)),
        decode(encode_plain(by_msgpack, serpent=False)),
    ]


stock_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@slow
@given(stock_plain)
def test_plain_data_of_stock_programs(value: Any) -> None:
    try:
        serpent.dumps(value)
    except UnicodeEncodeError:
        return
    for back in plain_twice(value):
        assert same(value, back)


def test_class_tagged_dicts() -> None:
    unknown = {"__class__": "their.Reading", "value": [1, {"__class__": "x.Y"}], "t": (1,)}
    assert decode(encode_plain([unknown])) == [unknown]
    assert decode(encode_plain({"__class__": 5})) == {"__class__": 5}
    assert decode(encode_plain({"__class__": "Pyro5.server.Daemon", "state": []}))["state"] == []
    for back in plain_twice([ValueError("x"), URI("PYRO:a@b:1"), Proxy("PYRO:c@d:2")]):
        assert [type(item) for item in back] == [ValueError, URI, Proxy]
        assert back[0].args == ("x",)
        assert back[1:] == [URI("PYRO:a@b:1"), Proxy("PYRO:c@d:2")]
    with pytest.raises(PayloadError, match="cannot rebuild"):
        decode(encode_plain({"__class__": "ValueError", "__exception__": True}))
