"""The other side of the wire: Pyro5's own serializers and frames, for the tests of `wire/`.

Knows: what stock programs write and how they read. Must not know: what is said.
"""

from __future__ import annotations

from typing import Any

import Pyro5.protocol as pyro
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from Pyro5.serializers import serializers

from pyro_events.wire.frames import Frame

IDS = {"serpent": 1, "json": 3, "msgpack": 4}
NAMES = sorted(IDS)
MARSHAL = 2

thorough = settings(deadline=None, max_examples=50)
each_serializer = pytest.mark.parametrize("name", NAMES)


def frame(name: str, payload: bytes, flags: int = 0, kind: int = pyro.MSG_INVOKE) -> Frame:
    """A frame as the reader hands it over."""
    return Frame(kind, flags, IDS[name], 7, b"", payload)


def changed(frame: Frame, **fields: Any) -> Frame:
    """Another frame, with some other fields."""
    names = ("type", "flags", "serializer_id", "seq", "annotations", "payload")
    return Frame(*[fields[name] if name in fields else getattr(frame, name) for name in names])


def dumped(value: Any, name: str = "msgpack") -> bytes:
    """A value as a stock program writes it."""
    data: bytes = serializers[name].dumps(value)
    return data


def received(data: bytes) -> pyro.ReceivingMessage:
    """One of our frames as Pyro5 reads it."""
    return pyro.ReceivingMessage(data[:40], data[40:])


def result_of(data: bytes) -> Any:
    """What a stock program makes of an answer, by the serializer that its frame names."""
    message = received(data)
    name = next(name for name, number in IDS.items() if number == message.serializer_id)
    return serializers[name].loads(message.data)


# Plain values that every serializer keeps, except for tuples, which json and msgpack make lists.
plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
