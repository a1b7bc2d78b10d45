"""What can be called, and a result that comes later."""

from __future__ import annotations

from typing import Any

from pyro_events.server.objects import LARGE, Caller, DeferredResult, remote_names


class Desk:
    def __init__(self) -> None:
        self.methods: dict[str, Any] = {"publish": print, LARGE: print, "beta": print}


def test_a_result_reaches_whoever_waits_for_it() -> None:
    results: list[Any] = []
    deferred = DeferredResult()
    deferred.when_done(results.append)
    deferred.settle(5)
    assert results == [5]


def test_a_result_that_nobody_waits_for_reaches_nobody() -> None:
    results: list[Any] = []
    never, gone = DeferredResult(), DeferredResult()
    never.settle(5)
    gone.when_done(results.append)
    gone.abandon()
    gone.settle(5)
    assert results == [] and gone.abandoned


def test_clients_learn_of_methods_that_they_may_call() -> None:
    assert remote_names(Desk()) == ["beta", "publish"]


def test_a_caller_may_call_nothing_unless_it_is_said() -> None:
    caller = Caller("192.0.2.1", 1)
    assert not caller.objects and not caller.proved and caller.name == ""
