"""How deep a message may nest: written and read, whatever it contains."""

from __future__ import annotations

from typing import Any

import pytest
from codec_values import arrives

from pyro_events.codec import depth as depth_module
from pyro_events.codec import message as message_module
from pyro_events.codec.message import decode, encode, encode_plain
from pyro_events.errors import PayloadError, UnsupportedTypeError


def nested(depth: int, wrap: Any) -> Any:
    value = wrap(None)
    for _ in range(depth - 1):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v}, lambda v: ["x" * 5000, v]]
)
def test_depth(wrap: Any) -> None:
    arrives(nested(64, wrap))
    for depth in (65, 66, 500, 600, 900):
        with pytest.raises(UnsupportedTypeError, match="nested deeper than 64 levels"):
            encode(nested(depth, wrap))


@pytest.mark.parametrize(
    "opening", [b"\x91", b"\x81\x01", b"\x81\xa1a", b"\x92\xc7\x00\xfe", b"\xdd\x00\x00\x00\x01"]
)
def test_depth_when_reading(opening: bytes) -> None:
    assert decode(opening * 64 + b"\x01") is not None
    for depth in (65, 500, 1023, 1024, 1025, 5000, 200_000):
        with pytest.raises(PayloadError, match="nested deeper than 64"):
            decode(opening * depth + b"\x01")


@pytest.mark.parametrize("hurt", [lambda p: p + b"\x01", lambda p: p[:-1], lambda p: b"\x91" * 70 + p])
def test_a_bad_payload_leaves_nothing_behind_in_the_unpacker(hurt: Any) -> None:
    payload = encode(["x" * 5000, [1, 2]])
    deep = b"\x91" * 65 + payload
    for _ in range(3):
        with pytest.raises(PayloadError):
            decode(hurt(payload))
        assert decode(payload) == ["x" * 5000, [1, 2]]
        with pytest.raises(PayloadError, match="nested deeper"):
            decode(deep)


def test_large_buffers_are_not_kept() -> None:
    for size in (2**20, 2**22):
        message_module._idle.clear()
        depth_module._idle.clear()
        arrives([bytes(size)])
        assert (len(message_module._idle), len(depth_module._idle)) == ((1, 1) if size == 2**20 else (0, 0))


def test_depth_of_half_surrogates_and_of_class_tags() -> None:
    with pytest.raises(UnsupportedTypeError, match="nested deeper"):
        encode(nested(65, lambda v: ["\ud800", v]))
    with pytest.raises(UnsupportedTypeError, match="nested deeper"):
        encode_plain(nested(33, lambda v: {"__class__": "x.Y", "v": v}))
    with pytest.raises(UnsupportedTypeError, match="nested deeper"):
        encode_plain(nested(80, lambda v: {"v": v}))


def test_messages_that_contain_themselves_are_refused() -> None:
    by_list: list[Any] = []
    by_list += [by_list, by_list]
    by_dict: dict[str, Any] = {}
    by_dict["self"] = (by_dict,)
    for message in (by_list, by_dict):
        with pytest.raises(UnsupportedTypeError, match="contains itself"):
            encode(message)
        with pytest.raises(UnsupportedTypeError, match="contains itself"):
            encode_plain(message)


def test_the_unpackers_stack_was_measured() -> None:
    assert len(depth_module._FILLING) >= 100
    assert set(depth_module._FILLING) == {0x91}
