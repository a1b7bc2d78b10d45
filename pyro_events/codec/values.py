"""How a value of each built-in type is written as a tagged array, and read back.

A value that msgpack itself does not know is an array with a marker in front and its parts behind it:
(1, 2) is written as [TUPLE, 1, 2], a date as [DATE, year, month, day]. A marker is an empty msgpack
extension of ours. Its code is negative: msgpack.ExtType refuses such codes, so no list that anybody
publishes can begin with one, and a plain list is never taken for a tagged array.

    -2 tuple      -6 complex    -10 timedelta  -14 Fraction  -18 registered class, exception, URI, Proxy
    -3 set        -7 datetime   -11 timezone   -15 UUID      -19 class-tagged dict of a stock Pyro5 program
    -4 frozenset  -8 date       -12 ZoneInfo   -16 range     -20 numpy array
    -5 large int  -9 time       -13 Decimal    -17 path      -21 numpy scalar
    -22 OrderedDict   -23 defaultdict   -24 Counter   -25 deque

Knows: the standard library's value types and what reading them may cost. Must not know: msgpack's
packer, registered classes, numpy, or how deep a value stands in a message.
"""

from __future__ import annotations

import datetime as dt
import os
import pathlib
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from uuid import UUID, SafeUUID

from msgpack import ExtType

from ..errors import PayloadError, UnsupportedTypeError
from .hash_limits import MAX_EQUAL_HASHES, check_hashes, refuse_hashes
from .zones import is_zone_class, key_of_zone, zone_of_key

# Reading a Fraction reduces it, which takes time in proportion to the square of its length. With this bound,
# 8 MiB of fractions take less than a second.
MAX_FRACTION_BITS: Final = 8192


def _mark(code: int) -> ExtType:
    # ExtType's own constructor refuses negative codes; that is why they are used here.
    return tuple.__new__(ExtType, (code, b""))


TUPLE: Final = _mark(-2)
SET: Final = _mark(-3)
FROZENSET: Final = _mark(-4)
INT: Final = _mark(-5)
COMPLEX: Final = _mark(-6)
DATETIME: Final = _mark(-7)
DATE: Final = _mark(-8)
TIME: Final = _mark(-9)
TIMEDELTA: Final = _mark(-10)
TIMEZONE: Final = _mark(-11)
ZONEINFO: Final = _mark(-12)
DECIMAL: Final = _mark(-13)
FRACTION: Final = _mark(-14)
UUID_: Final = _mark(-15)
RANGE: Final = _mark(-16)
PATH: Final = _mark(-17)
OBJECT: Final = _mark(-18)
CLASS_TAGGED: Final = _mark(-19)
ARRAY: Final = _mark(-20)
SCALAR: Final = _mark(-21)
ORDERED_DICT: Final = _mark(-22)
DEFAULT_DICT: Final = _mark(-23)
COUNTER: Final = _mark(-24)
DEQUE: Final = _mark(-25)

# Reading compares by identity, so every marker exists once and is looked up by its code.
MARKS: Final[dict[int, ExtType]] = {
    mark.code: mark
    for mark in (
        *(TUPLE, SET, FROZENSET, INT, COMPLEX, DATETIME, DATE, TIME, TIMEDELTA, TIMEZONE, ZONEINFO),
        *(DECIMAL, FRACTION, UUID_, RANGE, PATH, OBJECT, CLASS_TAGGED, ARRAY, SCALAR),
        *(ORDERED_DICT, DEFAULT_DICT, COUNTER, DEQUE),
    )
}

# The concrete flavours are numbered beside the pure ones. A path object of another platform cannot exist
# here, so it arrives in its pure flavour.
_PATHS: Final[tuple[type[pathlib.PurePath], ...]] = (
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.PosixPath,
    pathlib.WindowsPath,
)
_CONCRETE_HERE: Final = (_PATHS[0], _PATHS[3]) if os.name == "nt" else (_PATHS[2], _PATHS[1])
_PATHS_HERE: Final[tuple[type[pathlib.PurePath], ...]] = (*_PATHS[:2], *_CONCRETE_HERE)


