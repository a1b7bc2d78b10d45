"""Classes that may travel in a message, by name.

A value of a class is written as the class's name and a dict, its state. Nothing that is received
names a thing to import or to look up: a name is a key of a table that this program filled, by
`register_class` here, by Pyro5's own `register_class_to_dict` and `register_dict_to_class`, or with
the exceptions, `URI` and `Proxy` that Pyro5 carries.

Knows: classes, names and states; Pyro5's serializer registries. Must not know: bytes.

Here too, in `register_with_pyro`, is everything of ours that crosses Pyro's own wire.
"""

from __future__ import annotations

import builtins
import importlib
import struct
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar, overload

import Pyro5.errors
from Pyro5.client import Proxy
from Pyro5.core import URI
from Pyro5.serializers import SerializerBase

from . import errors
from .class_state import StateFunctions, rebuild_exception, state_functions
from .codec_types import WRITERS
from .errors import PayloadError, UnsupportedTypeError

C = TypeVar("C", bound=type)
State = dict[str, Any]

_NATIVE: Final = frozenset((type(None), bool, int, float, str, bytes, bytearray, memoryview, list, dict))
MAX_URI: Final = 4096  # far more than a host name and an object id need
_HOW: Final = "register it with pyro_events.register_class"


class UnknownClassError(LookupError):
    """Nothing in this program knows the class of that name."""


class _Registration(NamedTuple):
    name: str
    cls: type
    functions: StateFunctions


# Replaced as a whole, never changed: whoever reads them needs no lock.
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
    """Let instances of `cls` travel in messages; publisher and subscriber both call it.

    Also a decorator, with or without arguments. Enums travel by the member's name (flags by their
    value), dataclasses by their fields, named tuples by their items, exceptions by `args` and
    attributes, other classes by their attributes (slots too), without `__init__` being called.
    `to_dict(instance) -> dict` and `from_dict(dict) -> instance` replace that; `from_dict` gets data
    from the network and should check it, and it may be called more than once for one message.
    A subclass is another class and needs its own call.

    name: what both sides call the class, by default its module and qualified name; give one when the
    class is defined in the main program. Raises TypeError when `cls` is no class or one that needs
    `to_dict` and `from_dict`; ValueError when the name is taken by another class or the type is
    carried anyway.
    """
    if cls is None:
        return lambda decorated: register_class(decorated, name=name, to_dict=to_dict, from_dict=from_dict)
    if not isinstance(cls, type):
        raise TypeError(f"register_class needs a class, not {cls!r}")
    if cls in _NATIVE or cls in WRITERS or cls in (URI, Proxy):
        raise ValueError(f"{cls!r} is carried anyway; it cannot be registered")
    label = f"{cls.__module__}.{cls.__qualname__}" if name is None else name
    if not isinstance(label, str) or not label:
        raise TypeError(f"the name of {cls!r} must be a non-empty str, not {name!r}")
    _add(_Registration(label, cls, state_functions(cls, to_dict, from_dict)))
    return cls


def _add(new: _Registration) -> None:
    global _by_class, _by_name
    with _changing:
        old = _by_name.get(new.name)
        # The same module and name again is a module that was reloaded.
        if old is not None and (old.cls.__module__, old.cls.__qualname__) != (
            new.cls.__module__,
            new.cls.__qualname__,
        ):
            raise ValueError(f"the name {new.name!r} is taken by {old.cls!r}; give another name=")
        by_name = {name: known for name, known in _by_name.items() if known.cls is not new.cls}
        _by_name = {**by_name, new.name: new}
        _by_class = {**_by_class, new.cls: new}


def describe(value: Any) -> tuple[str | None, State]:
    """Name and state of `value`; the name is None when Pyro5's converter gave a dict without one.

    Raises UnsupportedTypeError, whose text says what to do.
    """
    kind = type(value)
    registration = _by_class.get(kind)
    if registration is not None:
        return registration.name, _checked_state(registration.functions.to_dict(value))
    if kind is URI:
        return "Pyro5.core.URI", {"state": value.__getstate__()}
    if issubclass(kind, Proxy):
        # A proxy of any class stands for its object, so it arrives as a plain one; neither the
        # handshake, which may hold a secret, nor the wish for a serializer travels.
        return "Pyro5.client.Proxy", {"state": (*value.__getstate__()[:4], "hello", None)}
    converter = _pyro_converter(value)
    if converter is not None:
        state = _checked_state(converter(value))
        name = state.get("__class__")
        return (name if isinstance(name, str) else None), state
    if isinstance(value, BaseException) and _exception_type(_dotted(kind)) is kind:
        return _dotted(kind), {"__exception__": True, "args": value.args, "attributes": dict(vars(value))}
    raise UnsupportedTypeError(_HOW)


def _checked_state(state: object) -> State:
    if type(state) is not dict:
        raise UnsupportedTypeError(f"its converter returned {type(state)!r} instead of a dict")
    return state


def restore(name: str, state: Mapping[str, Any]) -> Any:
    """The instance that `describe` described, or that a stock Pyro5 program sent as a class-tagged dict.

    Raises UnknownClassError when no table has the name, PayloadError when the state does not fit.
    """
    builder = _builder(name)
    if builder is None:
        raise UnknownClassError(f"class {name!r} is not known here; {_HOW} in this program too")
    try:
        return builder(state)
    except PayloadError:
        raise
    except Exception as error:
        raise PayloadError(f"cannot rebuild {name!r}: {type(error).__name__}: {error}") from error


