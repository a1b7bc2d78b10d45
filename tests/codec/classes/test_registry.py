"""Classes that a program registered, by our call and by Pyro5's, and what crosses Pyro's own wire."""

from __future__ import annotations

import abc
import array
import collections
import contextlib
import dataclasses
import enum
import json
import math
import queue
import signal
import threading
import types
from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import msgpack
import numpy as np
import Pyro5.api
import pytest
import serpent
from Pyro5.serializers import JsonSerializer, MsgpackSerializer, SerializerBase, SerpentSerializer
from raising_handler import needs_signals, raising

from pyro_events.codec.classes import registry
from pyro_events.codec.classes.registry import register_class
from pyro_events.codec.message import decode, encode, encode_plain
from pyro_events.codec.values import OBJECT
from pyro_events.errors import PayloadError, RemoteError, UnsupportedTypeError


@pytest.fixture(autouse=True)
def own_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_by_class", {})
    monkeypatch.setattr(registry, "_by_name", {})


def arrives(value: Any) -> Any:
    back = decode(encode([value]))[0]
    assert type(back) is type(value)
    return back


def from_state(name: str, state: Any) -> Any:
    return decode(msgpack.packb([OBJECT, name, state]))


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1
    BLUE = (1, 2)


class Size(str, enum.Enum):
    BIG = "big"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 4


def test_enums() -> None:
    for cls in (Colour, Size, Access, Level):
        register_class(cls)
    for member in (
        Colour.RED,
        Colour.BLUE,
        Size.BIG,
        Access.READ,
        Access.READ | Access.WRITE,
        Level(5),
        Level(0),
    ):
        assert arrives(member) is member
    assert decode(encode({Colour.RED: 1})) == {Colour.RED: 1}
    with pytest.raises(PayloadError, match="cannot rebuild '.*Colour': KeyError: 'GREEN'"):
        from_state(f"{__name__}.Colour", {"name": "GREEN"})


@dataclasses.dataclass
class Quote:
    name: str
    price: float = 0.0
    seen: list[str] = dataclasses.field(default_factory=list, init=False)


@dataclasses.dataclass(frozen=True)
class Frozen:
    __slots__ = ("inner", "double")
    inner: Any
    double: int

    @property
    def twice(self) -> int:
        return self.double * 2


@dataclasses.dataclass
class WithInitVar:
    name: str
    secret: dataclasses.InitVar[int]


def test_dataclasses() -> None:
    register_class(Quote)
    register_class(Frozen)
    quote = Quote("SUN", 22.44)
    quote.seen.append("x")
    assert arrives(quote) == quote
    assert arrives(Frozen(quote, 2)) == Frozen(quote, 2)
    assert from_state(f"{__name__}.Quote", {"name": "SUN"}) == Quote("SUN")
    with pytest.raises(PayloadError, match="Frozen has no attribute 'colour'"):
        from_state(f"{__name__}.Frozen", {"inner": 1, "double": 2, "colour": 1})
    with pytest.raises(PayloadError, match="its field 'name' is missing"):
        from_state(f"{__name__}.Quote", {"price": 1.0})
    register_class(WithInitVar)
    assert arrives(WithInitVar("SUN", 5)).name == "SUN"


class Point(NamedTuple):
    x: int
    y: Any = None


Pair = collections.namedtuple("Pair", "a b")


def test_named_tuples() -> None:
    register_class(Point)
    register_class(Pair)
    assert arrives(Point(1, Point(2))) == Point(1, Point(2))
    assert arrives(Pair(1, b=(2,))) == Pair(1, (2,))


T = TypeVar("T")


class Plain(abc.ABC, Generic[T]):
    def __init__(self, required: int) -> None:
        self.required = required

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


class Slotted:
    __slots__ = ("__hidden", "a", "unset")

    def __init__(self) -> None:
        self.a = 1
        self.__hidden = 2

    def hidden(self) -> int:
        return self.__hidden


