"""Several functions for one event: which are called, in which order, and what one that raises means."""

from __future__ import annotations

import functools
from collections.abc import Callable
from unittest import mock

import pytest

from pyro_events.client.dispatch.function_calls import EventFunction, FunctionCalls, function_name
from pyro_events.client.dispatch.handlers import FailureLoggedError
from pyro_events.client.dispatch.handover import Handovers
from pyro_events.client.dispatch.limits import DispatchLimits
from pyro_events.event import Event

EVENT = Event("STOCK", 1)


class Program:
    """Functions that say that they were called."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.functions: list[EventFunction] = []
        self.limits = DispatchLimits(4)
        self.handovers = Handovers(self.limits)
        self.calls = FunctionCalls(lambda subject: self.functions, self.event, self.handovers)

    def event(self) -> Callable[[Event], object]:
        return self.function("event").function  # type: ignore[return-value]

    def function(self, name: str, error: BaseException | None = None, result: object = None) -> EventFunction:
        def function(event: Event) -> object:
            assert event is EVENT
            self.called.append(name)
            if error is not None:
                raise error
            return result

        function.__qualname__ = name
        return EventFunction(function)


@pytest.fixture
def program() -> Program:
    return Program()


def test_all_are_called_in_order_and_event_is_one_of_them(program: Program) -> None:
    program.functions = [program.function("one"), EventFunction(None), program.function("two")]
    program.calls.call(EVENT)
    assert program.called == ["one", "event", "two"]


def test_nobody_is_called_for_what_nobody_wants(program: Program) -> None:
    program.calls.call(EVENT)
    assert program.called == []


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_one_that_raises_is_logged_by_its_name_and_the_others_are_called(
    program: Program, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """C35. The event counts as failed once."""
    program.functions = [program.function("one", error("on purpose")), program.function("two", error())]
    program.functions.append(program.function("three"))
    with pytest.raises(FailureLoggedError):
        program.calls.call(EVENT)
    assert program.called == ["one", "two", "three"]
    for name in ("one", "two"):
        assert f"{name}() raised {error.__name__} for subject 'STOCK'" in caplog.text
    assert "on purpose" in caplog.text and "three" not in caplog.text


def test_an_event_that_cannot_be_had_has_raised(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    def missing() -> Callable[[Event], object]:
        raise AttributeError("it is not there yet")

    program.functions = [EventFunction(None), program.function("one")]
    calls = FunctionCalls(lambda subject: program.functions, missing, program.handovers)
    with pytest.raises(FailureLoggedError):
        calls.call(EVENT)
    assert program.called == ["one"] and "event() raised AttributeError" in caplog.text


@pytest.mark.parametrize("via", [None, lambda call: call()])
def test_a_result_that_something_would_have_to_run_is_a_failure(
    program: Program, via: Callable[..., object] | None, caplog: pytest.LogCaptureFixture
) -> None:
    program.functions = [program.function("one", result=5), program.function("two", result=(x for x in "x"))]
    for each in program.functions:
        each.via = via
    with pytest.raises(FailureLoggedError):
        program.calls.call(EVENT)
    assert "two() raised TypeError" in caplog.text and "one" not in caplog.text


def test_via_runs_the_call(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    given: list[Callable[[], object]] = []
    program.functions = [program.function("one"), program.function("two"), program.function("three")]
    program.functions[0].via = lambda call: (given.append(call), call())
    program.functions[1].via = lambda call: 1 / 0
    with pytest.raises(FailureLoggedError):
        program.calls.call(EVENT)
    assert program.called == ["one", "three"] and len(given) == 1
    assert "via= of two() raised ZeroDivisionError for subject 'STOCK'" in caplog.text


@pytest.mark.parametrize("closed", [False, True])
def test_a_call_that_was_stopped_is_lost_and_after_close_nobody_need_know(
    program: Program, closed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    program.functions = [program.function("one")]
    program.functions[0].via = lambda call: call()
    program.limits.paused, program.limits.closed = not closed, closed
    with pytest.raises(FailureLoggedError):
        program.calls.call(EVENT)
    text = "an event is lost for one(), subject 'STOCK': the subscriber was stopped before the call ran"
    assert (text in caplog.text) is not closed and program.called == []


def test_in_a_child_that_a_function_has_forked_no_other_is_called(program: Program) -> None:
    program.functions = [program.function("one"), program.function("two")]
    program.functions[0].function = lambda event: program.handovers.disown()
    program.calls.call(EVENT)
    assert program.called == []


class Screen:
    def show(self, event: Event) -> None:
        """Shows it."""

    def __call__(self, event: Event) -> None:
        """Shows it too."""

    def __len__(self) -> int:
        return 0


def test_a_callable_object_that_is_false_is_a_function(program: Program) -> None:
    program.functions = [EventFunction(Screen())]
    program.calls.call(EVENT)
    assert program.called == []  # so `event` was not


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (print, "print"),
        (Screen().show, "Screen.show"),
        (Screen.show, "Screen.show"),
        (Screen(), "Screen"),
        (functools.partial(functools.partial(Screen.show, 1), 2), "Screen.show"),
        (mock.Mock(), "Mock"),
        (5, "int"),
    ],
)
def test_names_of_functions(function: object, name: str) -> None:
    assert function_name(function) == name