def _write_int(value: int) -> list[Any]:
    return [INT, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)]


def _write_datetime(value: dt.datetime) -> list[Any]:
    parts = [DATETIME, value.year, value.month, value.day, value.hour, value.minute, value.second]
    return [*parts, value.microsecond, *_fold_and_zone(value)]


def _write_time(value: dt.time) -> list[Any]:
    return [TIME, value.hour, value.minute, value.second, value.microsecond, *_fold_and_zone(value)]


def _fold_and_zone(value: dt.datetime | dt.time) -> tuple[Any, ...]:
    if value.fold or value.tzinfo is not None:
        return (value.fold, value.tzinfo)
    return ()


def _write_timezone(value: dt.timezone) -> list[Any]:
    offset, name = value.utcoffset(None), value.tzname(None)
    named = () if dt.timezone(offset).tzname(None) == name else (name,)
    return [TIMEZONE, offset, *named]


def _write_zone(value: Any) -> list[Any]:
    return [ZONEINFO, key_of_zone(value)]


def zone_writer(kind: type) -> Callable[[Any], list[Any]] | None:
    """The writer if it is ZoneInfo, which is not among WRITERS because it need not have been imported."""
    return _write_zone if is_zone_class(kind) else None


def _write_fraction(value: Fraction) -> list[Any]:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_FRACTION_BITS:
        raise UnsupportedTypeError(
            f"a fraction of more than {MAX_FRACTION_BITS} bits; send numerator and denominator"
        )
    return [FRACTION, value.numerator, value.denominator]


def _write_uuid(value: UUID) -> list[Any]:
    safe = value.is_safe.value
    return [UUID_, value.bytes] if safe is None else [UUID_, value.bytes, safe]


def _write_set(mark: ExtType, value: set[Any] | frozenset[Any]) -> list[Any]:
    if len(value) > MAX_EQUAL_HASHES:
        refuse_hashes(value)
    return [mark, *value]


def _write_mapping(mark: ExtType, value: Any) -> list[Any]:
    if getattr(value, "__dict__", None):
        raise UnsupportedTypeError("it has attributes, which would be lost")
    return [mark, dict(value)]


def _write_path(value: pathlib.PurePath) -> list[Any]:
    return [PATH, _PATHS.index(type(value)), str(value)]


WRITERS: Final[dict[type, Callable[[Any], list[Any]]]] = {
    tuple: lambda value: [TUPLE, *value],
    set: lambda value: _write_set(SET, value),
    frozenset: lambda value: _write_set(FROZENSET, value),
    OrderedDict: lambda value: _write_mapping(ORDERED_DICT, value),
    defaultdict: lambda value: _write_mapping(DEFAULT_DICT, value),
    Counter: lambda value: _write_mapping(COUNTER, value),
    deque: lambda value: [DEQUE, value.maxlen, *value],
    int: _write_int,
    complex: lambda value: [COMPLEX, value.real, value.imag],
    dt.datetime: _write_datetime,
    dt.date: lambda value: [DATE, value.year, value.month, value.day],
    dt.time: _write_time,
    dt.timedelta: lambda value: [TIMEDELTA, value.days, value.seconds, value.microseconds],
    dt.timezone: _write_timezone,
    Decimal: lambda value: [DECIMAL, str(value)],
    Fraction: _write_fraction,
    UUID: _write_uuid,
    range: lambda value: [RANGE, value.start, value.stop, value.step],
    **dict.fromkeys(_PATHS, _write_path),
}


def _parts(items: list[Any], *kinds: type) -> list[Any]:
    """The parts after the marker, if they have exactly these types."""
    parts = items[1:]
    if tuple(map(type, parts)) != kinds:
        found = ", ".join(type(part).__name__ for part in parts[:10])
        raise PayloadError(f"marker {items[0].code} is followed by ({found})")
    return parts


