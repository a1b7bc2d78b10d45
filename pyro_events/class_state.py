"""How an instance of a registered class becomes a dict and comes back.

Knows: Enums, dataclasses, named tuples, exceptions, plain classes. Must not know: names on the wire,
who is registered, bytes.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .errors import PayloadError

State = dict[str, Any]


class StateFunctions(NamedTuple):
    """to_dict(instance) -> state, and from_dict(state) -> instance."""

    to_dict: Callable[[Any], State]
    from_dict: Callable[[State], Any]


def is_dunder(name: object) -> bool:
    """Whether `name` is no str, or one that Python gives a meaning."""
    return not isinstance(name, str) or (name.startswith("__") and name.endswith("__"))


def state_functions(
    cls: type,
    to_dict: Callable[[Any], State] | None,
    from_dict: Callable[[State], Any] | None,
) -> StateFunctions:
    """Those given, and for what is missing those that suit the kind of class.

    Raises TypeError when `cls` is of no kind that we can take apart and put together.
    """
    if to_dict is not None and from_dict is not None:
        return StateFunctions(to_dict, from_dict)
    usual = _usual(cls)
    return StateFunctions(to_dict or usual.to_dict, from_dict or usual.from_dict)


def _usual(cls: type) -> StateFunctions:
    if issubclass(cls, enum.Flag):
        return StateFunctions(lambda flag: {"value": flag.value}, lambda state: cls(state["value"]))
    if issubclass(cls, enum.Enum):
        return StateFunctions(lambda member: {"name": member.name}, lambda state: cls[state["name"]])
    if dataclasses.is_dataclass(cls):
        return _dataclass(cls)
    if issubclass(cls, BaseException):
        return StateFunctions(
            lambda error: {"args": error.args, "attributes": dict(vars(error))},
            lambda state: rebuild_exception(cls, state),
        )
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return StateFunctions(lambda value: value._asdict(), lambda state: cls(**state))
    return _plain(cls)


def _dataclass(cls: Any) -> StateFunctions:
    names = [field.name for field in dataclasses.fields(cls)]
    in_init = {field.name for field in dataclasses.fields(cls) if field.init}
    try:
        inspect.signature(cls).bind(**dict.fromkeys(in_init))
    except TypeError as error:
        raise _need_functions(cls, f"its __init__ takes other arguments than its fields ({error})") from None

    def from_dict(state: State) -> Any:
        unknown = state.keys() - names
        if unknown:
            raise PayloadError(f"{cls.__qualname__} has no field {min(map(repr, unknown))}")
        instance = cls(**{name: state[name] for name in state if name in in_init})
        for name in state.keys() - in_init:
            object.__setattr__(instance, name, state[name])
        return instance

    return StateFunctions(lambda value: {name: getattr(value, name) for name in names}, from_dict)


def rebuild_exception(cls: type[BaseException], state: Mapping[str, Any]) -> BaseException:
    """An exception from its `args` and `attributes`, as Pyro5 sends it; no attribute may be a dunder.

    Raises PayloadError, or what the exception's constructor raises.
    """
    args, attributes = state["args"], state.get("attributes", {})
    if not isinstance(args, (list, tuple)) or not isinstance(attributes, dict):
        raise PayloadError(f"not the state of an exception: {cls.__qualname__}")
    error = cls(*args)
    for name, value in attributes.items():
        if is_dunder(name) and name != "__notes__":
            raise PayloadError(f"an exception's attribute cannot be named {name!r}")
        setattr(error, name, value)
    return error


def _plain(cls: type) -> StateFunctions:
    for base in cls.__mro__[:-1]:
        # A base written in C that makes its instances itself: what it keeps is not in attributes.
        if isinstance(vars(base).get("__new__"), types.BuiltinFunctionType):
            raise _need_functions(cls, f"it keeps its contents in {base!r}")
    slots = {
        name: member
        for base in reversed(cls.__mro__)
        for name, member in vars(base).items()
        if isinstance(member, types.MemberDescriptorType)
    }

    def to_dict(value: Any) -> State:
        state = dict(getattr(value, "__dict__", {}))
        for name, slot in slots.items():
            try:
                state[name] = slot.__get__(value, cls)
            except AttributeError:
                continue  # a slot that was never set stays so on the other side
        return state

    def from_dict(state: State) -> Any:
        instance: Any = object.__new__(cls)
        attributes = getattr(instance, "__dict__", None)
        for name, value in state.items():
            if name in slots:
                slots[name].__set__(instance, value)
            elif is_dunder(name) or attributes is None:
                raise PayloadError(f"{cls.__qualname__} has no attribute {name!r}")
            else:
                attributes[name] = value
        return instance

    return StateFunctions(to_dict, from_dict)


def _need_functions(cls: type, reason: str) -> TypeError:
    return TypeError(f"cannot take {cls!r} apart by itself: {reason}; give to_dict and from_dict")
