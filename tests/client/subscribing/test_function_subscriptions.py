"""What the service is told for functions and for `event`, with a connection that is the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from waiting import eventually

from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.client.dispatch.dispatcher import Dispatcher
from pyro_events.client.subscribing.function_subscriptions import FunctionSubscriptions
from pyro_events.client.subscribing.functions import Wanted
from pyro_events.client.subscribing.remote_subscriptions import RemoteSubscriptions
from pyro_events.client.subscribing.subscriptions import NAME, PATTERN
from pyro_events.codec.message import encode
from pyro_events.errors import OutcomeUnknownError


class Connection:
    """Plays the service too. names, patterns: what it was told. last: of which of them last values were asked
    for. fail: is called before each call."""

    name = "a test"
    reconnects = 0

    def __init__(self) -> None:
        self.current = self
        self.names: set[str] = set()
        self.patterns: set[str] = set()
        self.options: dict[str, Any] = {}
        self.last: set[str] = set()
        self.fail: Callable[[str], object] = lambda method: None

    def call(self, method: str, texts: list[str], *others: Any, timeout: float | None = None) -> None:
        self.fail(method)
        if method == "unsubscribe":
            self.names -= set(texts)
            self.patterns -= set(texts)
        else:
            options = dict(others[1])
            match = options.pop("match", ())
            (self.names if method == NAME else self.patterns).update(texts)
            self.patterns.update(match)
            self.options.update(options)
            self.last.update([*texts, *match] if options.get("last") else ())


class Program:
    """A subscriber's subscriptions, and what was called. got: function and subject of each event."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.remote = RemoteSubscriptions(self.connection, None)  # type: ignore[arg-type]
        self.got: list[tuple[str, str]] = []
        event = self.function("event")
        self.dispatcher = Dispatcher(lambda: event)
        self.changes = 0
        self.subscriptions = FunctionSubscriptions(
            self.remote, self.dispatcher, lambda: event, self.count_change
        )

    def count_change(self) -> None:
        self.changes += 1

    def function(self, name: str) -> Callable[[Any], object]:
        return lambda event: self.got.append((name, event.subject))

    def on(self, function: Any, *names: str, match: tuple[str, ...] = (), **options: Any) -> None:
        patterns = [compile_pattern(text) for text in match]
        self.subscriptions.on(function, Wanted(list(names), patterns), options, None)

    def publish(self, *subjects: str) -> list[tuple[str, str]]:
        """Let events come, one batch for each. Returns what was called."""
        self.got.clear()
        for subject in subjects:
            assert self.dispatcher.handle_rows([[subject, 1.0, 1, 0, encode(None)]]) == []
        return self.got


@pytest.fixture
def program() -> Iterator[Program]:
    program = Program()
    yield program
    program.dispatcher.close()


def test_without_functions_nothing_is_matched(program: Program) -> None:
    """What was queued before `unsubscribe` is for `event`, as it always was."""
    program.subscriptions.subscribe(NAME, ["A"], {"backlog": 5})
    program.subscriptions.subscribe(NAME, [], {})
    program.subscriptions.unsubscribe(["A"])
    assert program.publish("A", "B") == [("event", "A"), ("event", "B")]
    assert program.connection.options["backlog"] == 5 and program.changes == 2
    program.subscriptions.off(print, None)
    assert program.publish("A") == [("event", "A")]


def test_functions_and_event_get_their_own(program: Program) -> None:
    """C35."""
    one, two = program.function("one"), program.function("two")
    program.subscriptions.subscribe(NAME, ["A", "B"], {})
    program.subscriptions.subscribe(PATTERN, ["^X"], {})
    program.on(one, "B", match=("^Y",), overflow="latest")
    program.on(two, "C")
    program.subscriptions.subscribe(PATTERN, ["^C"], {})
    assert program.publish("a") == [("event", "a")]
    assert program.publish("B") == [("event", "B"), ("one", "B")]
    assert program.publish("C", "Y", "XX") == [("event", "C"), ("two", "C"), ("one", "Y"), ("event", "XX")]
    assert program.connection.names == {"A", "B", "C"} and program.connection.patterns == {"^X", "^Y", "^C"}
    assert program.connection.options["overflow"] == "latest" and program.changes == 5


def test_the_last_one_unsubscribes(program: Program) -> None:
    one, two = program.function("one"), program.function("two")
    program.subscriptions.subscribe(NAME, ["A"], {})
    program.on(one, "A", "B", "C")
    program.on(two, "b", match=("^D",))
    program.subscriptions.off(one, None)
    assert program.connection.names == {"A", "B", "b"} and program.remote.texts() == ("A", "b", "^D")
    program.subscriptions.off(two, ["B", "never"])
    assert program.remote.texts() == ("A", "^D") and program.connection.patterns == {"^D"}
    program.subscriptions.off(two, ["^D"])
    program.subscriptions.off(two, None)
    assert program.remote.texts() == ("A",) and program.connection.patterns == set()
    assert program.publish("A", "B") == [("event", "A")]
    program.subscriptions.unsubscribe(["a"])
    assert program.publish("A") == []  # it may have been queued for a function


