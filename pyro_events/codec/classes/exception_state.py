"""Exceptions as dicts, and back without calling the constructor of a program's class.

Knows: which exceptions every program knows, and what exceptions keep in addition to their attributes. Must
not know: names on the wire, which classes are registered, bytes.

The dict has the keys that Pyro5 gives it, "args" and "attributes". "fields" has what a class written in C
keeps elsewhere, unless that follows from `args`. Traceback, context, cause and the object of an
AttributeError are left out, as in pickle; notes are included.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import struct
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import Pyro5.errors

from ... import errors
from ...errors import PayloadError, RemoteError, UnsupportedTypeError
from ...foreign_exceptions import is_signal_handlers
from .instance_state import (
    Attributes,
    State,
    StateFunctions,
    default_state,
    is_built_in,
    is_dunder,
    own_method,
    set_default_state,
)

NOTES: Final = "__notes__"
REMOTE: Final = f"{RemoteError.__module__}.{RemoteError.__qualname__}"
# Not carried as a field, or derived from `args`.
_NO_FIELDS: Final[dict[str, frozenset[str]]] = {
    "BaseException": frozenset({"args"}),
    "AttributeError": frozenset({"obj"}),
    "BaseExceptionGroup": frozenset({"message", "exceptions"}),
}
_UNICODE: Final[dict[type, type]] = {
    UnicodeDecodeError: bytes,
    UnicodeEncodeError: str,
    UnicodeTranslateError: str,
}
_UNSET: Final = object()


def dotted(cls: type) -> str:
    """The default name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _known_exceptions() -> dict[str, type[BaseException]]:
    known: dict[str, type[BaseException]] = {"struct.error": struct.error}
    for module, least in ((builtins, BaseException), (Pyro5.errors, Pyro5.errors.PyroError)):
        for name, thing in vars(module).items():
            if isinstance(thing, type) and issubclass(thing, least):
                known[f"{module.__name__}.{name}"] = thing
                known.setdefault(name, thing)  # Pyro5 accepts the bare name too
    for name in errors.__all__:
        known[f"{errors.__name__}.{name}"] = getattr(errors, name)
    return known


_EXCEPTIONS: Final = _known_exceptions()
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


def exception_type(name: str) -> type[BaseException] | None:
    """The exception with that name that every program knows, or None."""
    module, _, short = name.rpartition(".")
    if module == "sqlite3" and short in _SQLITE_ERRORS:
        # Pyro5 carries these. Python may have been built without the module.
        sqlite3 = importlib.import_module("sqlite3")
        return getattr(sqlite3, short)  # type: ignore[no-any-return]
    return _EXCEPTIONS.get(name)


def describe_exception(error: BaseException) -> State:
    """The state of an exception. Raises UnsupportedTypeError if `rebuild_exception` could not use it."""
    cls: Any = type(error)
    args = error.args
    try:
        blank = _blank(cls, args)
    except Exception as failure:
        if is_signal_handlers(failure):
            raise
        raise UnsupportedTypeError(f"it cannot be made from its args again: {failure}") from None
    state: State = {"__exception__": True, "args": args, "attributes": _attributes(error)}
    fields = {}
    for name, field in _fields(cls).items():
        value = _field(field, error)
        if value is not _UNSET and not _same(value, _field(field, blank)):
            fields[name] = value
    if fields:
        state["fields"] = fields
        try:
            _set_fields(blank, fields)
        except Exception as failure:
            if is_signal_handlers(failure):
                raise
            raise UnsupportedTypeError(f"it cannot be made again: {failure}") from None
    return state


def rebuild_exception(cls: type[BaseException], state: Mapping[str, Any]) -> BaseException:
    """An exception from its state, or from what Pyro5 sends.

    Raises PayloadError, or what Python's own exceptions raise for invalid args.
    """
    error = _rebuilt_without_attributes(cls, state)
    attributes = state.get("attributes", {})
    if not isinstance(attributes, dict):
        raise PayloadError(f"not the state of an exception: {cls.__qualname__}")
    for name in attributes:
        if is_dunder(name) and name != NOTES:
            raise PayloadError(f"an exception's attribute cannot be named {name!r}")
    error.__dict__.update(attributes)
    return error


def _rebuilt_without_attributes(cls: type[BaseException], state: Mapping[str, Any]) -> BaseException:
    args, fields = state["args"], state.get("fields", {})
    if not isinstance(args, (list, tuple)) or not isinstance(fields, dict):
        raise PayloadError(f"not the state of an exception: {cls.__qualname__}")
    error = _blank(cls, tuple(args))
    _set_fields(error, fields)
    return error


