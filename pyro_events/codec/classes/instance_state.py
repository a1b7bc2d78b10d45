"""The attributes of an instance as a dict, and an instance from such a dict.

Knows: `__dict__`, slots, the fields of dataclasses, `__getstate__` and `__setstate__`. Must not know: other
kinds of classes, names on the wire, which classes are registered, bytes.

No constructor runs and nothing is computed: an instance arrives with the attributes that it had. If a class
defines `__getstate__` or `__setstate__` itself, these are used, as in pickle.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ...errors import PayloadError, UnsupportedTypeError

State = dict[str, Any]

_HEAP_TYPE: Final = 1 << 9  # CPython's flag of classes that are not built into the interpreter
# typing stores the alias by which a generic class was called, Box[int], as an attribute of the instance. The
# instance says the same without it, and it cannot be carried.
_ALIAS: Final = "__orig_class__"
# attrs stores a hash here, which another process computes differently; None makes attrs compute it again.
_CACHED_HASH: Final = "_attrs_cached_hash"
# Attribute names of one class that were checked and need not be checked again.
_MOST_CHECKED: Final = 1_000


class StateFunctions(NamedTuple):
    """to_state(instance) -> state, and from_state(state) -> instance."""

    to_state: Callable[[Any], Any]
    from_state: Callable[[Any], Any]


def is_dunder(name: object) -> bool:
    """Whether `name` is not a str, or is a name with a meaning in Python."""
    return not isinstance(name, str) or (name.startswith("__") and name.endswith("__"))


def is_built_in(cls: type) -> bool:
    """Whether a class is part of the interpreter or of an extension that was compiled the same way."""
    return not cls.__flags__ & _HEAP_TYPE


def own_method(cls: type, name: str) -> Callable[..., Any] | None:
    """The method of that name that a program defined; None for the one that Python gives to every class."""
    for base in cls.__mro__:
        if name in vars(base):
            # Dataclasses with slots get both methods from the dataclasses module; these do the same as the
            # functions here.
            generated = getattr(vars(base)[name], "__module__", None) == "dataclasses"
            method: Callable[..., Any] | None = getattr(cls, name)
            return None if is_built_in(base) or generated else method
    return None


def slots_of(cls: type) -> dict[str, Any]:
    """The descriptors of a class's slots, by name."""
    return {
        name: member
        for base in reversed(cls.__mro__)
        if not is_built_in(base)
        for name, member in vars(base).items()
        if isinstance(member, types.MemberDescriptorType)
    }


class Attributes:
    """Reads and sets the attributes of the instances of one class, those in `__dict__` and those in slots."""

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self.slots = slots_of(cls)
        # Slots of a base that are hidden by a slot of the same name: both have a value, and a dict can hold
        # only one.
        self._hidden = [
            member
            for base in cls.__mro__
            if not is_built_in(base)
            for name, member in vars(base).items()
            if isinstance(member, types.MemberDescriptorType) and member is not self.slots[name]
        ]
        self._checked: set[str] = set()

    def taken(self, value: Any) -> State:
        """The attributes of `value`. Raises UnsupportedTypeError for a name that `put` would refuse."""
        state: State = dict(getattr(value, "__dict__", ()))
        if not self._checked.issuperset(state):
            self._check_names(state)
        if self.slots:
            self._take_slots(value, state)
        return state

    def _take_slots(self, value: Any, state: State) -> None:
        for name, slot in self.slots.items():
            if name in state:
                raise UnsupportedTypeError(f"it has both a slot and an attribute named {name!r}")
            try:
                state[name] = slot.__get__(value, self._cls)
            except AttributeError:
                continue  # a slot that was not set is not set on the other side either
        for slot in self._hidden:
            if _is_set(slot, value):
                raise UnsupportedTypeError(f"it has two slots named {slot.__name__!r}")
        if _CACHED_HASH in state:
            state[_CACHED_HASH] = None

    def _check_names(self, state: State) -> None:
        state.pop(_ALIAS, None)
        hashed = state.pop(_CACHED_HASH, _ALIAS) is not _ALIAS
        for name in state:
            if is_dunder(name):
                raise UnsupportedTypeError(
                    f"its attribute {name!r} has a name that Python reserves; use to_dict"
                )
        if len(self._checked) < _MOST_CHECKED:
            self._checked.update(state)
        if hashed:
            state[_CACHED_HASH] = None

    def put(self, instance: Any, state: Mapping[str, Any]) -> None:
        """Set the attributes, even if the class forbids setting them. Raises PayloadError."""
        if type(state) is not dict:
            raise PayloadError(f"not the state of {self._cls.__qualname__}")
        attributes = getattr(instance, "__dict__", None)
        for name, value in state.items():
            if name in self.slots:
                self.slots[name].__set__(instance, value)
            elif is_dunder(name) or attributes is None:
                raise PayloadError(f"{self._cls.__qualname__} has no attribute {name!r}")
            else:
                attributes[name] = value


