"""The functions of a publisher that wants to know who listens: which is called, when, and what it may do."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.broker.matching.subjects import fold
from pyro_events.client.interest.functions import (
    InterestFunction,
    InterestFunctions,
    check_interest_function,
)
from pyro_events.log.background import background

FIRST, SECOND = "the first connection", "the second connection"


class Noting:
    """Functions that note how they were called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self.functions = InterestFunctions()

    def add(self, name: str, *subjects: str) -> InterestFunction:
        function = InterestFunction(
            lambda subject, count: self.calls.append((name, subject, count)), subjects
        )
        self.functions.add(function)
        return function

    def heard(self, *said: tuple[str, int], connection: object = FIRST) -> list[tuple[str, str, int]]:
        self.calls.clear()
        for subject, count in said:
            self.functions.heard(subject, count, connection)
        return list(self.calls)


def test_at_the_beginning_it_is_told_only_of_listeners_that_there_are() -> None:
    noting = Noting()
    noting.add("f", "A", "B")
    assert noting.heard(("A", 0), ("B", 2)) == [("f", "B", 2)]


def test_it_is_told_of_the_first_and_of_the_last_and_not_of_others() -> None:
    noting = Noting()
    function = noting.add("f", "A")
    assert noting.heard(("A", 0), ("A", 1), ("A", 3), ("A", 0), ("A", 0)) == [("f", "A", 1), ("f", "A", 0)]
    assert (function.calls, function.told, function.failed) == (2, {"A": 0}, 0)


def test_over_another_connection_it_is_told_everything_once_more() -> None:
    noting = Noting()
    noting.add("f", "A", "B")
    noting.heard(("A", 1), ("B", 0))
    again = noting.heard(("A", 1), ("B", 0), ("A", 2), connection=SECOND)
    assert again == [("f", "A", 1), ("f", "B", 0)]


def test_of_what_it_had_not_heard_when_the_connection_was_lost_it_is_told_in_any_case() -> None:
    noting = Noting()
    noting.add("f", "A", "B")
    noting.heard(("A", 1))
    assert noting.heard(("B", 0), ("A", 1), ("B", 0), connection=SECOND) == [("f", "B", 0), ("f", "A", 1)]


def test_each_function_is_told_with_its_own_spelling_what_it_does_not_know() -> None:
    noting = Noting()
    noting.add("f", "a", "B")
    noting.heard(("A", 1))
    noting.add("g", "A")
    assert noting.heard(("A", 1), ("B", 1), ("C", 1)) == [("g", "A", 1), ("f", "B", 1)]
    assert noting.heard(("A", 0)) == [("f", "a", 0), ("g", "A", 0)]


def test_a_function_that_was_removed_is_not_called_and_its_subjects_are_left_to_others() -> None:
    noting = Noting()
    first, second = noting.add("f", "A", "B"), noting.add("g", "a")
    assert noting.functions.remove(first) == ["B"]
    assert noting.functions.remove(first) == []
    assert noting.heard(("A", 1), ("B", 1)) == [("g", "a", 1)]
    assert noting.functions.wanted(["A", "B"]) == ["A"]
    assert noting.functions.remove(second) == ["a"]
    assert first.ended and second.ended
    first.call("a", 1)
    assert first.calls == 0


def test_after_clear_none_is_called() -> None:
    noting = Noting()
    function = noting.add("f", "A")
    noting.functions.clear()
    assert noting.heard(("A", 1)) == [] and function.ended


def test_a_function_may_remove_itself_and_another_and_add_one() -> None:
    noting = Noting()
    functions: dict[str, InterestFunction] = {}

    def first(subject: str, count: int) -> None:
        noting.calls.append(("first", subject, count))
        noting.functions.remove(functions["second"])
        noting.functions.remove(functions["first"])
        noting.add("third", "A")

    functions["first"] = InterestFunction(first, ["A"])
    noting.functions.add(functions["first"])
    functions["second"] = noting.add("second", "A")
    assert noting.heard(("A", 1)) == [("first", "A", 1)]
    assert noting.heard(("A", 1)) == [("third", "A", 1)]


def test_what_a_function_raises_is_logged_and_counted_and_does_not_concern_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    noting = Noting()

    def raising(subject: str, count: int) -> None:
        raise OSError("the camera is off")

    def returns_a_coroutine(subject: str, count: int) -> Any:
        async def switch() -> None: ...

        return switch()

    bad = [InterestFunction(function, ["A"]) for function in (raising, returns_a_coroutine)]
    for function in bad:
        noting.functions.add(function)
    noting.add("f", "A")
    with caplog.at_level(logging.ERROR):
        assert noting.heard(("A", 1)) == [("f", "A", 1)]
        background.flush(timeout=10)
    assert [(function.calls, function.failed) for function in bad] == [(1, 1), (1, 1)]
    texts = [record.getMessage() for record in caplog.records]
    assert "raising() raised OSError for the listeners of subject 'A'" in texts[0]
    assert "returns_a_coroutine() raised TypeError" in texts[1]


