"""numpy's arrays and scalars as tagged arrays, and back: without msgpack and the rest of the codec."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising_handler import needs_signals, raising

from pyro_events.codec.numpy_arrays import NoNumpyError, carries, numpy_parts, read_array, read_scalar
from pyro_events.codec.values import ARRAY, SCALAR
from pyro_events.errors import PayloadError, UnsupportedTypeError

DTYPES = ["<f4", ">i2", "<u8", "|b1", "<c16", "|S3", "<U2", "<M8[s]", "<m8[10us]", "<f2", "|V5"]


def plain(part: Any) -> Any:
    """A part as a message carries it: views and bytearrays arrive as bytes."""
    return bytes(part) if isinstance(part, memoryview) else part


def back(value: Any) -> Any:
    parts = numpy_parts(value)
    assert parts is not None
    reader = {ARRAY: read_array, SCALAR: read_scalar}[parts[0]]
    return reader([plain(part) for part in parts])


def raw(value: Any) -> bytes:
    """The bytes that leave the program for `value`."""
    parts = numpy_parts(value)
    assert parts is not None
    return bytes(parts[-1])


@given(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3), st.data())
def test_any_plain_array_arrives(dtype: str, shape: list[int], data: st.DataObject) -> None:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    content = data.draw(st.binary(min_size=size, max_size=size))
    if dtype == "|b1":
        content = bytes(byte & 1 for byte in content)
    if dtype == "<U2":
        content = bytes(byte * (number % 4 == 0) for number, byte in enumerate(content))
    array = np.frombuffer(content, dtype).reshape(shape) if content else np.zeros(shape, dtype)
    got = back(array)
    assert type(got) is np.ndarray
    assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert got.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(20)[::3],
        np.array(5.5),
        np.zeros((2, 0, 3), "M8[s]"),
        np.array(["2024-01-01", "NaT"], "M8[ns]"),
        np.array([1.5], np.longdouble),
        np.array([(1, 2.5)], [("a", "<i4"), ("b", ">f8")]),
        np.zeros(3, [("a", "i1"), ("m", "<f4", (2, 2)), ("in", [("x", "U3")])]),
        np.zeros(2, np.dtype("i1,i4", align=True)),
        np.zeros(2, [(("title", "a"), "i4")]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_chosen_arrays(array: Any) -> None:
    got = back(array)
    assert type(got) is np.ndarray
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert str(got) == str(array)  # what stands between fields is not carried
    got[...] = array  # it can be written to


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
def test_scalars(scalar: Any) -> None:
    got = back(scalar)
    assert type(got) is type(scalar)
    assert got.dtype == scalar.dtype
    assert repr(got) == repr(scalar)


@pytest.mark.parametrize("value", [1, [1.0], "x", None, np.dtype("f4")])
def test_what_is_not_numpys_is_left_to_others(value: Any) -> None:
    assert numpy_parts(value) is None
    assert not carries(type(value))


@pytest.mark.parametrize("array", [np.ma.array([1]), np.zeros((1, 1)).view(np.matrix)], ids=type)
def test_subclasses_of_arrays_are_left_to_others(array: Any) -> None:
    assert numpy_parts(array) is None
    assert not carries(type(array))


def test_which_classes_are_carried() -> None:
    for cls in (np.ndarray, np.recarray, np.record, np.float64, np.str_, np.void):
        assert carries(cls)


def test_a_program_without_numpy_carries_and_reads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = numpy_parts(np.arange(3))
    assert parts is not None
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert not carries(np.ndarray)
    assert numpy_parts(np.arange(3)) is None
    for read, items in ((read_array, parts), (read_scalar, [SCALAR, "text"])):
        with pytest.raises(NoNumpyError, match="numpy is not installed here") as caught:
            read(items)
        assert isinstance(caught.value.__cause__, ImportError)


@pytest.mark.parametrize(
    "array",
    [
        np.array([None]),
        np.zeros(1, [("a", "O")]),
        np.zeros(3, []),
        np.zeros(1, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2], "itemsize": 8}),
    ],
    ids=lambda array: f"{array.dtype}",
)
def test_a_dtype_that_cannot_be_carried_is_named(array: Any) -> None:
    with pytest.raises(UnsupportedTypeError, match="its dtype is .*: send arrays of plain numbers"):
        numpy_parts(array)


# Bytes that belong to no field

ALIGNED = np.dtype([("a", "i1"), ("b", "<f8"), ("c", [("x", "i1"), ("y", "<i4")], (2,))], align=True)


@pytest.mark.parametrize(
    "take", [lambda a: a, lambda a: a[::2], lambda a: a[::-1], lambda a: a.reshape(2, 2).T]
)
def test_no_byte_between_fields_leaves_the_program(take: Any) -> None:
    dirty = np.frombuffer(b"\xaa" * (ALIGNED.itemsize * 4), ALIGNED).copy()
    array = take(dirty)
    for value in (array, array.flat[0], array.view(np.recarray)):
        items = array.size if np.ndim(value) else 1
        assert raw(value).count(b"\xaa") == items * (1 + 8 + 2 * (1 + 4))
    got = back(array)
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert got["b"].tobytes() == array["b"].tobytes() and got["c"]["y"].tolist() == array["c"]["y"].tolist()


@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble, np.dtype(np.longdouble).newbyteorder()])
def test_no_byte_that_fills_up_a_long_double_leaves_the_program(dtype: Any) -> None:
    if np.finfo(np.longdouble).nmant != 63:
        pytest.skip("long doubles have no padding here")
    array = np.array([1.5, -2.25], dtype)
    bytes_of = array.view(np.uint8).reshape(2, -1)
    clean = bytes_of.copy()
    filler = np.ones(bytes_of.shape[1], bool)
    for start in range(0, bytes_of.shape[1], 16):
        front = 6 if np.dtype(dtype).byteorder == ">" else 0
        filler[start + front : start + front + 10] = False
    bytes_of[:, filler] = 0xAA
    clean[:, filler] = 0
    assert b"\xaa" not in raw(array) + raw(array[0])
    got = back(array)
    assert got.dtype == array.dtype and (got == array).all()
    assert got.view(np.uint8).tobytes() == clean.tobytes()
    assert back(np.zeros(2, [("a", dtype), ("b", "i1")])).dtype.names == ("a", "b")


# Records


def test_records_stay_records() -> None:
    fields = [("name", "U5"), ("value", "<f8")]
    records = np.rec.array([("a", 1.0), ("b", 2.0)], dtype=fields)
    got = back(records)
    assert type(got) is np.recarray
    assert (got.dtype, got.dtype.type, got.value.tolist()) == (records.dtype, np.record, [1.0, 2.0])
    assert type(back(records[0])) is np.record
    assert back(records[0]).name == "a"
    view = records.view(np.ndarray).astype(records.dtype)
    assert (type(back(view)), back(view).dtype.type) == (np.ndarray, view.dtype.type)
    assert back(np.zeros(2, fields)).dtype.type is np.void
    assert type(back(np.zeros(3, "i4").view(np.recarray))) is np.recarray


def test_records_in_a_field_arrive_as_records_or_are_refused() -> None:
    nested = np.zeros(1, [("a", np.dtype((np.record, [("b", "<f4")])))])
    try:
        assert back(nested).dtype["a"].type is np.record
    except UnsupportedTypeError as error:
        assert "its dtype is" in str(error)


def test_a_dtype_with_metadata_arrives_without_a_warning() -> None:
    got = back(np.zeros(2, np.dtype("<f8", metadata={"unit": "K"})))
    assert (got.dtype, got.tolist()) == (np.dtype("<f8"), [0.0, 0.0])


# What strangers send


@pytest.mark.parametrize(
    "parts",
    [
        [],
        ["<f4", [1], b"1234", 5],
        ["<f4", [10**12], b"1234"],
        ["<f4", [-1, -1], b"1234"],
        ["<f4", [1.0], b"1234"],
        ["<f4", [1], "1234"],
        ["<f4", 1, b"1234"],
        ["<f4", [1] * 100, b"1234"],
        ["<f4", [0, 2**62, 2**62], b""],
        ["O", [1], b"12345678"],
        ["|O8", [1], b"12345678"],
        ["f4,f4", [1], b"12345678"],
        ["<f3", [1], b"123"],
        ["|V0", [10**9], b""],
        ["|V999999999", [1], b""],
        [5, [1], b"1234"],
        [[], [10**9], b""],
        [[5], [1], b"1234"],
        [[("a",)], [1], b"1234"],
        [[("a", "|O8")], [1], b"12345678"],
        [[("a", "<f4", (10**9, 10**9))], [1], b"12345678"],
        [[("a", "<f4"), ("a", "<f4")], [1], b"12345678"],
        [("record",), [1], b"1234"],
        [("record", "|O8"), [1], b"12345678"],
        [("x", "<f4"), [1], b"1234"],
        [("recarray", [5]), [1], b"1234"],
    ],
    ids=lambda parts: repr(parts)[:60],
)
def test_senseless_arrays(parts: Any) -> None:
    with pytest.raises((ValueError, TypeError, ArithmeticError, MemoryError)):  # the codec knows them all
        read_array([ARRAY, *parts])


@pytest.mark.parametrize("parts", [[5], ["<f4", b""], ["<f4", b"12345678"], ["|O8", b"12345678"]], ids=repr)
def test_senseless_scalars(parts: Any) -> None:
    with pytest.raises(PayloadError):
        read_scalar([SCALAR, *parts])


def test_a_shape_that_the_bytes_do_not_fill_is_named() -> None:
    with pytest.raises(PayloadError, match=r"4 bytes do not fill an array of shape \(2, 3\) of float32"):
        read_array([ARRAY, "<f4", [2, 3], b"1234"])


@needs_signals
def test_what_a_signals_handler_raises_is_not_taken_for_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    enough = ValueError("enough")
    with raising(enough) as interrupt:
        monkeypatch.setattr(np.lib.format, "dtype_to_descr", interrupt)
        with pytest.raises(ValueError) as caught:
            numpy_parts(np.zeros(1, "M8[s]"))
    assert caught.value is enough
