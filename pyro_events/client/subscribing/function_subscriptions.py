"""What the functions of a subscriber, and its `event`, want, and what the service is told of that.

Knows: that functions are registered before the service is told, and forgotten if it refuses. Must not know:
frames, threads, or how functions are called.

A subscriber that has never had a function has no table of them: all its events are for `event`, and none is
matched here. The first function makes the table, and what was subscribed until then is what `event` wants.
From then on every event is matched here, also when all functions have been removed: what they wanted may
still be on its way, and is not for `event`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...broker.matching.patterns import Pattern, compile_pattern
from ...constants import LAST_KEY
from ...event import Event
from ..dispatch.dispatcher import Dispatcher
from ..dispatch.function_calls import FunctionCalls
from ..dispatch.handover import Via
from .functions import Function, Functions, Wanted
from .remote_subscriptions import RemoteSubscriptions
from .subscriptions import NAME, PATTERN


class FunctionSubscriptions:
    """The subscriptions of one subscriber, by what they were made for."""

    def __init__(
        self,
        remote: RemoteSubscriptions,
        dispatcher: Dispatcher,
        event: Callable[[], Callable[[Event], object]],
        changed: Callable[[], object],
    ) -> None:
        """event: returns the subscriber's `event`. changed: called after subscriptions have changed."""
        self._remote = remote
        self._dispatcher = dispatcher
        self._event = event
        self._changed = changed
        # None until the first function is registered. Changed while `remote.changing` is held.
        self._functions: Functions | None = None

    def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> None:
        """Subscribe to names or patterns for `event`. If it raises, nothing has changed."""
        if not texts:
            return
        with self._remote.changing:
            if self._functions is None:
                self._remote.subscribe(how, texts, options)
            else:
                self._register(self._functions, None, _wanted(how, texts), options)
        self._changed()

    def on(self, function: Function, wanted: Wanted, options: dict[str, Any], via: Via | None) -> None:
        """Subscribe to names and patterns for a function. If it raises, nothing has changed."""
        with self._remote.changing:
            self._register(self._with_functions(), function, wanted, options, via)
        self._changed()

    def _with_functions(self) -> Functions:
        """The table, which is made if there is none yet."""
        functions = self._functions
        if functions is None:
            functions = Functions()
            for how in (NAME, PATTERN):
                for last in (False, True):
                    functions.add(None, _wanted(how, self._remote.recorded(how, last)), last=last)
            calls = FunctionCalls(functions.match, self._event, self._dispatcher.handovers)
            self._functions = functions
            self._dispatcher.use(lambda: calls.call)
        return functions

    def _register(
        self,
        functions: Functions,
        function: Function | None,
        wanted: Wanted,
        options: dict[str, Any],
        via: Via | None = None,
    ) -> None:
        """Register a function, None for `event`, and tell the service."""
        # In this order: an event may come before the service's answer does.
        addition = functions.add(function, wanted, via, LAST_KEY in options)
        patterns = [pattern.text for pattern in wanted.patterns]
        try:
            self._remote.subscribe_to([(NAME, wanted.names), (PATTERN, patterns)], options)
        except BaseException:
            functions.take_back(addition)
            raise
        # One that does not ask for last values does not end that another one is told them again.
        self._remote.remember_last(*functions.wanting_last())

    def unsubscribe(self, texts: list[str]) -> None:
        """Unsubscribe from names and patterns, whatever wants them."""
        self._remote.discard(texts)
        try:
            with self._remote.changing:
                if self._functions is not None:
                    self._functions.unsubscribe(texts)
                self._remote.unsubscribe(texts)
        finally:  # they are removed here, whatever the service has received
            self._changed()

    def off(self, function: Function, texts: list[str] | None) -> None:
        """End names and patterns of a function, all of them if None, and unsubscribe from what nothing else
        wants."""
        try:
            with self._remote.changing:
                if self._functions is not None:
                    unwanted = self._functions.remove(function, texts)
                    self._remote.remember_last(*self._functions.wanting_last())
                    self._remote.unsubscribe_from(*unwanted)
        finally:
            self._changed()


def _wanted(how: str, texts: list[str]) -> Wanted:
    """Names or patterns. Raises ValueError for a pattern that cannot be used."""
    patterns: list[Pattern] = [compile_pattern(text) for text in texts] if how == PATTERN else []
    return Wanted(texts if how == NAME else [], patterns)
