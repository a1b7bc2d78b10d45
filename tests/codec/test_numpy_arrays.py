"""Arrays and scalars of numpy arrive as they were, and nothing else of the program with them."""

from __future__ import annotations

import sys
from typing import Any

import msgpack
import numpy as np
import pytest
from codec_values import Odd, brought_back

from pyro_events.codec import values as M
from pyro_events.codec.message import decode, encode
from pyro_events.errors import PayloadError, UnsupportedTypeError

pytestmark = pytest.mark.usefixtures("strange_tables")


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype="<f4").reshape(3, 4),
        np.arange(12, dtype=">i2").reshape(3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(20)[::3],
        np.array(5.5),
        np.zeros((0, 3)),
        np.zeros((2, 0, 3), "M8[s]"),
        np.array(["2024-01-01", "NaT"], "M8[ns]"),
        np.array([1, 2], "m8[10s]"),
        np.array(["a", "bc"]),
        np.array([b"a", b"bc\0"]),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array([1.5], "f2"),
        np.array([1.5], np.longdouble),
        np.array([(1, 2.5)], [("a", "<i4"), ("b", ">f8")]),
        np.zeros(3, [("a", "i1"), ("m", "<f4", (2, 2)), ("in", [("x", "U3")])]),
        np.zeros(2, np.dtype("i1,i4", align=True)),
        np.zeros(2, [(("title", "a"), "i4")]),
        np.zeros(2, "V5"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_numpy_arrays(array: Any) -> None:
    back = decode(encode([array]))[0]
    assert type(back) is np.ndarray
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert str(back) == str(array)  # what stands between fields is not carried
    back[...] = array  # it can be written to


@pytest.mark.parametrize(
    "scalar",
    [
        np.float32(1.5),
        np.float64(-0.0),
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.bool_(True),
        np.complex64(1 + 2j),
        np.longdouble(1.5),
        np.datetime64("2024-01-01T00:00:00.123456789"),
        np.datetime64("NaT", "s"),
        np.timedelta64(5, "h"),
        np.str_(""),
        np.str_("a\0"),
        np.bytes_(b"a\0"),
        np.array([(1, 2.5)], [("a", "<i4"), ("b", ">f8")])[0],
    ],
    ids=repr,
)
def test_numpy_scalars(scalar: Any) -> None:
    back = decode(encode((scalar,)))[0]
    assert type(back) is type(scalar)
    assert back.dtype == scalar.dtype
    assert repr(back) == repr(scalar)


@pytest.mark.parametrize(
    "array",
    [
        np.array([None]),
        np.zeros(1, [("a", "O")]),
        np.zeros(3, []),
        np.zeros(1, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2], "itemsize": 8}),
        np.ma.array([1]),
        np.zeros((1, 1)).view(np.matrix),
    ],
    ids=lambda array: f"{type(array).__name__}-{array.dtype}",
)
def test_numpy_arrays_that_cannot_be_carried(array: Any) -> None:
    with pytest.raises(UnsupportedTypeError, match=r"at message\[0\]"):
        encode([array])


def test_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = encode(np.arange(3))
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(PayloadError, match="numpy is not installed"):
        decode(payload)
    with pytest.raises(UnsupportedTypeError):
        encode(Odd())


ALIGNED = np.dtype([("a", "i1"), ("b", "<f8"), ("c", [("x", "i1"), ("y", "<i4")], (2,))], align=True)


def dirty(dtype: Any, count: int) -> Any:
    """An array whose every byte, the ones between fields too, is 0xAA."""
    return np.frombuffer(b"\xaa" * (np.dtype(dtype).itemsize * count), dtype).copy()


@pytest.mark.parametrize(
    "take", [lambda a: a, lambda a: a[::2], lambda a: a[::-1], lambda a: a.reshape(2, 2).T]
)
def test_no_byte_between_fields_leaves_the_program(take: Any) -> None:
    array = take(dirty(ALIGNED, 4))
    for message in (array, [array], array.flat[0], array.view(np.recarray)):
        payload = encode(message)
        used = array.dtype.fields
        items = 1 if np.ndim(message) == 0 and not isinstance(message, list) else array.size
        assert payload.count(b"\xaa") == items * (1 + 8 + 2 * (1 + 4)), used
    back = decode(encode(array))
    assert back.dtype == array.dtype and back.shape == array.shape
    assert back["b"].tobytes() == array["b"].tobytes() and back["c"]["y"].tolist() == array["c"]["y"].tolist()


@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble, np.dtype(np.longdouble).newbyteorder()])
def test_no_byte_that_fills_up_a_long_double_leaves_the_program(dtype: Any) -> None:
    if np.finfo(np.longdouble).nmant != 63:
        pytest.skip("long doubles have no padding here")
    array = np.array([1.5, -2.25], dtype)
    raw = array.view(np.uint8).reshape(2, -1)
    clean = raw.copy()
    filler = np.ones(raw.shape[1], bool)
    for start in range(0, raw.shape[1], 16):
        front = 6 if np.dtype(dtype).byteorder == ">" else 0
        filler[start + front : start + front + 10] = False
    raw[:, filler] = 0xAA
    clean[:, filler] = 0
    for message in (array, array[0]):
        assert b"\xaa" not in encode([message])
    back = decode(encode(array))
    assert back.dtype == array.dtype and (back == array).all()
    assert back.view(np.uint8).tobytes() == clean.tobytes()
    assert decode(encode(np.zeros(2, [("a", dtype), ("b", "i1")]))).dtype.names == ("a", "b")


def test_records_stay_records() -> None:
    fields = [("name", "U5"), ("value", "<f8")]
    records = np.rec.array([("a", 1.0), ("b", 2.0)], dtype=fields)
    back = brought_back(records)
    assert (back.dtype, back.dtype.type, back.value.tolist()) == (records.dtype, np.record, [1.0, 2.0])
    assert type(brought_back(records[0])) is np.record
    assert brought_back(records[0]).name == "a"
    plain = records.view(np.ndarray).astype(records.dtype)
    assert (type(decode(encode(plain))), decode(encode(plain)).dtype.type) == (np.ndarray, plain.dtype.type)
    assert decode(encode(np.zeros(2, fields))).dtype.type is np.void
    assert type(brought_back(np.zeros(3, "i4").view(np.recarray))) is np.recarray
    large = np.zeros(9000, records.dtype).view(np.recarray)
    from pyro_events.codec.message import encode_shared

    assert type(decode(bytes(encode_shared(large)))) is np.recarray
    nested = np.zeros(1, [("a", np.dtype((np.record, fields)))])
    try:
        assert brought_back(nested).dtype["a"].type is np.record
    except UnsupportedTypeError as error:
        assert "its dtype is" in str(error)


@pytest.mark.parametrize(
    "description",
    [[M.TUPLE, "record"], [M.TUPLE, "record", "|O8"], [M.TUPLE, "x", "<f4"], [M.TUPLE, "recarray", [5]]],
)
def test_senseless_records(description: Any) -> None:
    with pytest.raises(PayloadError):
        decode(msgpack.packb([M.ARRAY, description, [1], b"1234"]))


def test_a_dtype_with_metadata_arrives_without_a_warning() -> None:
    array = np.zeros(2, np.dtype("<f8", metadata={"unit": "K"}))
    assert (decode(encode(array)).dtype, decode(encode(array)).tolist()) == (np.dtype("<f8"), [0.0, 0.0])