class Both(Slotted):
    def __init__(self) -> None:
        super().__init__()
        self.free = 3


def test_plain_classes() -> None:
    for cls in (Plain, Slotted, Both):
        register_class(cls)
    assert vars(arrives(Plain(5))) == {"required": 5}
    for value in (Slotted(), Both()):
        back = arrives(value)
        assert (back.a, back.hidden(), hasattr(back, "unset")) == (1, 2, False)
    assert arrives(Both()).free == 3
    for name, wrong in (("Slotted", "b"), ("Plain", "__init__"), ("Both", "__dict__"), ("Plain", 5)):
        with pytest.raises(PayloadError, match="has no attribute"):
            from_state(f"{__name__}.{name}", {wrong: 1})


class Unit(str):
    pass


class Sorted(collections.OrderedDict):  # type: ignore[type-arg]
    pass


def test_classes_that_need_functions() -> None:
    for cls in (Unit, Sorted, array.array):
        with pytest.raises(TypeError, match="keeps its contents in <class"):
            register_class(cls)
        with pytest.raises(TypeError, match="give to_dict and from_dict"):
            register_class(cls, to_dict=dict)
    register_class(
        Unit, to_dict=lambda unit: {"text": str(unit)}, from_dict=lambda state: Unit(state["text"])
    )
    register_class(
        array.array,
        to_dict=lambda value: {"kind": value.typecode, "items": value.tobytes()},
        from_dict=lambda state: array.array(state["kind"], state["items"]),
    )
    assert arrives(Unit("kg")) == "kg"
    assert arrives(array.array("h", [1, 2])) == array.array("h", [1, 2])


def test_one_function_of_two() -> None:
    register_class(Plain, from_dict=lambda state: Plain(state["required"] + 1))
    assert arrives(Plain(1)).required == 2
    register_class(Plain, to_dict=lambda value: {"required": 9})
    assert arrives(Plain(1)).required == 9


class OwnError(Exception):
    pass


def test_exceptions() -> None:
    register_class(OwnError)
    error = OwnError("x", (1,))
    error.code = 5  # type: ignore[attr-defined]
    back = arrives(error)
    assert (back.args, back.code) == (("x", (1,)), 5)
    stock = SerpentSerializer().dumps([error])
    assert type(decode(encode_plain(serpent.loads(stock)))[0]) is OwnError


def test_as_a_decorator() -> None:
    @register_class
    class One:
        pass

    @register_class(name="lab.Two")
    class Two:
        pass

    assert type(arrives(One())) is One
    assert b"lab.Two" in encode(Two())
    assert type(from_state("lab.Two", {})) is Two


def test_a_subclass_is_another_class() -> None:
    register_class(Slotted)
    with pytest.raises(UnsupportedTypeError, match="Both'> at message"):
        encode(Both())


def test_wrong_registrations() -> None:
    with pytest.raises(TypeError, match="needs a class"):
        register_class(5)  # type: ignore[type-var]
    for cls in (int, dict, tuple, Pyro5.api.URI):
        with pytest.raises(ValueError, match="supported anyway"):
            register_class(cls)
    for name in ("", 5):
        with pytest.raises(TypeError, match="non-empty str"):
            register_class(Plain, name=name)  # type: ignore[arg-type]
    register_class(Slotted, name="lab.Thing")
    with pytest.raises(ValueError, match=r"'lab.Thing' is taken by .*Slotted.*; give another name="):
        register_class(Plain, name="lab.Thing")


def test_a_class_that_was_defined_again_replaces_the_old_one() -> None:
    def define() -> type:
        class Again:
            pass

        return register_class(Again)

    define()
    second = define()
    assert type(arrives(second())) is second


def test_another_name_for_the_same_class() -> None:
    register_class(Slotted)
    register_class(Slotted, name="lab.Slotted")
    arrives(Slotted())
    with pytest.raises(PayloadError, match="not known here"):
        from_state(f"{__name__}.Slotted", {})


