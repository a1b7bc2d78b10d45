"""Values of the standard library, each type with what is special about it."""

from __future__ import annotations

import collections
import datetime as dt
import io
import os
import pathlib
import struct
import uuid
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import pytest
from codec_values import arrives, brought_back, quick, same

from pyro_events.codec import values
from pyro_events.codec import values as M
from pyro_events.codec.message import decode, encode
from pyro_events.errors import PayloadError, UnsupportedTypeError

pytestmark = pytest.mark.usefixtures("strange_tables")


def test_named_utc_stays_the_singleton() -> None:
    assert decode(encode(dt.timezone.utc)) is dt.timezone.utc


def test_bytearray_and_memoryview_arrive_as_bytes() -> None:
    assert decode(encode([bytearray(b"ab"), memoryview(b"cd")])) == [b"ab", b"cd"]
    with pytest.raises(UnsupportedTypeError, match=r"<class 'memoryview'> at message\[0\]"):
        encode([memoryview(b"abcdef")[::2]])


def test_a_path_of_another_platform_arrives_pure() -> None:
    foreign = 3 if os.name != "nt" else 2
    back = decode(msgpack.packb([values.PATH, foreign, "x/y"]))
    assert type(back) is (pathlib.PureWindowsPath if os.name != "nt" else pathlib.PurePosixPath)


def test_a_zone_without_a_key_is_refused() -> None:
    with (
        open("/usr/share/zoneinfo/UTC", "rb")
        if os.path.exists("/usr/share/zoneinfo/UTC")
        else _tz_file() as file
    ):
        zone = ZoneInfo.from_file(file)
    with pytest.raises(UnsupportedTypeError, match="no key"):
        encode(zone)


def _tz_file() -> Any:
    import importlib.resources

    return importlib.resources.files("tzdata.zoneinfo").joinpath("UTC").open("rb")


def test_a_number_costs_what_its_bytes_cost() -> None:
    quick(msgpack.packb([M.INT, b"\x7f" * 4_000_000]))
    quick(msgpack.packb([M.DECIMAL, "9" * 1_000_000]))
    quick(msgpack.packb([M.SET, [M.DECIMAL, "1E+999999999"], 1, [M.FRACTION, 1, 3]]))
    quick(msgpack.packb([M.RANGE, 0, [M.INT, b"\x7f" * 1000], 1]))


def test_uuid_flavours() -> None:
    arrives([uuid.UUID(int=5), uuid.uuid4()])


def test_collections() -> None:
    for value in (
        collections.OrderedDict([("b", 1), ("a", (2,))]),
        collections.Counter({"a": 5, "b": -1, "c": "text"}),
        collections.deque([1, (2,)]),
        collections.deque([1, 2], 2),
        collections.deque([], 0),
        [collections.OrderedDict({(1, 2): 3})],
    ):
        assert same(brought_back(value), value)
    back = decode(encode(collections.defaultdict(list, {"a": [1]})))
    assert type(back) is collections.defaultdict
    assert (back.default_factory, back) == (None, {"a": [1]})
    kept = collections.OrderedDict(a=1)
    kept.note = 5  # type: ignore[attr-defined]
    with pytest.raises(UnsupportedTypeError, match="it has attributes, which would be lost"):
        encode(kept)


@pytest.mark.parametrize(
    "document",
    [
        [M.ORDERED_DICT],
        [M.ORDERED_DICT, [1]],
        [M.DEFAULT_DICT, {}, {}],
        [M.COUNTER, [[1, 2]]],
        [M.DEQUE],
        [M.DEQUE, 1, 2, 3],
        [M.DEQUE, -1],
        [M.DEQUE, "x"],
        [M.DEQUE, 2**63],
        [M.UUID_, bytes(16), 7],
    ],
    ids=repr,
)
def test_senseless_collections(document: Any) -> None:
    with pytest.raises(PayloadError):
        decode(msgpack.packb(document))


def test_a_zone_from_a_file_is_refused_with_a_key_too() -> None:
    # The smallest file of a zone: version 1, one type of local time, without transitions.
    content = (
        b"TZif" + bytes(16) + struct.pack(">6I", 0, 0, 0, 0, 1, 4) + struct.pack(">iBB", 0, 0, 0) + b"UTC\0"
    )
    zone = ZoneInfo.from_file(io.BytesIO(content), key="My/Zone")
    with pytest.raises(UnsupportedTypeError, match="read from a file"):
        encode([zone])
    assert decode(encode(ZoneInfo.no_cache("Europe/Amsterdam"))).key == "Europe/Amsterdam"


def test_how_safe_a_uuid_is() -> None:
    for safe in uuid.SafeUUID:
        value = uuid.UUID(bytes=bytes(16), is_safe=safe)
        back = decode(encode(value))
        assert (back, back.is_safe) == (value, safe)
