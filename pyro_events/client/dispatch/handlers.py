"""Handlers: checks that a program's `event` or `on_reconnect` does something when it is called.

Knows: which callables only make an object that something else must run: coroutines and generators. Must not
know: events, threads, or when a handler is called.

Such a handler would count as successful and do nothing. Most are found before the first event, by looking
inside partials, bound methods and decorators. The others are recognized by their result.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any, Final, cast

# A chain of decorators longer than this is a mistake, or has no end.
_MOST_LAYERS: Final = 100

_REMEDY: Final = (
    "make it a plain function; asyncio programs have pyro_events.aio, or hand over to their loop, for "
    "instance with loop.call_soon_threadsafe(queue.put_nowait, event)"
)
_KINDS: Final[tuple[tuple[Callable[[Any], bool], str], ...]] = (
    (inspect.iscoroutinefunction, "a coroutine function (async def)"),
    (inspect.isasyncgenfunction, "an async generator function (async def with yield)"),
    (inspect.isgeneratorfunction, "a generator function (it contains yield)"),
)
_RESULTS: Final[tuple[tuple[type, str], ...]] = (
    (Coroutine, "a coroutine"),
    (AsyncGenerator, "an async generator"),
    (Generator, "a generator"),
    (Awaitable, "an awaitable"),
)


class FailureLoggedError(Exception):
    """An event has failed, and the log says why already."""


def check_class(cls: type, base: type, handlers: tuple[str, ...]) -> None:
    """Raise TypeError unless the handlers that a class defines run when they are called.

    Its `events` must be ours. base: our class, which it derives from. handlers: names of methods. Only the
    class is checked, because its properties may not work yet.
    """
    if inspect.getattr_static(cls, "events") is not vars(base)["events"]:
        raise TypeError(
            f"{cls.__name__}.events hides the method by which the service delivers events: give that "
            "attribute another name, or set it on the object instead of the class"
        )
    for name in handlers:
        handler = inspect.getattr_static(cls, name)
        if not callable(handler) and not hasattr(type(handler), "__get__"):
            raise _not_callable(f"{cls.__name__}.{name}", handler)
        _check(f"{cls.__name__}.{name}", handler)


def check_own_handlers(subscriber: object, handlers: tuple[str, ...]) -> None:
    """Raise TypeError unless the handlers that were set on an object, perhaps lately, can be used."""
    own = vars(subscriber)
    for name in handlers:
        if name in own:
            check_handler(f"{type(subscriber).__name__}.{name}", own[name])


def check_handler(name: str, handler: object) -> None:
    """Raise TypeError unless a handler can be called and then runs. name: its name in errors."""
    if not callable(handler):
        raise _not_callable(name, handler)
    _check(name, handler)


def check_takes_event(name: str, function: object) -> None:
    """Raise TypeError if a function or a bound method cannot be called with one argument, the event.

    Of other callables, only a call shows what they take. name: its name in errors.
    """
    bare = function.__func__ if isinstance(function, types.MethodType) else function
    if not isinstance(bare, types.FunctionType):
        return
    try:
        inspect.signature(cast("Callable[..., Any]", function), follow_wrapped=False).bind(None)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} cannot be called with an event: {error}; give it one parameter, the event"
        ) from None


def check_result(name: str, result: object, awaitable: bool = True) -> None:
    """Raise TypeError if a handler returned something that must be run.

    name: its name in errors. awaitable: whether that holds for any awaitable. A future may run already.
    """
    if isinstance(result, types.CoroutineType) and inspect.getcoroutinestate(result) == inspect.CORO_CREATED:
        result.close()  # otherwise Python warns that it was never awaited, which the error says already
    for kind, what in _RESULTS:
        if isinstance(result, kind) and (awaitable or kind is not Awaitable):
            raise TypeError(f"{name} returned {what}, which nothing runs: {_REMEDY}")


def _not_callable(name: str, handler: object) -> TypeError:
    return TypeError(f"{name} must be a function, not {type(handler).__name__}")


def _check(name: str, handler: object) -> None:
    for layer in _layers(handler):
        for is_kind, what in _KINDS:
            if is_kind(layer):
                raise TypeError(f"{name} is {what}, so calling it runs nothing: {_REMEDY}")


def _layers(handler: object) -> Iterator[Any]:
    """A callable, and the functions that it wraps."""
    waiting, seen = [handler], 0
    while waiting and seen < _MOST_LAYERS:
        layer, seen = waiting.pop(), seen + 1
        yield layer
        waiting.extend(_behind(layer))


def _behind(layer: Any) -> Iterator[Any]:
    """The function that a callable calls. The object's own attributes are not used: a mock or a Pyro proxy
    would invent one."""
    if isinstance(layer, (functools.partial, functools.partialmethod, functools.singledispatchmethod)):
        yield layer.func
    elif isinstance(layer, (types.MethodType, staticmethod, classmethod)):
        yield layer.__func__
    elif not isinstance(layer, (types.FunctionType, types.BuiltinFunctionType, type)):
        call = inspect.getattr_static(type(layer), "__call__", None)
        if call is not None and not isinstance(call, types.WrapperDescriptorType):
            yield call
    attributes = getattr(layer, "__dict__", None)
    if isinstance(attributes, dict) and "__wrapped__" in attributes:
        yield attributes["__wrapped__"]
