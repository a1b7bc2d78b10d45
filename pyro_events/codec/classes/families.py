"""Families of classes: registers all classes of a module, or several at once.

Knows: which classes belong to a module. Must not know: how instances are taken apart, bytes.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator

from .class_state import state_functions
from .exception_state import dotted
from .registry import add_classes, is_registered_alone


def register_classes(
    family: types.ModuleType | type | Iterable[type], prefix: str | None = None
) -> tuple[type, ...]:
    """Let instances of several classes travel in messages; publisher and subscriber both call it.

    Args:
        family: a module or package, whose own classes are registered, with those that are nested in them,
            or an iterable of classes. Of a module, classes that need `to_dict` and `from_dict` are left
            out, and so are those that `register_class` has registered, with the name and the converters
            that they have.
        prefix: stands in place of the module in the names, where publisher and subscriber import the classes
            from different modules: with "lab" the class `Reading` is called "lab.Reading". Default None: the
            module.

    Returns:
        The classes that were registered.

    Raises:
        TypeError: `family` or `prefix` is something else, or one of the classes given needs `to_dict` and
            `from_dict`. As with the next, none was registered then.
        ValueError: another class has one of the names.

    Example:
        >>> class Reading: ...
        >>> class Alarm: ...
        >>> [cls.__name__ for cls in register_classes([Reading, Alarm], prefix="plant")]
        ['Reading', 'Alarm']
    """
    if prefix is not None and (not isinstance(prefix, str) or not prefix):
        raise TypeError(f"prefix must be a non-empty str, not {prefix!r}")
    if isinstance(family, types.ModuleType):
        classes = [cls for cls in _classes_of(family) if _can_register(cls)]
    elif isinstance(family, type):  # an Enum is iterable too
        classes = [family]
    elif isinstance(family, Iterable) and not isinstance(family, (str, bytes)):
        classes = list(family)
    else:
        raise TypeError(f"register_classes needs a module or classes, not {family!r}")
    for cls in classes:
        if not isinstance(cls, type):
            raise TypeError(f"register_classes needs a module or classes, not {cls!r} among them")
    add_classes((cls, dotted(cls) if prefix is None else f"{prefix}.{cls.__qualname__}") for cls in classes)
    return tuple(classes)


def _classes_of(module: types.ModuleType) -> list[type]:
    """The classes that a module, or a package's modules, define, each once and in their order."""
    found: dict[type, None] = {}
    for thing in list(vars(module).values()):
        # A package often imports the classes that its modules define.
        if isinstance(thing, type) and f"{thing.__module__}.".startswith(f"{module.__name__}."):
            for cls in _with_nested(thing):
                found[cls] = None
    return list(found)


def _with_nested(cls: type) -> Iterator[type]:
    yield cls
    for thing in list(vars(cls).values()):
        if isinstance(thing, type) and thing.__qualname__.startswith(f"{cls.__qualname__}."):
            yield from _with_nested(thing)


def _can_register(cls: type) -> bool:
    if is_registered_alone(cls):
        return False
    try:
        state_functions(cls, None, None)
    except TypeError:
        return False
    return True