def _blank(cls: Any, args: tuple[Any, ...]) -> BaseException:
    """An exception with only its args, and what a class written in C derives from them."""
    base = cls
    while not is_built_in(base):
        base = base.__base__
    try:
        error = base.__new__(cls, *args)
        base.__init__(error, *args)
        known = type(error) is cls
    except Exception as failure:
        if is_built_in(cls) or is_signal_handlers(failure):
            raise
        known = False
    if not known:  # a program's class may keep any args; and OSError(2, …) makes a FileNotFoundError
        error = base.__new__(cls)
    error.args = args
    _check_unicode(error)
    return error  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def _fields(cls: Any) -> dict[str, Any]:
    """What instances keep in addition to `__dict__`: slots, and the fields of classes written in C."""
    kinds = (types.MemberDescriptorType, types.GetSetDescriptorType)
    return {
        name: member
        for base in reversed(cls.__mro__)
        for name, member in vars(base).items()
        if isinstance(member, kinds) and not is_dunder(name)
        if not (is_built_in(base) and name in _NO_FIELDS.get(base.__name__, ()))
    }


def _field(field: Any, error: BaseException) -> Any:
    try:
        return field.__get__(error)
    except (AttributeError, TypeError) as failure:
        if is_signal_handlers(failure):
            raise
        return _UNSET


def _same(one: Any, other: Any) -> bool:
    if one is other or type(one) is not type(other):
        return one is other
    return bool(one == other) if isinstance(one, (int, str, bytes)) else False


def _set_fields(error: BaseException, values: Mapping[str, Any]) -> None:
    if not values:
        return
    cls: Any = type(error)
    fields = _fields(cls)
    for name, value in values.items():
        if name not in fields:
            raise PayloadError(f"{type(error).__qualname__} has no {name!r}")
        fields[name].__set__(error, value)
    _check_unicode(error)


def _check_unicode(error: BaseException) -> None:
    """Python itself does not check these: with other values, showing such an error can end the
    interpreter."""
    if not isinstance(error, UnicodeError):
        return
    kind: Any = next((_UNICODE[cls] for cls in type(error).__mro__ if cls in _UNICODE), None)
    if kind is None:
        return
    unicode: Any = error
    content: Any = unicode.object
    if content is None:
        return
    if type(content) is not kind or not all(0 <= at <= len(content) for at in (unicode.start, unicode.end)):
        raise PayloadError(f"{type(error).__name__} with a position outside of its object")


def _attributes(error: BaseException) -> State:
    attributes = dict(vars(error))
    for name in attributes:
        if is_dunder(name) and name != NOTES:
            raise UnsupportedTypeError(f"its attribute {name!r} has a name that Python reserves; use to_dict")
    return attributes


def exception_functions(cls: type[BaseException]) -> StateFunctions:
    """The functions for an exception class that a program registers."""
    getstate, setstate = own_method(cls, "__getstate__"), own_method(cls, "__setstate__")
    if getstate is None and setstate is None:
        return StateFunctions(describe_exception, lambda state: rebuild_exception(cls, state))
    attributes = Attributes(cls)

    def to_state(error: BaseException) -> State:
        state = describe_exception(error)
        del state["attributes"]
        state["state"] = default_state(error, attributes) if getstate is None else getstate(error)
        return state

    def from_state(state: State) -> BaseException:
        error = _rebuilt_without_attributes(cls, state)
        if setstate is None:
            set_default_state(error, attributes, state["state"])
        elif state["state"] is not None:
            setstate(error, state["state"])
        return error

    return StateFunctions(to_state, from_state)


def describe_remote(error: BaseException) -> State:
    """The state of the RemoteError that arrives in place of an exception whose class is not registered."""
    try:
        text = str.__str__(str(error))
    except Exception as failure:
        if is_signal_handlers(failure):
            raise
        text = f"its text could not be made: {type(failure).__name__}"
    notes = vars(error).get(NOTES)
    told = type(notes) is list and all(type(note) is str for note in notes)
    attributes = {NOTES: notes} if told else {}
    return {"__exception__": True, "args": (dotted(type(error)), text), "attributes": attributes}


def remote_error(name: str, state: object) -> RemoteError | None:
    """The stand-in for an exception whose class is not known here; None if the state is not that of an
    exception."""
    if type(state) is not dict or state.get("__exception__") is not True:
        return None
    args = state.get("args")
    text = ""
    with contextlib.suppress(
        Exception
    ):  # an int that is too long to be shown, a registered class's own __str__
        if isinstance(args, (list, tuple)):
            text = str(args[0]) if len(args) == 1 else str(tuple(args)) if args else ""
    return RemoteError(name, text)