def _is_set(slot: Any, value: Any) -> bool:
    try:
        slot.__get__(value)
    except AttributeError:
        return False
    return True


def instance_functions(cls: type) -> StateFunctions:
    """The functions for a dataclass, or for a class of no special kind.

    Raises TypeError if its instances keep something in a base class that is written in C.
    """
    check_contents(cls)
    attributes = Attributes(cls)
    getstate, setstate = own_method(cls, "__getstate__"), own_method(cls, "__setstate__")
    if getstate is not None or setstate is not None:
        return _own_functions(cls, attributes, getstate, setstate)
    if dataclasses.is_dataclass(cls):
        return _dataclass_functions(cls, attributes)

    def from_state(state: State) -> Any:
        instance: Any = object.__new__(cls)
        attributes.put(instance, state)
        return instance

    return StateFunctions(attributes.taken, from_state)


def _dataclass_functions(cls: Any, attributes: Attributes) -> StateFunctions:
    """As for any class, but fields that another version of the class does not have get their defaults."""
    missing = dataclasses.MISSING
    factories, defaults, required = {}, {}, set()
    for field in dataclasses.fields(cls):
        if field.default_factory is not missing:
            factories[field.name] = field.default_factory
        elif field.default is not missing:
            if field.name in attributes.slots:  # if not in slots, the class has the default as an attribute
                defaults[field.name] = field.default
        elif field.init:
            required.add(field.name)
    filled = required | factories.keys() | defaults.keys()

    def to_state(value: Any) -> State:
        state = attributes.taken(value)
        if not filled.issubset(state):
            raise UnsupportedTypeError(f"its field {min(filled - state.keys())!r} is not set")
        return state

    def from_state(state: State) -> Any:
        instance: Any = object.__new__(cls)
        attributes.put(instance, state)
        if not filled.issubset(state):
            absent = filled - state.keys()
            if absent & required:
                raise PayloadError(f"its field {min(absent & required)!r} is missing")
            values = {name: factories[name]() if name in factories else defaults[name] for name in absent}
            attributes.put(instance, values)
        return instance

    return StateFunctions(to_state, from_state)


def _own_functions(
    cls: type,
    attributes: Attributes,
    getstate: Callable[..., Any] | None,
    setstate: Callable[..., Any] | None,
) -> StateFunctions:
    """The functions for a class that defines one or both of pickle's methods. The other one is Python's."""

    def to_state(value: Any) -> Any:
        state = default_state(value, attributes) if getstate is None else getstate(value)
        if setstate is None and _parts(state) is None:
            raise UnsupportedTypeError(
                f"its __getstate__ returned {type(state)!r}, and it has no __setstate__"
            )
        return state

    def from_state(state: Any) -> Any:
        instance: Any = object.__new__(cls)
        if setstate is None:
            set_default_state(instance, attributes, state)
        elif state is not None:
            setstate(instance, state)
        return instance

    return StateFunctions(to_state, from_state)


def default_state(value: Any, attributes: Attributes) -> Any:
    """The result of Python's own `__getstate__`: a dict, a tuple of two if there are slots, or None for
    nothing."""
    state = attributes.taken(value)
    if not attributes.slots:
        return state or None
    slots = {name: state.pop(name) for name in attributes.slots if name in state}
    return (state or None, slots) if slots else state or None


def set_default_state(instance: Any, attributes: Attributes, state: Any) -> None:
    """Do what Python does with such a state if there is no `__setstate__`. Raises PayloadError."""
    parts = _parts(state)
    if parts is None:
        raise PayloadError(f"not the state of {type(instance).__qualname__}")
    for part in parts:
        attributes.put(instance, part)


def _parts(state: Any) -> list[State] | None:
    """The dicts that such a state consists of; None if it is something else."""
    parts = state if type(state) is tuple and len(state) == 2 else (state,)
    if all(part is None or type(part) is dict for part in parts):
        return [part for part in parts if part is not None]
    return None


def check_contents(cls: type) -> None:
    """Raise TypeError for a class whose instances contain more than their attributes."""
    for base in cls.__mro__:
        # A base written in C that makes its instances itself keeps more than attributes.
        foreign = isinstance(vars(base).get("__new__"), types.BuiltinFunctionType) or is_built_in(base)
        if base is not object and foreign:
            raise need_functions(cls, f"it keeps its contents in {base!r}")
    if cls is object:
        raise need_functions(cls, "it has no attributes")
    # A few classes of extensions show only now that they cannot be made. An abstract class has no instances
    # of its own. A `__del__` might fail for an instance that was not initialised.
    if not inspect.isabstract(cls) and not hasattr(cls, "__del__"):
        try:
            object.__new__(cls)
        except TypeError as error:
            raise need_functions(cls, str(error)) from None


def need_functions(cls: type, reason: str) -> TypeError:
    """The error of a class that cannot be registered without converters."""
    return TypeError(f"cannot take {cls!r} apart by itself: {reason}; give to_dict and from_dict")
