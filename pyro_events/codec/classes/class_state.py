"""How an instance of a registered class is turned into its state and back.

Knows: which kinds of classes there are, Enums and named tuples. Must not know: names on the wire, which
classes are registered, bytes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from ...errors import PayloadError, UnsupportedTypeError
from .exception_state import exception_functions
from .instance_state import Attributes, State, StateFunctions, instance_functions, need_functions, own_method

__all__ = ["State", "StateFunctions", "state_functions"]


def state_functions(
    cls: type,
    to_dict: Callable[[Any], State] | None,
    from_dict: Callable[[State], Any] | None,
) -> StateFunctions:
    """The functions given, and for those that are missing, the ones for this kind of class.

    Raises TypeError if instances of `cls` cannot be taken apart and rebuilt.
    """
    for name, converter in (("to_dict", to_dict), ("from_dict", from_dict)):
        if converter is not None and not callable(converter):
            raise TypeError(f"{name} must be a function, not {type(converter).__name__}")
    if to_dict is not None and from_dict is not None:
        return StateFunctions(_checked(to_dict), from_dict)
    usual = _usual(cls)
    return StateFunctions(
        usual.to_state if to_dict is None else _checked(to_dict), from_dict or usual.from_state
    )


def _checked(to_dict: Callable[[Any], State]) -> Callable[[Any], State]:
    def to_state(value: Any) -> State:
        state = to_dict(value)
        if type(state) is not dict:
            raise UnsupportedTypeError(f"its converter returned {type(state)!r} instead of a dict")
        return state

    return to_state


def _usual(cls: type) -> StateFunctions:
    if issubclass(cls, enum.Flag):
        return _flag(cls)
    if issubclass(cls, enum.Enum):
        return _enum(cls)
    if issubclass(cls, BaseException):
        return exception_functions(cls)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _named_tuple(cls)
    return instance_functions(cls)


def _flag(cls: type[enum.Flag]) -> StateFunctions:
    def to_state(flag: Any) -> State:
        try:
            known = cls(flag.value) is flag
        except ValueError:
            known = False
        if not known:
            raise UnsupportedTypeError("it is not a member of its Flag")
        return {"value": flag.value}

    def from_state(state: State) -> Any:
        flag = cls(state["value"])
        if type(flag) is not cls:  # a Flag may turn unknown bits into an int
            raise PayloadError(f"{cls.__qualname__} has no such member")
        return flag

    return StateFunctions(to_state, from_state)


def _enum(cls: Any) -> StateFunctions:
    def to_state(member: Any) -> State:
        # By identity: `_missing_` can make members that no other program can find.
        if cls.__members__.get(member.name) is not member:
            raise UnsupportedTypeError("it is not a member of its Enum")
        return {"name": member.name}

    return StateFunctions(to_state, lambda state: cls[state["name"]])


def _named_tuple(cls: Any) -> StateFunctions:
    if own_method(cls, "__getstate__") is not None or own_method(cls, "__setstate__") is not None:
        raise need_functions(cls, "it is a tuple with a __getstate__ or __setstate__ of its own")
    fields, defaults = tuple(cls._fields), dict(getattr(cls, "_field_defaults", {}))
    names = frozenset(fields)
    attributes = Attributes(cls)

    def to_state(value: Any) -> State:
        state = attributes.taken(value)
        if tuple.__len__(value) != len(fields) or names & state.keys():
            raise UnsupportedTypeError("it has other items than the fields of its class")
        return {**dict(zip(fields, tuple.__iter__(value), strict=True)), **state}

    def from_state(state: State) -> Any:
        missing = names - state.keys() - defaults.keys()
        if missing:
            raise PayloadError(f"its field {min(missing)!r} is missing")
        instance = tuple.__new__(cls, [state[name] if name in state else defaults[name] for name in fields])
        others = {name: value for name, value in state.items() if name not in names}
        if others:
            attributes.put(instance, others)
        return instance

    return StateFunctions(to_state, from_state)
