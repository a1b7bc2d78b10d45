"""Classes that may travel in a message, by name.

A value of a class is written as the class's name and its state. Nothing that is received
names a thing to import or to look up: a name is a key of a table that this program filled, by
`register_class` here, by Pyro5's own `register_class_to_dict` and `register_dict_to_class`, or with
the exceptions, `URI` and `Proxy` that Pyro5 carries.

Knows: classes, names and states; Pyro5's serializer registries. Must not know: bytes, or which classes
there are of our own.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeVar, overload

from msgpack import ExtType, Timestamp
from Pyro5.client import Proxy
from Pyro5.core import URI
from Pyro5.serializers import SerializerBase

from ...errors import PayloadError, UnsupportedTypeError
from ...foreign_exceptions import is_signal_handlers
from .. import numpy_arrays
from ..values import WRITERS
from ..zones import is_zone_class
from .class_state import State, StateFunctions, state_functions
from .exception_state import (
    REMOTE,
    describe_exception,
    describe_remote,
    dotted,
    exception_type,
    rebuild_exception,
    remote_error,
)
from .instance_state import is_built_in
from .pyro_objects import PYRO_OBJECTS, describe_pyro_object

C = TypeVar("C", bound=type)

_NATIVE: Final = frozenset(
    (type(None), bool, int, float, str, bytes, bytearray, memoryview, list, dict, ExtType, Timestamp)
)
_HOW: Final = "register it with pyro_events.register_class"
_LEAVE_OUT: Final = (
    "such a thing exists in its own process alone: publish the data that it stands for; if an object holds "
    "it, leave it out of that object's state, by __getstate__ and __setstate__ of its class or by to_dict "
    "and from_dict of pyro_events.register_class"
)
# Modules of Python that define classes of this kind, in C or in Python.
_PROCESS_MODULES: Final = frozenset(
    (
        "_asyncio",
        "_io",
        "_queue",
        "_socket",
        "_ssl",
        "_thread",
        "asyncio",
        "concurrent",
        "io",
        "multiprocessing",
    )
    + ("queue", "selectors", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading")
)


class UnknownClassError(LookupError):
    """This program does not know a class of that name."""


class _Registration(NamedTuple):
    name: str
    cls: type
    functions: StateFunctions
    alone: bool = True  # registered by `register_class`, not in a family


# Replaced as a whole, never changed, so reading needs no lock.
_by_class: dict[type, _Registration] = {}
_by_name: dict[str, _Registration] = {}
_changing = threading.Lock()


@overload
def register_class(
    cls: C,
    *,
    name: str | None = None,
    to_dict: Callable[[Any], State] | None = None,
    from_dict: Callable[[State], Any] | None = None,
) -> C: ...
@overload
def register_class(
    cls: None = None,
    *,
    name: str | None = None,
    to_dict: Callable[[Any], State] | None = None,
    from_dict: Callable[[State], Any] | None = None,
) -> Callable[[C], C]: ...
def register_class(
    cls: Any = None,
    *,
    name: str | None = None,
    to_dict: Callable[[Any], State] | None = None,
    from_dict: Callable[[State], Any] | None = None,
) -> Any:
    """Let instances of a class travel in messages; publisher and subscriber both call it.

    Also a decorator, with or without arguments. Enums travel by the member's name (flags by their
    value), named tuples by their items, exceptions by `args` and attributes, dataclasses and other
    classes by their attributes (slots too). Neither `__init__` nor `__post_init__` is called on arrival;
    a `__getstate__` or `__setstate__` that the class defines is. `from_dict` and `__setstate__` get data from
    the network and should check it, and may be called more than once for one message. A subclass is another
    class and needs its own call.

    Args:
        cls: the class. Default None: what this returns is the decorator.
        name: what both sides call the class; give one when the class is defined in the main program. Default
            None: its module and qualified name.
        to_dict: `to_dict(instance)` returns the instance's state as a dict. Default None: as above.
        from_dict: `from_dict(state)` returns an instance with such a state. Default None: as above.

    Returns:
        The class, as it was given; without one, a decorator.

    Raises:
        TypeError: `cls` is not a class, or one that needs `to_dict` and `from_dict`.
        ValueError: another class has the name, or instances of the class can be sent without it.

    Example:
        >>> @register_class(name="oven.Reading")
        ... class Reading:
        ...     def __init__(self, kelvin):
        ...         self.kelvin = kelvin
        >>> market.publish("LAB.OVEN", Reading(300.0))
        0
    """
    if cls is None:
        return lambda decorated: register_class(decorated, name=name, to_dict=to_dict, from_dict=from_dict)
    registration = _registration(cls, name, to_dict, from_dict)
    with _changing:
        _add(registration)
    return cls


def add_classes(new: Iterable[tuple[type, str]]) -> None:
    """Register classes that need no converters, under the names given: all of them or, if it raises, none.

    Raises as `register_class`.
    """
    registrations = [_registration(cls, name, None, None) for cls, name in new]
    with _changing:
        _add(*[registration._replace(alone=False) for registration in registrations])


def is_registered_alone(cls: type) -> bool:
    """Whether `register_class` was called for that class; then its name and converters hold."""
    registration = _by_class.get(cls)
    return registration is not None and registration.alone


def _registration(cls: type, name: str | None, to_dict: Any, from_dict: Any) -> _Registration:
    if not isinstance(cls, type):
        raise TypeError(f"register_class needs a class, not {cls!r}")
    built_in = cls in _NATIVE or cls in WRITERS or cls in (URI, Proxy) or is_zone_class(cls)
    if built_in or numpy_arrays.carries(cls):
        raise ValueError(f"{cls!r} is supported anyway; it cannot be registered")
    label = dotted(cls) if name is None else name
    if not isinstance(label, str) or not label:
        raise TypeError(f"the name of {cls!r} must be a non-empty str, not {name!r}")
    if label in PYRO_OBJECTS or exception_type(label) not in (None, cls):
        raise ValueError(
            f"the name {label!r} is taken by a class that every program knows; give another name="
        )
    return _Registration(label, cls, state_functions(cls, to_dict, from_dict))


def _add(*registrations: _Registration) -> None:
    """Add to the tables; `_changing` is held."""
    global _by_class, _by_name
    by_name, by_class = dict(_by_name), dict(_by_class)
    for new in registrations:
        old = by_name.get(new.name)
        # The same module and name again is a module that was reloaded.
        if old is not None and dotted(old.cls) != dotted(new.cls):
            raise ValueError(f"the name {new.name!r} is taken by {old.cls!r}; give another name=")
        former = by_class.get(new.cls)
        if former is not None and by_name.get(former.name) is former:
            del by_name[former.name]
        by_name[new.name] = by_class[new.cls] = new
    _by_class, _by_name = by_class, by_name


def describe(value: Any) -> tuple[str | None, Any]:
    """Name and state of `value`; the name is None when Pyro5's converter gave a dict without one.

    Raises UnsupportedTypeError, whose text says what to do.
    """
    kind = type(value)
    registration = _by_class.get(kind)
    if registration is not None:
        return registration.name, registration.functions.to_state(value)
    described = describe_pyro_object(value)
    if described is not None:
        return described
    converter = _pyro_converter(value)
    if converter is not None:
        state = converter(value)
        if type(state) is not dict:
            raise UnsupportedTypeError(f"its converter returned {type(state)!r} instead of a dict")
        name = state.get("__class__")
        return (name if isinstance(name, str) else None), state
    if isinstance(value, BaseException):
        if exception_type(dotted(kind)) is kind:
            return dotted(kind), describe_exception(value)
        return REMOTE, describe_remote(value)
    raise UnsupportedTypeError(_advice(kind))


def _advice(kind: type) -> str:
    """What to do about a value whose class is not registered."""
    if is_built_in(kind) or issubclass(kind, type) or _is_bound_to_process(kind):
        return _LEAVE_OUT
    try:
        state_functions(kind, None, None)
    except TypeError as error:
        return f"{_HOW}, with to_dict and from_dict: {error}"
    return _HOW


def _is_bound_to_process(kind: type) -> bool:
    """Whether it belongs to a module of Python whose objects are locks, threads, files or connections."""
    return kind.__module__.partition(".")[0] in _PROCESS_MODULES and not issubclass(kind, (enum.Enum, tuple))


def restore(name: str, state: Any, tagged: bool = False) -> Any:
    """The instance that `describe` described; with tagged=True, that a stock Pyro5 program sent as a dict
    with a "__class__". An exception of an unknown class becomes a RemoteError.

    Raises UnknownClassError when no table has the name, PayloadError when the state does not fit.
    """
    builder = _builder(name, tagged)
    if builder is None:
        error = remote_error(name, state)
        if error is not None:
            return error
        raise UnknownClassError(f"class {name!r} is not known here; {_HOW} in this program too")
    try:
        return builder(state)
    except PayloadError:
        raise
    except Exception as error:
        if is_signal_handlers(error):
            raise
        raise PayloadError(f"cannot rebuild {name!r}: {type(error).__name__}: {error}") from error


def _builder(name: str, tagged: bool) -> Callable[[Any], Any] | None:
    registration = _by_name.get(name)
    if registration is not None:
        from_state = registration.functions.from_state
        if not tagged:
            return from_state
        return lambda state: from_state({key: state[key] for key in state if key != "__class__"})
    if name in PYRO_OBJECTS:
        return PYRO_OBJECTS[name]
    converter = _pyro_registries()[1].get(name)
    if converter is not None:
        return lambda state: converter(name, {**state, "__class__": name})
    exception = exception_type(name)
    if exception is not None:
        return lambda state: rebuild_exception(exception, state)
    return None


def _pyro_registries() -> tuple[dict[type, Callable[..., Any]], dict[str, Callable[..., Any]]]:
    # Pyro5 has no public way to ask what was registered: class_to_dict and dict_to_class also accept
    # unregistered classes. These two attributes have existed since Pyro4; a test fails if they are removed.
    return (
        getattr(SerializerBase, "_SerializerBase__custom_class_to_dict_registry"),  # noqa: B009
        getattr(SerializerBase, "_SerializerBase__custom_dict_to_class_registry"),  # noqa: B009
    )


def _pyro_converter(value: object) -> Callable[[Any], Any] | None:
    registered = _pyro_registries()[0]
    for cls in list(registered):
        # Pyro5 takes the first entry that fits, for subclasses too. Its own entries would let a Daemon
        # travel.
        if isinstance(value, cls) and not cls.__module__.startswith("Pyro5."):
            return registered[cls]
    return None