def test_converters_that_fail_or_give_no_dict() -> None:
    register_class(Plain, to_dict=lambda value: [1], from_dict=lambda state: 1 / 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(UnsupportedTypeError, match=r"at message\[0\]; its converter returned <class 'list'>"):
        encode([Plain(1)])
    register_class(Plain, to_dict=lambda value: {"x": value.missing}, from_dict=lambda state: 1 / 0)
    with pytest.raises(UnsupportedTypeError, match=r"at message\[0\]; .*no attribute 'missing'") as caught:
        encode([Plain(1)])
    assert type(caught.value.__cause__) is AttributeError
    with pytest.raises(PayloadError, match="cannot rebuild .*ZeroDivisionError") as unreadable:
        from_state(f"{__name__}.Plain", {})
    assert type(unreadable.value.__cause__) is ZeroDivisionError


def test_the_place_inside_a_registered_object() -> None:
    register_class(Quote)
    with pytest.raises(UnsupportedTypeError, match=r"'object'> at message\[0\]\.name\['a'\]; such a thing"):
        encode([Quote({"a": object()})])  # type: ignore[arg-type]


@contextlib.contextmanager
def registered_with_pyro(
    cls: type, to_dict: Any, name: str | None = None, from_dict: Any = None
) -> Iterator[None]:
    Pyro5.api.register_class_to_dict(cls, to_dict)
    if name:
        Pyro5.api.register_dict_to_class(name, from_dict)
    try:
        yield
    finally:
        Pyro5.api.unregister_class_to_dict(cls)
        if name:
            Pyro5.api.unregister_dict_to_class(name)


def test_pyros_registry_is_where_we_look_for_it() -> None:
    with registered_with_pyro(Plain, dict, "lab.Plain", dict):
        to_dict, from_dict = registry._pyro_registries()
        assert to_dict[Plain] is dict
        assert from_dict["lab.Plain"] is dict


def test_classes_registered_with_pyro() -> None:
    def to_dict(value: Plain[Any]) -> dict[str, Any]:
        return {"__class__": "lab.Plain", "n": value.required, "deep": (1, {2})}

    def from_dict(name: str, state: dict[str, Any]) -> Any:
        assert (name, state["__class__"], state["deep"]) == ("lab.Plain", "lab.Plain", (1, {2}))
        return Plain(state["n"])

    class Sub(Plain[int]):
        pass

    with registered_with_pyro(Plain, to_dict, "lab.Plain", from_dict):
        assert arrives(Plain(5)).required == 5
        assert type(decode(encode(Sub(5)))) is Plain  # as Pyro5 does it
        plain = serpent.loads(SerpentSerializer().dumps([Plain(6)]))
        assert decode(encode_plain(plain))[0].required == 6
    with registered_with_pyro(Plain, to_dict), pytest.raises(PayloadError, match="'lab.Plain' is not known"):
        decode(encode(Plain(5)))
    with registered_with_pyro(Plain, lambda value: {"n": 1}):
        assert decode(encode([Plain(5)])) == [{"n": 1}]
    refused = pytest.raises(UnsupportedTypeError, match=r"message\[0\]\['n'\]")
    with registered_with_pyro(Plain, lambda value: {"n": object()}), refused:
        encode([Plain(5)])


def test_our_registration_goes_before_pyros() -> None:
    register_class(Plain)
    with registered_with_pyro(Plain, lambda value: {"n": 1}):
        assert arrives(Plain(5)).required == 5


def test_what_stock_programs_send_of_registered_classes() -> None:
    register_class(Quote)
    register_class(Plain)
    for value in (Quote("SUN", 2.5), Plain(3)):
        for plain in (
            serpent.loads(SerpentSerializer().dumps([value])),
            json.loads(JsonSerializer().dumps([value])),
            msgpack.unpackb(MsgpackSerializer().dumps([value])),
        ):
            back = decode(encode_plain(plain))[0]
            assert type(back) is type(value)
            assert vars(back) == vars(value)


def test_a_daemon_cannot_be_sent() -> None:
    assert any(cls.__name__ == "Daemon" for cls in registry._pyro_registries()[0])
    with Pyro5.api.Daemon(host="127.0.0.1") as daemon, pytest.raises(UnsupportedTypeError):
        encode(daemon)
    assert SerializerBase.serializer_id == 0


@pytest.mark.parametrize("name", ["to_dict", "from_dict"])
def test_a_converter_that_is_not_a_function(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a function, not int"):
        register_class(type("Odd", (), {}), **{name: 5})


@pytest.mark.parametrize("cls", [types.GeneratorType, types.FunctionType, object, type(None)])
def test_what_cannot_be_made_again_cannot_be_registered(cls: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        register_class(cls)


def test_names_that_every_program_knows_are_taken() -> None:
    for name in ("builtins.ValueError", "ValueError", "Pyro5.core.URI"):
        with pytest.raises(ValueError, match="every program knows"):
            register_class(Quote, name=name)
    register_class(ValueError)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (print, "publish the data that it stands for"),
        (math, "publish the data"),
        (int, "publish the data"),
        ((number for number in range(3)), "publish the data"),
        (threading.Lock(), "leave it out of that object's state, by __getstate__"),
        (threading.Event(), "leave it out of that object's state"),
        (queue.SimpleQueue(), "leave it out of that object's state"),
        (queue.Queue(), "leave it out of that object's state"),
        (Point(1, 2), "register it with pyro_events.register_class$"),
        (signal.SIGINT, "register it with pyro_events.register_class$"),
        (Unit("x"), "with to_dict and from_dict: .* keeps its contents in <class 'str'>"),
        (collections.UserList([1]), "register it with pyro_events.register_class$"),
        (np.zeros(2).view(np.matrix), "with to_dict and from_dict"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_register_it_is_advised_only_for_what_can_be_registered(value: Any, advice: str) -> None:
    with pytest.raises(UnsupportedTypeError, match=advice):
        registry.describe(value)


@needs_signals
def test_what_a_signals_handler_raises_while_an_instance_is_made_comes_through() -> None:
    enough = ValueError("enough")
    with raising(enough) as interrupt:
        register_class(Slotted, name="lab.Slotted", to_dict=vars, from_dict=interrupt)
        with pytest.raises(ValueError) as caught:
            registry.restore("lab.Slotted", {})
    assert caught.value is enough


def test_exceptions_that_nobody_registered() -> None:
    name, state = registry.describe(ValueError("x"))
    assert name == "builtins.ValueError" and repr(registry.restore(name, state)) == "ValueError('x')"
    name, state = registry.describe(OwnError("x"))
    back = registry.restore(str(name), state)
    assert (type(back), back.type_name, back.text) == (RemoteError, f"{__name__}.OwnError", "x")
    alone = registry.restore("lab.Broken", {"__exception__": True, "args": ["x"]})
    assert (type(alone), alone.type_name, alone.text) == (RemoteError, "lab.Broken", "x")
    with pytest.raises(registry.UnknownClassError, match="class 'lab.Broken' is not known here; register it"):
        registry.restore("lab.Broken", {})


def test_uris_and_proxies_need_no_registration() -> None:
    name, state = registry.describe(Pyro5.api.URI("PYRO:x@h:1"))
    assert registry.restore(str(name), state) == Pyro5.api.URI("PYRO:x@h:1")


def test_classes_of_a_family_are_registered_together_or_not_at_all() -> None:
    registry.add_classes([(Slotted, "lab.Slotted"), (Plain, "lab.Plain")])
    assert not registry.is_registered_alone(Slotted)
    register_class(Slotted)
    assert registry.is_registered_alone(Slotted)
    with pytest.raises(ValueError, match="'lab.Plain' is taken"):
        registry.add_classes([(Both, "lab.Both"), (Quote, "lab.Plain")])
    with pytest.raises(UnsupportedTypeError):
        registry.describe(Both())
