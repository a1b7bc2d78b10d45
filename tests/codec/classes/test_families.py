"""Registering all classes of a module, or several at once."""

from __future__ import annotations

import collections
import dataclasses
import enum
import types
from typing import Any

import pytest

from pyro_events.codec.classes import registry
from pyro_events.codec.classes.families import register_classes
from pyro_events.codec.classes.registry import register_class
from pyro_events.codec.message import decode, encode
from pyro_events.errors import UnsupportedTypeError
from tests import strange_classes

SOURCE = """
import collections, dataclasses, enum

@dataclasses.dataclass
class Reading:
    kelvin: float
    class Quality(enum.Enum):
        GOOD = 1

class DeviceError(Exception):
    def __init__(self, device, code):
        super().__init__(f"{device} failed")
        self.device, self.code = device, code

class Text(str):
    pass

Alias = Reading
Foreign = collections.UserDict
number = 5
"""


@pytest.fixture(autouse=True)
def own_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_by_class", {})
    monkeypatch.setattr(registry, "_by_name", {})


def module(name: str) -> Any:
    made = types.ModuleType(name)
    exec(compile(SOURCE, "lab.py", "exec", dont_inherit=True), made.__dict__)
    return made


def test_the_classes_of_a_module() -> None:
    readings = module("lab.readings")
    assert register_classes(readings) == (readings.Reading, readings.Reading.Quality, readings.DeviceError)
    value = [readings.Reading(3.5), readings.Reading.Quality.GOOD]
    assert decode(encode(value)) == value
    error = decode(encode(readings.DeviceError("T1", 5)))
    assert (type(error), vars(error)) == (readings.DeviceError, {"device": "T1", "code": 5})
    assert b"lab.readings.Reading" in encode(value)
    for other in (readings.Text("x"), collections.UserDict()):
        with pytest.raises(UnsupportedTypeError):
            encode(other)


def test_publisher_and_subscriber_that_import_the_classes_from_different_modules() -> None:
    here, there = module("instrument"), module("display")
    register_classes(here, prefix="lab")
    payload = encode([here.Reading(3.5), here.Reading.Quality.GOOD])
    assert b"lab.Reading.Quality" in payload
    registry._by_class.clear()
    registry._by_name.clear()
    register_classes(there, prefix="lab")
    assert decode(payload) == [there.Reading(3.5), there.Reading.Quality.GOOD]


def test_what_a_package_imports_from_its_own_modules() -> None:
    package, inner, other = types.ModuleType("lab"), module("lab.readings"), module("laboratory")
    package.Reading, package.Other = inner.Reading, other.Reading  # type: ignore[attr-defined]
    assert register_classes(package) == (inner.Reading, inner.Reading.Quality)


def test_what_was_registered_by_itself_keeps_its_name_and_converters() -> None:
    readings = module("lab.readings")
    register_class(readings.Text, name="text", to_dict=lambda t: {"t": str(t)}, from_dict=lambda d: d["t"])
    register_class(readings.Reading, name="mine")
    assert readings.Reading not in register_classes(readings, prefix="lab")
    assert b"mine" in encode(readings.Reading(1.0))
    assert b"text" in encode(readings.Text("x"))
    register_classes(readings, prefix="other")
    assert b"other.DeviceError" in encode(readings.DeviceError(1, 2))


def test_classes_one_by_one_and_all_or_none() -> None:
    readings = module("lab.readings")
    assert register_classes(readings.Reading.Quality) == (readings.Reading.Quality,)
    assert register_classes(iter([readings.DeviceError]), prefix="p") == (readings.DeviceError,)
    with pytest.raises(TypeError, match="Text'> apart by itself.*give to_dict and from_dict"):
        register_classes([readings.Reading, readings.Text])
    with pytest.raises(UnsupportedTypeError):
        encode(readings.Reading(1.0))
    register_class(strange_classes.Frozen, name="p.Reading")
    with pytest.raises(ValueError, match=r"'p.Reading' is taken"):
        register_classes([readings.DeviceError, readings.Reading], prefix="p")


@pytest.mark.parametrize("family", ["lab.readings", b"x", 5, None, [5], ["Reading"]])
def test_an_argument_that_is_not_a_family(family: Any) -> None:
    with pytest.raises(TypeError, match="needs a module or classes, not"):
        register_classes(family)


@pytest.mark.parametrize("prefix", ["", 5])
def test_an_argument_that_is_not_a_prefix(prefix: Any) -> None:
    with pytest.raises(TypeError, match="prefix must be a non-empty str"):
        register_classes([], prefix=prefix)


def test_a_whole_module_of_strange_classes() -> None:
    registered = register_classes(strange_classes)
    assert strange_classes.Pickled in registered and strange_classes.Colour in registered
    assert all(dataclasses.is_dataclass(cls) or isinstance(cls, (type, enum.EnumMeta)) for cls in registered)