@pytest.mark.parametrize("caught", [Exception, BaseException])
def test_what_ends_a_program_ends_a_loop_but_not_a_thread(caught: type[BaseException]) -> None:
    functions = InterestFunctions(caught)
    leaving = InterestFunction(lambda subject, count: sys.exit(1), ["A"])
    functions.add(leaving)
    with pytest.raises(SystemExit) if caught is Exception else contextlib.nullcontext():
        functions.heard("A", 1, FIRST)
    assert leaving.failed == (0 if caught is Exception else 1)


async def coroutine_function(subject: str, count: int) -> None: ...


def generator(subject: str, count: int) -> Any:
    yield subject


class Camera:
    def switch(self, subject: str, count: int) -> None: ...

    def __call__(self, subject: str, count: int) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        print,
        lambda subject, count: None,
        lambda *both: None,
        lambda subject, count, more=1: None,
        Camera().switch,
        Camera(),
        functools.partial(lambda one, subject, count: None, 1),
    ],
)
def test_what_can_be_called_with_a_subject_and_a_number_is_accepted(function: Callable[..., Any]) -> None:
    check_interest_function(function)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (5, "call must be a function, not int"),
        (None, "call must be a function, not NoneType"),
        (coroutine_function, "call is a coroutine function"),
        (generator, "call is a generator function"),
        (lambda: None, "call cannot be called with a subject and a number"),
        (lambda subject: None, "give it two parameters"),
        (lambda subject, count, more: None, "missing a required argument: 'more'"),
    ],
)
def test_what_cannot_or_runs_nothing_then_is_a_type_error(function: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        check_interest_function(function)


SUBJECTS = st.sampled_from(["A", "a", "B"])
STEPS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 2), st.lists(SUBJECTS, min_size=1, max_size=2)),
    st.tuples(st.just("remove"), st.integers(0, 2)),
    st.tuples(st.just("heard"), SUBJECTS, st.integers(0, 2), st.booleans()),
)


@given(st.lists(STEPS, max_size=30))
def test_each_function_knows_how_it_is_after_everything_that_was_heard(steps: list[tuple[Any, ...]]) -> None:
    noting, present, connection = Noting(), dict[int, InterestFunction](), object()
    known: dict[tuple[int, str], bool] = {}
    for step in steps:
        if step[0] == "add" and step[1] not in present:
            present[step[1]] = noting.add(str(step[1]), *step[2])
        elif step[0] == "remove" and step[1] in present:
            left = noting.functions.remove(present.pop(step[1]))
            wanted = {folded for function in present.values() for folded in function.subjects}
            assert not {fold(subject) for subject in left} & wanted
            known = {key: state for key, state in known.items() if key[0] != step[1]}
        elif step[0] == "heard":
            _, subject, count, again = step
            connection = object() if again else connection
            called = {int(name) for name, _, _ in noting.heard((subject, count), connection=connection)}
            for number, function in present.items():
                if fold(subject) not in function.subjects:
                    assert number not in called
                    continue
                before = known.get((number, fold(subject)))
                if before != (count > 0) and (before is not None or count):
                    assert number in called
                known[number, fold(subject)] = count > 0


def test_functions_can_be_added_and_removed_by_many_threads_at_once() -> None:
    noting = Noting()

    def work(number: int) -> None:
        for _ in range(300):
            noting.functions.remove(noting.add(f"{number}", "A"))

    keeping = noting.add("keeping", "A")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert noting.heard(("A", 1)) == [("keeping", "A", 1)]
    assert noting.functions.remove(keeping) == ["A"]


def test_one_that_comes_while_the_last_one_is_removed_stays() -> None:
    """Between the two steps in which an empty entry is found and dropped, and the other way round."""
    noting = Noting()
    last, late = noting.add("last", "A"), InterestFunction(print, ["A"])
    entry = noting.functions._by_name["a"]

    class Interrupted(dict[Any, Any]):
        def pop(self, key: Any, *default: Any) -> Any:
            entry[late] = None  # as another thread that has just got the entry
            return super().pop(key, *default)

    noting.functions._by_name = Interrupted(noting.functions._by_name)
    assert noting.functions.remove(last) == []
    assert late in noting.functions._by_name["a"]

    class Dropping(dict[Any, Any]):
        dropped = False

        def setdefault(self, key: Any, default: Any = None) -> Any:
            found = super().setdefault(key, default)
            if not self.dropped:
                self.dropped = True
                self.pop(key)
            return found

    noting.functions._by_name = Dropping()
    noting.functions.add(last)
    assert last in noting.functions._by_name["a"]
