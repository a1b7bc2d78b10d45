"""The functions of one publisher that are called when a subject's first listener comes and its last one goes.

Knows: which function is for which subjects, what each was told last, and that an exception of one does not
concern the others. Must not know: connections, threads, loops, or where the numbers come from. The publishers
of both kinds use it, those that block and those on an event loop.

Nothing here takes a lock: code that interrupts a thread in the middle of a change may make a change too.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from ...broker.matching.subjects import fold
from ...log.background import get_logger
from ..dispatch.function_calls import function_name
from ..dispatch.handlers import check_handler, check_result

log = get_logger("pyro_events.publisher")

Function = Callable[[str, int], object]

# The name of the argument, in errors.
_CALL: Final = "call"


def check_interest_function(function: object) -> None:
    """Raise TypeError unless something can be called with a subject and a number, and then runs."""
    check_handler(_CALL, function)
    bare = function.__func__ if isinstance(function, types.MethodType) else function
    if not isinstance(bare, types.FunctionType):
        return
    try:
        inspect.signature(cast("Callable[..., Any]", function), follow_wrapped=False).bind(None, None)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{_CALL} cannot be called with a subject and a number: {error}; give it two parameters"
        ) from None


class InterestFunction:
    """One function, and the subjects that it is for: folded name -> as it was spelled.

    told: what it was told last about each subject, by the subject as spelled. calls: how often it was called.
    failed: how often it raised. ended: whether it is not called any more.
    """

    __slots__ = ("_first", "_heard", "calls", "ended", "failed", "function", "name", "subjects", "told")

    def __init__(self, function: Function, subjects: Iterable[str]) -> None:
        self.function = function
        self.name = f"{function_name(function)}()"
        self.subjects = {fold(subject): subject for subject in subjects}
        self.told: dict[str, int] = {}
        self.calls = self.failed = 0
        self.ended = False
        # The connection over which something was heard first; and what was heard last about each name: over
        # which connection, and whether it had listeners.
        self._first: object = None
        self._heard: dict[str, tuple[object, bool]] = {}

    def hear(self, folded: str, listeners: int, connection: object) -> bool:
        """The service has said how many listeners a name has. Returns whether the function is to be told.

        connection: on which it has said it. On another one than before it says everything again, because
        nobody knows what has changed meanwhile.
        """
        before, wanted = self._heard.get(folded), listeners > 0
        self._heard[folded] = connection, wanted
        if self._first is None:
            self._first = connection
        if before is None:
            return wanted or connection is not self._first
        return before[0] is not connection or before[1] is not wanted

    def call(self, folded: str, listeners: int, caught: type[BaseException] = Exception) -> None:
        """Tell it. What it raises is logged and counted, if it is of the kind that is caught."""
        if self.ended:
            return
        subject = self.subjects[folded]
        self.told[subject] = listeners
        self.calls += 1
        try:
            result = self.function(subject, listeners)
            if result is not None:
                check_result(self.name, result)
        except caught as error:
            self.failed += 1
            kind = type(error).__name__
            text = "%s raised %s for the listeners of subject %r"
            log.error(text, self.name, kind, subject, about=(self, kind), error=error)


class InterestFunctions:
    """All functions of one publisher."""

    def __init__(self, caught: type[BaseException] = Exception) -> None:
        """caught: what they may raise; BaseException where they are called in a thread that has to go on."""
        self._caught = caught
        # Folded name -> the functions for it; never an empty dictionary for longer than a step.
        self._by_name: dict[str, dict[InterestFunction, None]] = {}

    def add(self, function: InterestFunction) -> None:
        """Tell a function of its subjects from now on."""
        for folded in function.subjects:
            self._add(folded, function)

    def _add(self, folded: str, function: InterestFunction) -> None:
        while True:
            functions = self._by_name.setdefault(folded, {})
            functions[function] = None
            if self._by_name.get(folded) is functions:
                return  # otherwise it was dropped between these two steps, because it was empty

    def remove(self, function: InterestFunction) -> list[str]:
        """Tell a function nothing any more. Returns the subjects that no function is for now."""
        function.ended = True
        return [subject for folded, subject in function.subjects.items() if self._remove(folded, function)]

    def _remove(self, folded: str, function: InterestFunction) -> bool:
        functions = self._by_name.get(folded)
        if functions is None:
            return False
        functions.pop(function, None)
        if not functions and self._by_name.pop(folded, None) is functions:
            for late in list(functions):  # it came between these two steps
                self._add(folded, late)
        return folded not in self._by_name

    def wanted(self, subjects: Iterable[str]) -> list[str]:
        """Those of the subjects for which there is a function."""
        return [subject for subject in subjects if fold(subject) in self._by_name]

    def clear(self) -> None:
        """Tell nobody anything any more."""
        for functions in list(self._by_name.values()):
            for function in list(functions):
                function.ended = True
        self._by_name.clear()

    def heard(self, subject: str, listeners: int, connection: object) -> None:
        """The service has said how many listeners a subject has: call the functions that have to be told.

        One caller at a time. connection: as for `InterestFunction.hear`.
        """
        folded = fold(subject)
        for function in list(self._by_name.get(folded, ())):
            if function.hear(folded, listeners, connection):
                function.call(folded, listeners, self._caught)