def _read_set(items: list[Any]) -> set[Any]:
    del items[0]
    check_hashes(items)
    return set(items)


def _read_deque(items: list[Any]) -> deque[Any]:
    _, most, *members = items
    if most is not None and (type(most) is not int or len(members) > most):
        raise PayloadError("not the length and members of a deque")
    return deque(members, most)


def _read_counter(items: list[Any]) -> Counter[Any]:
    counter: Counter[Any] = Counter()
    dict.update(counter, _parts(items, dict)[0])  # Counter's own would add
    return counter


def _read_uuid(items: list[Any]) -> UUID:
    if len(items) == 2:
        return UUID(bytes=_parts(items, bytes)[0])
    content, safe = _parts(items, bytes, int)
    return UUID(bytes=content, is_safe=SafeUUID(safe))


def _read_int(items: list[Any]) -> int:
    return int.from_bytes(_parts(items, bytes)[0], "little", signed=True)


def _read_datetime(items: list[Any]) -> dt.datetime:
    if len(items) == 8:
        return dt.datetime(*_parts(items, *(int,) * 7))
    *parts, fold, zone = _parts(items, *(int,) * 8, type(items[-1]))
    return dt.datetime(*parts).replace(fold=fold, tzinfo=zone)


def _read_time(items: list[Any]) -> dt.time:
    if len(items) == 5:
        return dt.time(*_parts(items, *(int,) * 4))
    *parts, fold, zone = _parts(items, *(int,) * 5, type(items[-1]))
    return dt.time(*parts).replace(fold=fold, tzinfo=zone)


def _read_timedelta(items: list[Any]) -> dt.timedelta:
    days, seconds, microseconds = _parts(items, int, int, int)
    return dt.timedelta(days, seconds, microseconds)


def _read_timezone(items: list[Any]) -> dt.timezone:
    if len(items) == 2:
        return dt.timezone(*_parts(items, dt.timedelta))
    return dt.timezone(*_parts(items, dt.timedelta, str))


def _read_fraction(items: list[Any]) -> Fraction:
    numerator, denominator = _parts(items, int, int)
    if max(numerator.bit_length(), denominator.bit_length()) > MAX_FRACTION_BITS:
        raise PayloadError(f"a fraction of more than {MAX_FRACTION_BITS} bits")
    return Fraction(numerator, denominator)


def _read_path(items: list[Any]) -> pathlib.PurePath:
    flavour, text = _parts(items, int, str)
    if not 0 <= flavour < len(_PATHS_HERE):
        raise PayloadError(f"unknown flavour of path: {flavour}")
    path: pathlib.PurePath = _PATHS_HERE[flavour](text)
    return path


# By the marker's code; tuples have a faster way in message.py. A reader gets the whole array, including the
# marker, and may change it.
READERS: Final[dict[int, Callable[[list[Any]], Any]]] = {
    SET.code: _read_set,
    FROZENSET.code: lambda items: frozenset(_read_set(items)),
    INT.code: _read_int,
    COMPLEX.code: lambda items: complex(*_parts(items, float, float)),
    DATETIME.code: _read_datetime,
    DATE.code: lambda items: dt.date(*_parts(items, int, int, int)),
    TIME.code: _read_time,
    TIMEDELTA.code: _read_timedelta,
    TIMEZONE.code: _read_timezone,
    ZONEINFO.code: lambda items: zone_of_key(_parts(items, str)[0]),
    DECIMAL.code: lambda items: Decimal(_parts(items, str)[0]),
    FRACTION.code: _read_fraction,
    UUID_.code: _read_uuid,
    RANGE.code: lambda items: range(*_parts(items, int, int, int)),
    PATH.code: _read_path,
    ORDERED_DICT.code: lambda items: OrderedDict(_parts(items, dict)[0]),
    DEFAULT_DICT.code: lambda items: defaultdict(None, _parts(items, dict)[0]),
    COUNTER.code: _read_counter,
    DEQUE.code: _read_deque,
}
