"""The methods of a subscriber that register functions.

Knows: what a program may give. Must not know: how an event finds its functions, or who tells the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from ..broker.matching.patterns import compile_pattern
from ..broker.matching.subjects import check_subjects, check_texts
from ..event import Event
from ..options import Overflow, OverflowName
from .base import ClientBase, end_of
from .dispatch.function_calls import function_name
from .dispatch.handlers import check_handler, check_takes_event
from .subscribing.call_options import given_options
from .subscribing.function_subscriptions import FunctionSubscriptions
from .subscribing.functions import Wanted
from .subscribing.receiver import Receiver

Function = TypeVar("Function", bound=Callable[[Event], object])


class EventFunctions(ClientBase):
    """Base of Subscriber: functions that are called with events."""

    def on(
        self,
        *subjects: str,
        match: str | Iterable[str] = (),
        via: Callable[[Callable[[], Any]], object] | None = None,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | OverflowName | None = None,
        max_age: float | None = None,
        group: str | None = None,
        ahead: int | None = None,
        last: bool = False,
    ) -> Callable[[Function], Function]:
        """Call a function with every event of some subjects: a decorator.

        A subscriber may have many functions. Each is called with the events that its own names and patterns
        match, once for each event, in the order in which they were registered; `event` is called only with
        what `subscribe` and `subscribeMatch` asked for. If one raises, that event is lost for it alone. A
        function that is registered again gets these names and patterns in addition. `off` ends one function,
        `unsubscribe` a name for all of them.

        Args:
            subjects: names; upper and lower case do not matter.
            match: one pattern or any iterable of them, as for `subscribeMatch`; none by default.
            via: is called with each call, a function without arguments, and has it run elsewhere: for example
                `loop.call_soon_threadsafe`, or the `emit` of a Qt signal. The event is acknowledged when the
                call has run. `abort` and `close` end the waiting, and a call that has not begun then never
                does. It holds for all names and patterns of the function. Default None: as before, or
                the function is called where `event` is.
            backlog: as for `subscribe`, and of the subscriber, not of the function; None by default.
            backlog_bytes: as for `subscribe`; None by default.
            overflow: as for `subscribe`; None by default.
            max_age: as for `subscribe`; None by default.
            group: as for `subscribe`; None by default.
            ahead: as for `subscribe`; None by default.
            last: as for `subscribe`, for these names and patterns; False by default.

        Returns:
            A decorator, which subscribes and returns the function unchanged. It may be used several times. It
            raises TypeError for something that cannot be called with an event or then runs nothing, such as a
            coroutine function, and EventServiceError as `subscribe` does; then nothing is registered.

        Raises:
            TypeError, ValueError: a name, a pattern, `via` or an option cannot be used, or there is neither
                a name nor a pattern; nothing was subscribed.
            AccessDeniedError: the user has no right to a name or to the group.
            EventServiceError: `__init__` has not been called.

        Example:
            >>> @ticker.on("STOCKQUOTE.SUN", match="^NEWS[.]", overflow="latest")
            ... def show(event):
            ...     print(event.subject, "=", event.msg)
        """
        subscriptions = _subscriptions(self)
        wanted = _wanted(subjects, match)
        options = given_options(backlog, backlog_bytes, overflow, max_age, group, ahead, last)
        if via is not None:
            check_handler("via=", via)

        def register(function: Function) -> Function:
            check_handler(_shown(function), function)
            check_takes_event(_shown(function), function)
            subscriptions.on(function, wanted, options, via)
            return function

        return register

    def off(self, function: Callable[[Event], object], *subjects: str) -> None:
        """Call a function no more, or no more with the events of some names and patterns.

        What no other function and neither `subscribe` nor `subscribeMatch` asked for is unsubscribed. A
        function that is running goes on. What is not there is no error.

        Args:
            function: one that was given to `on`, or one that is equal to it, such as the same method of the
                same object.
            subjects: names and patterns, in any mixture. None of them means all.

        Raises:
            TypeError, ValueError: it is not a function, or they are not text.
            EventServiceError: one of those that `subscribe` raises.

        Example:
            >>> show = ticker.on("STOCKQUOTE.SUN", "STOCKQUOTE.IBM")(print)
            >>> ticker.off(show, "STOCKQUOTE.IBM")
            >>> ticker.statistics().subscriptions
            ('STOCKQUOTE.SUN',)
        """
        if not callable(function):
            raise TypeError(f"off() needs the function that was given to on(), not {type(function).__name__}")
        _subscriptions(self).off(function, check_texts(subjects) if subjects else None)


def _subscriptions(subscriber: EventFunctions) -> FunctionSubscriptions:
    return cast(Receiver, end_of(subscriber, "subscriber")).subscriptions


def _wanted(subjects: tuple[str, ...], match: str | Iterable[str]) -> Wanted:
    """The names and patterns that `on` was given, checked."""
    for each in subjects:
        if not isinstance(each, str):
            kind = type(each).__name__
            raise TypeError(f'on() takes names as text, not {kind}: write @subscriber.on("A", "B")')
    wanted = Wanted(
        check_subjects(subjects), [compile_pattern(text) for text in check_texts(match, "pattern")]
    )
    if not (wanted.names or wanted.patterns):
        raise ValueError("on() needs at least one name, or a pattern: match=")
    return wanted


def _shown(function: object) -> str:
    """A function's name in errors."""
    return f"{function_name(function)}()" if callable(function) else "what on() decorates"
