"""What `on_interest` returns."""

from __future__ import annotations

from pyro_events import InterestStatistics, InterestWatch
from pyro_events.client.interest.functions import InterestFunction


class Watching:
    connected = True

    def __init__(self) -> None:
        self.ended: list[InterestFunction] = []

    def unwatch(self, function: InterestFunction) -> None:
        function.ended = True
        self.ended.append(function)


def test_it_says_what_its_function_was_told() -> None:
    function = InterestFunction(lambda subject, count: None, ["A", "B"])
    with InterestWatch(Watching(), function) as watch:
        function.call("a", 3)
        assert watch.statistics() == InterestStatistics(("A", "B"), {"A": 3}, 1, 0, True)
    assert not watch.statistics().connected


def test_its_end_ends_the_function_and_may_come_twice() -> None:
    watching, function = Watching(), InterestFunction(print, ["A"])
    with InterestWatch(watching, function) as watch:
        assert watching.ended == []
    watch.close()
    assert watching.ended == [function, function]


def test_it_is_shown_with_its_subjects() -> None:
    function = InterestFunction(print, ["A", "B", "C"])
    assert repr(InterestWatch(Watching(), function)) == "<InterestWatch of A, B, C, open>"
    function = InterestFunction(print, "ABCD")
    function.ended = True
    assert repr(InterestWatch(Watching(), function)) == "<InterestWatch of A, B, C, ..., closed>"
