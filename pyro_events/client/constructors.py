"""Constructors that call the next class's constructor, but only if the program asks for that.

Knows: how `__init__` was called, the order of the bases, and the names of arguments. Must not know: what a
constructor does with its arguments, of which the first is `ident`.

Programs written for Pyro3 call the constructor of each base by its name, `Publisher.__init__(self)`. Those
written today call `super().__init__()`, and rely on each class to call the next. Calling the next constructor
in the first case would initialise a base twice, which a window or a started thread does not tolerate; not
calling it in the second would leave bases out. Python tells the two apart: the first takes `__init__` from
the class; the second, as making an object does, takes it from the instance.
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..wire.handshake.passphrase import sealed

Init = TypeVar("Init", bound=Callable[..., None])


class _Cooperative:
    """An `__init__` that calls the next class's if it was taken from an instance."""

    def __init__(self, init: Callable[..., None], abandon: Callable[[Any], object]) -> None:
        functools.update_wrapper(cast(Any, self), init)
        self._init = init
        self._abandon = abandon
        self._owner: type | None = None
        self._names = frozenset(inspect.signature(init).parameters)

        @functools.wraps(init)
        def entered(instance: Any, *args: Any, **named: Any) -> None:
            args, named = _sealed(args, named)
            self.run(instance, *args, **named)

        self._entered = entered

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner = owner

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., None]:
        return self._init if instance is None else types.MethodType(self._entered, instance)

    def run(self, instance: Any, *args: Any, **named: Any) -> None:
        """Initialise the instance, then the bases after our class. ident is wrapped.

        Each constructor gets those of the named arguments that it takes.
        """
        later = self._names_later(instance)
        # A name that none of them takes is left to ours, which refuses it.
        ours = {name: each for name, each in named.items() if name in self._names or name not in later}
        self._init(instance, *args, **ours)
        try:
            self._go_on(instance, args, {name: each for name, each in named.items() if name in later})
        except BaseException:
            self._abandon(instance)
            raise

    def _names_later(self, instance: Any) -> frozenset[str]:
        """The arguments of the constructors of ours that follow."""
        later = self._later(instance)
        names = [base.__dict__["__init__"]._names for base in later if _is_ours(base)]
        return frozenset().union(*names)

    def _later(self, instance: Any) -> tuple[type, ...]:
        """The bases after our class."""
        bases = type(instance).__mro__
        return bases[bases.index(cast(type, self._owner)) + 1 :]

    def _go_on(self, instance: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        for base in self._later(instance):
            following = base.__dict__.get("__init__")
            if isinstance(following, _Cooperative):
                following.run(instance, *args, **named)
                return
            if following is not None:
                if base is not object and not _is_started(instance) and _needs_nothing(following):
                    following(instance)
                return


def _is_ours(base: type) -> bool:
    """Whether a class has such a constructor of its own."""
    return isinstance(base.__dict__.get("__init__"), _Cooperative)


def _sealed(args: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a constructor with the first, `ident`, wrapped, so that no traceback shows it."""
    args = (sealed(args[0]), *args[1:]) if args else ()
    if "ident" in named:
        named = {**named, "ident": sealed(named["ident"])}
    return args, named


def cooperative(abandon: Callable[[Any], object]) -> Callable[[Init], Init]:
    """Make an `__init__` cooperative. abandon: called with the instance if a later `__init__` raises."""

    def made(init: Init) -> Init:
        return cast(Init, _Cooperative(init, abandon))

    return made


def _is_started(instance: Any) -> bool:
    """Whether it is a thread whose `__init__` has run; running it again would forget its target."""
    return isinstance(instance, threading.Thread) and bool(getattr(instance, "_initialized", False))


def _needs_nothing(init: Callable[..., Any]) -> bool:
    """Whether a constructor can be called without arguments; the program must call one that cannot."""
    try:
        inspect.signature(init).bind(None)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True
