"""Classes that make a codec's life hard, each with a way to make an instance, and what its state is.

Knows: Python's classes. Must not know: the codec.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


@dataclasses.dataclass
class Celsius:
    """Computes when it is made: doing that again would change it."""

    degrees: float

    def __post_init__(self) -> None:
        self.degrees = self.degrees - 273.15
        self.derived = self.degrees * 2


@dataclasses.dataclass(frozen=True)
class Frozen:
    name: Any
    items: Any = ()

    def __post_init__(self) -> None:
        raise_if_made_by_the_codec()


@dataclasses.dataclass(slots=True)
class Slots:
    a: Any
    b: Any = 5
    c: list[Any] = dataclasses.field(default_factory=list)
    late: Any = dataclasses.field(init=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenSlots:
    a: Any
    b: Any = None


@dataclasses.dataclass
class WithInitVar:
    a: Any
    extra: dataclasses.InitVar[Any]

    def __post_init__(self, extra: Any) -> None:
        self.kept = extra


@dataclasses.dataclass(init=False)
class OwnInit:
    a: Any

    def __init__(self, one: Any, other: Any) -> None:
        self.a = (one, other)


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


class PlainBox(Generic[T]):
    def __init__(self, content: T) -> None:
        self.content = content


class Base:
    __slots__ = ("_Base__hidden", "shared", "unset")

    def __init__(self, value: Any) -> None:
        self.__hidden = value
        self.shared = 1


class Derived(Base):
    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.free = value


class Temperature(Exception):
    """An exception with a constructor of its own."""

    def __init__(self, device: Any, code: Any) -> None:
        raise_if_made_by_the_codec()
        super().__init__(f"{device!r} failed")
        self.device = device
        self.code = code


class Unforwarded(ValueError):
    def __init__(self, *, path: Any) -> None:
        self.path = path


class MissingFile(OSError):
    def __init__(self, path: Any, *others: Any) -> None:
        super().__init__(2, "gone", path)
        self.others = others


class Slotted(LookupError):
    __slots__ = ("where",)

    def __init__(self, where: Any) -> None:
        super().__init__()
        self.where = where


@dataclasses.dataclass
class DataError(Exception):
    device: Any
    code: Any


class Pickled:
    """Decides itself what its state is."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.cache = object()

    def __getstate__(self) -> Any:
        return ("v1", self.value)

    def __setstate__(self, state: Any) -> None:
        version, self.value = state
        assert version == "v1"
        self.cache = "made anew"


class OnlyGet:
    def __init__(self, value: Any) -> None:
        self.value = value
        self.lock = object()

    def __getstate__(self) -> dict[str, Any]:
        return {"value": self.value}


class OnlySet:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.restored = True


class CachedHash:
    """What attrs makes of a class with slots and cache_hash=True."""

    __slots__ = ("_attrs_cached_hash", "a")

    def __init__(self, a: Any) -> None:
        self.a = a
        self._attrs_cached_hash: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CachedHash) and self.a == other.a

    def __hash__(self) -> int:
        if self._attrs_cached_hash is None:
            self._attrs_cached_hash = hash(self.a) ^ 7
        return int(self._attrs_cached_hash)

    def __getstate__(self) -> dict[str, Any]:
        return {"a": self.a}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "a", state["a"])
        object.__setattr__(self, "_attrs_cached_hash", None)


class _HashWrapper(int):
    def __reduce__(self) -> Any:
        return type(None), ()


class CachedHashInDict:
    """What attrs makes of a class without slots and with cache_hash=True."""

    def __init__(self, a: Any) -> None:
        self.a = a
        self._attrs_cached_hash: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CachedHashInDict) and self.a == other.a

    def __hash__(self) -> int:
        if self._attrs_cached_hash is None:
            self._attrs_cached_hash = _HashWrapper(hash(self.a) ^ 7)
        return int(self._attrs_cached_hash)


class Point(NamedTuple):
    x: Any
    y: Any = None


class Labelled(collections.namedtuple("Labelled", "x y")):
    def __new__(cls, x: Any) -> Labelled:
        return super().__new__(cls, x, (x, x))


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 4


class Same:
    """All of them have one hash."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return 1


class Cell:
    """Two slots of one name."""

    __slots__ = ("value",)


class DoubleCell(Cell):
    __slots__ = ("value",)


class Reluctant:
    """Refuses that its attributes are set and read in the usual way."""

    def __init__(self, value: Any) -> None:
        object.__setattr__(self, "value", value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("it cannot be changed")


_made_by_the_codec = False


def raise_if_made_by_the_codec() -> None:
    """No constructor may run while something is decoded."""
    assert not _made_by_the_codec, "the codec called a constructor"


class Decoding:
    """A context in which constructors raise."""

    def __enter__(self) -> None:
        global _made_by_the_codec
        _made_by_the_codec = True

    def __exit__(self, *_: object) -> None:
        global _made_by_the_codec
        _made_by_the_codec = False


# By name: the class, and a function that makes an instance with a value inside.
MAKERS: dict[str, tuple[type, Any]] = {
    "frozen": (Frozen, Frozen),
    "slots": (Slots, Slots),
    "frozen slots": (FrozenSlots, FrozenSlots),
    "InitVar": (WithInitVar, lambda value: WithInitVar(value, value)),
    "own init": (OwnInit, lambda value: OwnInit(value, 1)),
    "generic": (Box, lambda value: Box[int](value)),
    "plain generic": (PlainBox, lambda value: PlainBox[str](value)),
    "base": (Base, Base),
    "derived": (Derived, Derived),
    "exception": (Temperature, lambda value: Temperature(value, 7)),
    "unforwarded": (Unforwarded, lambda value: Unforwarded(path=value)),
    "missing file": (MissingFile, lambda value: MissingFile("f", value)),
    "slotted exception": (Slotted, Slotted),
    "data exception": (DataError, lambda value: DataError(value, 2)),
    "named tuple": (Point, Point),
    "named tuple with attributes": (Labelled, lambda value: with_attribute(Labelled(value), value)),
    "one hash": (Same, Same),
    "reluctant": (Reluctant, Reluctant),
    "bad slots": (DoubleCell, lambda value: with_slots(DoubleCell(), value)),
}


def with_attribute(value: Any, content: Any) -> Any:
    """The same with an attribute that its class does not know."""
    value.note = content
    return value


def with_slots(value: Any, content: Any) -> Any:
    """The same with both slots set, of which one hides the other."""
    value.value = content
    Cell.value.__set__(value, content)  # type: ignore[attr-defined]
    return value


def state_of(value: Any) -> Any:
    """Everything that an instance of these classes holds, as plain data."""
    state: dict[Any, Any] = dict(getattr(value, "__dict__", {}))
    state.pop("__orig_class__", None)
    for base in type(value).__mro__:
        for name in vars(base).get("__slots__", ()):
            if hasattr(value, name) and not name.startswith("__"):
                state[name] = getattr(value, name)
    if isinstance(value, tuple):
        state["items"] = tuple(value)
    if isinstance(value, BaseException):
        state["args"] = value.args
    if isinstance(value, OSError):
        state["os"] = (value.errno, value.strerror, value.filename)
    return state
