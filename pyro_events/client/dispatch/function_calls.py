"""Calls of the functions of a subscriber that an event is for.

Knows: how one function is called, here or elsewhere, and that an exception of one does not concern the
others. Must not know: which functions an event is for, threads, or what becomes of an event that failed.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable

from ...event import Event
from ...log.background import get_logger
from .handlers import FailureLoggedError, check_result
from .handover import Call, CallStoppedError, Handovers, Via, ViaFailedError

log = get_logger("pyro_events.subscriber")

_NAMED = types.FunctionType, types.MethodType, types.BuiltinFunctionType


class EventFunction:
    """A function of the program, which is called with events.

    function: None stands for the subscriber's `event`, which the program may replace at any time. via: is
    given each call and runs it elsewhere; None: it is called where the event arrives.
    """

    __slots__ = ("function", "name", "via")

    def __init__(self, function: Callable[[Event], object] | None, via: Via | None = None) -> None:
        self.function = function
        self.via = via
        self.name = f"{function_name(function)}()" if function is not None else "event()"


class FunctionCalls:
    """Calls the functions that an event is for, one after the other."""

    def __init__(
        self,
        match: Callable[[str], Iterable[EventFunction]],
        event: Callable[[], Callable[[Event], object]],
        handovers: Handovers,
    ) -> None:
        """match: returns the functions that events of a subject are for. event: returns the subscriber's
        `event`. handovers: the calls that other threads run."""
        self._match = match
        self._event = event
        self._handovers = handovers

    def call(self, event: Event) -> None:
        """Call every function that an event is for.

        Raises FailureLoggedError at the end if any of them has raised.
        """
        failed = False
        for each in self._match(event.subject):
            if self._handovers.disowned:  # the one before has forked this process
                return
            try:
                function = self._event() if each.function is None else each.function
                if each.via is None:
                    _call(each, function, event)
                else:
                    call = Call(each.name, functools.partial(_call, each, function, event))
                    self._handovers.run(each.via, call)
            except BaseException as error:
                failed = True
                self._log(each, event, error)
        if failed:
            raise FailureLoggedError

    def _log(self, each: EventFunction, event: Event, error: BaseException) -> None:
        name = each.name
        if isinstance(error, CallStoppedError):
            if not self._handovers.closed:
                text = "an event is lost for %s, subject %r: %s"
                log.warning(text, name, event.subject, error, about=each)
            return
        if isinstance(error, ViaFailedError):
            name, error = f"via= of {name}", error.error
        kind = type(error).__name__
        log.error("%s raised %s for subject %r", name, kind, event.subject, about=(each, kind), error=error)


def _call(each: EventFunction, function: Callable[[Event], object], event: Event) -> None:
    result = function(event)
    if result is not None:  # nearly always it is
        check_result(each.name, result)


def function_name(function: object) -> str:
    """How a function is called in the log. No attribute is asked for that a mock or a proxy would invent."""
    while isinstance(function, functools.partial):
        function = function.func
    return function.__qualname__ if isinstance(function, _NAMED) else type(function).__name__