def _builder(name: str) -> Callable[[Mapping[str, Any]], Any] | None:
    registration = _by_name.get(name)
    if registration is not None:
        from_dict = registration.functions.from_dict
        return lambda state: from_dict({key: state[key] for key in state if key != "__class__"})
    if name in _PYRO_OBJECTS:
        return _PYRO_OBJECTS[name]
    converter = _pyro_registries()[1].get(name)
    if converter is not None:
        return lambda state: converter(name, {**state, "__class__": name})
    exception = _exception_type(name)
    if exception is not None:
        return lambda state: rebuild_exception(exception, state)
    return None


def _restore_uri(state: Mapping[str, Any]) -> URI:
    protocol, name, sockname, host, port = state["state"]
    names = set(name) if protocol == "PYROMETA" else {name}
    if (
        protocol not in ("PYRO", "PYRONAME", "PYROMETA")
        or not all(isinstance(text, str) for text in (*names, sockname or "", host or ""))
        or not (port is None or type(port) is int)
    ):
        raise PayloadError("not the state of a URI")
    uri = URI.__new__(URI)
    uri.__setstate__((protocol, names if protocol == "PYROMETA" else name, sockname, host, port))
    return uri


def _restore_proxy(state: Mapping[str, Any]) -> Proxy:
    uri, *names = state["state"][:4]
    if not all(isinstance(name, str) for name in (uri, *names[0], *names[1], *names[2])):
        raise PayloadError("not the state of a Proxy")
    # Pyro5's expression for a URI takes quadratic time when there is a line break.
    if len(uri) > MAX_URI or "\n" in uri:
        raise PayloadError("not the URI of a Proxy")
    proxy = Proxy.__new__(Proxy)
    # Whoever sent it chooses neither what we say in the handshake nor the serializer.
    proxy.__setstate__((uri, *names, "hello", None))
    return proxy


_PYRO_OBJECTS: Final[dict[str, Callable[[Mapping[str, Any]], Any]]] = {
    "Pyro5.core.URI": _restore_uri,
    "Pyro5.client.Proxy": _restore_proxy,
}


def _pyro_registries() -> tuple[dict[type, Callable[..., Any]], dict[str, Callable[..., Any]]]:
    # Pyro5 has no public way to ask what was registered: class_to_dict and dict_to_class also accept
    # what was not. These two attributes have been there since Pyro4; a test notices when they go.
    return (
        getattr(SerializerBase, "_SerializerBase__custom_class_to_dict_registry"),  # noqa: B009
        getattr(SerializerBase, "_SerializerBase__custom_dict_to_class_registry"),  # noqa: B009
    )


def _pyro_converter(value: object) -> Callable[[Any], Any] | None:
    registered = _pyro_registries()[0]
    for cls in list(registered):
        # Pyro5 takes the first that fits, for subclasses too. Its own entries let a Daemon travel.
        if isinstance(value, cls) and not cls.__module__.startswith("Pyro5."):
            return registered[cls]
    return None


def _dotted(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _exceptions() -> dict[str, type[BaseException]]:
    known: dict[str, type[BaseException]] = {"struct.error": struct.error}
    for module, least in ((builtins, BaseException), (Pyro5.errors, Pyro5.errors.PyroError)):
        for name, thing in vars(module).items():
            if isinstance(thing, type) and issubclass(thing, least):
                known[f"{module.__name__}.{name}"] = thing
                known.setdefault(name, thing)  # Pyro5 accepts the bare name too
    for name in errors.__all__:
        known[f"{errors.__name__}.{name}"] = getattr(errors, name)
    return known


_EXCEPTIONS: Final = _exceptions()
_SQLITE_ERRORS: Final = frozenset(
    [
        "DataError",
        "DatabaseError",
        "Error",
        "IntegrityError",
        "InterfaceError",
        "InternalError",
        "NotSupportedError",
        "OperationalError",
        "ProgrammingError",
    ]
)


def _exception_type(name: str) -> type[BaseException] | None:
    module, _, short = name.rpartition(".")
    if module == "sqlite3" and short in _SQLITE_ERRORS:
        # Pyro5 carries these. Python may have been built without the module.
        sqlite3 = importlib.import_module("sqlite3")
        return getattr(sqlite3, short)  # type: ignore[no-any-return]
    return _EXCEPTIONS.get(name)


def register_with_pyro() -> None:
    """Make Event and our errors known to Pyro5's serializers, in this process, for either direction.

    Does no harm when called again. Pyro5's configuration stays as it is.
    """
    from .event import Event  # event -> codec -> registry: only a late import breaks the circle

    # For subclasses too, such as IdentProxy: Pyro5 would send their own name, which nobody can read.
    SerializerBase.register_class_to_dict(
        Proxy,
        lambda proxy: {"__class__": "Pyro5.client.Proxy", "state": proxy.__getstate__()},
        serpent_too=False,
    )

    name = _dotted(Event)
    SerializerBase.register_class_to_dict(Event, Event.to_dict)
    SerializerBase.register_dict_to_class(name, lambda _, state: Event.from_dict(state))
    for error in errors.__all__:
        cls = getattr(errors, error)
        SerializerBase.register_dict_to_class(
            _dotted(cls), lambda _, state, cls=cls: rebuild_exception(cls, state)
        )