def test_unsubscribing_ends_a_name_for_all(program: Program) -> None:
    one, two = program.function("one"), program.function("two")
    program.subscriptions.subscribe(NAME, ["A"], {})
    program.on(one, "A", "B")
    program.on(two, "A")
    program.subscriptions.unsubscribe(["a"])
    assert program.publish("A", "B") == [("one", "B")] and program.remote.texts() == ("B",)
    program.on(two, "A")
    assert program.publish("A") == [("two", "A")]


def test_a_text_that_one_wants_as_a_name_and_another_as_a_pattern(program: Program) -> None:
    """The service unsubscribes both, so nothing may be lost for the one that stays."""
    one, two = program.function("one"), program.function("two")
    for first, second in ((one, two), (two, one)):
        program.on(one, "A.B")
        program.on(two, match=("A.B",))
        program.subscriptions.off(first, ["A.B"])
        assert program.connection.names == {"A.B"} == program.connection.patterns
        assert program.remote.texts() == ("A.B",) and len(program.publish("A.B")) == 1
        program.subscriptions.off(second, None)
        assert program.connection.names == set() == program.connection.patterns


@pytest.mark.parametrize("fails", [NAME, PATTERN])
def test_a_call_that_fails_changes_nothing(program: Program, fails: str) -> None:
    one, two = program.function("one"), program.function("two")
    program.subscriptions.subscribe(NAME, ["A"], {})

    def fail(method: str) -> None:
        if method == fails:
            raise OutcomeUnknownError("the connection broke")

    for function in (one, two):  # the first function of all, and one more
        program.connection.fail = fail
        with pytest.raises(OutcomeUnknownError):
            program.on(function, "A", "B", match=("^X",))
        assert program.remote.texts() == ("A",) and program.connection.names == {"A"}
        assert program.connection.patterns == set()
        assert program.publish("A", "B", "X") == [("event", "A")]
    with pytest.raises(OutcomeUnknownError):
        program.subscriptions.subscribe(fails, ["Y"], {})
    program.connection.fail = lambda method: None
    assert program.publish("Y") == []
    program.on(one, "A")
    assert program.publish("A") == [("event", "A"), ("one", "A")]


def told_again(program: Program) -> set[str]:
    """The names and patterns whose last values come when everything is subscribed again."""
    program.connection.last.clear()
    program.remote.resubscribe(anew=True)
    return program.connection.last


def test_each_function_decides_for_itself_about_last_values(program: Program) -> None:
    one, two = program.function("one"), program.function("two")
    program.subscriptions.subscribe(NAME, ["A", "B"], {"last": True})
    program.subscriptions.subscribe(PATTERN, ["^X"], {"last": True})
    program.on(one, "A", "C", match=("^X",), last=True)
    program.on(two, "a", "C", match=("^X", "^Y"))
    assert told_again(program) == {"a", "B", "C", "^X"}
    program.subscriptions.subscribe(NAME, ["A", "B"], {})  # the last call of each decides
    program.on(one, "C")
    assert told_again(program) == {"A", "^X"}
    program.subscriptions.off(one, None)
    assert told_again(program) == {"^X"}
    program.subscriptions.unsubscribe(["^X"])
    program.on(two, match=("^X",))
    assert told_again(program) == set()


def test_a_call_for_last_values_that_fails_changes_nothing_about_them(program: Program) -> None:
    one = program.function("one")
    program.on(one, "A", last=True)

    def fail(method: str) -> None:
        raise OutcomeUnknownError("the connection broke")

    for options in ({}, {"last": True}):
        program.connection.fail = fail
        with pytest.raises(OutcomeUnknownError):
            program.on(one, "A", "B", **options)
        program.connection.fail = lambda method: None
        assert told_again(program) == {"A"}


def test_an_event_that_comes_before_the_answer_finds_its_function(program: Program) -> None:
    seen: list[tuple[str, str]] = []
    program.connection.fail = lambda method: seen.extend(program.publish("A"))
    program.on(program.function("one"), "A")
    assert seen == [("one", "A")]


def test_what_is_removed_is_removed_here_whatever_the_service_has_received(program: Program) -> None:
    one = program.function("one")
    program.on(one, "A", "B")

    def fail(method: str) -> None:
        raise OutcomeUnknownError("the connection broke")

    program.connection.fail = fail
    changes = program.changes
    with pytest.raises(OutcomeUnknownError):
        program.subscriptions.unsubscribe(["A"])
    with pytest.raises(OutcomeUnknownError):
        program.subscriptions.off(one, None)
    assert program.remote.texts() == () and program.publish("A", "B") == []
    assert program.changes == changes + 2


def test_what_is_unsubscribed_is_not_subscribed_to_again_while_another_call_is_under_way(
    program: Program,
) -> None:
    """Which may last as long as the service is away; meanwhile the reconnector reads what is recorded."""
    program.on(program.function("one"), "A", "B")
    unsubscribing = threading.Thread(target=program.subscriptions.unsubscribe, args=(["A"],))
    with program.remote.changing:
        unsubscribing.start()
        eventually(lambda: program.remote.texts() == ("B",))
        assert program.connection.names == {"A", "B"}
    unsubscribing.join(10)
    assert program.connection.names == {"B"}


def test_a_pattern_that_cannot_be_used_is_refused_here_too(program: Program) -> None:
    program.on(program.function("one"), "A")
    with pytest.raises(ValueError, match="is not accepted"):
        program.subscriptions.subscribe(PATTERN, ["("], {})
    assert program.connection.patterns == set()
