"""The methods by which a publisher finds out who listens: their arguments."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from forking import child
from waiting import eventually

from pyro_events import EventServiceError, EventServiceStarter, EventStream, Publisher, Subscriber


@pytest.fixture(autouse=True)
def address(service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYROEVENTS_ES_URI", service.uri)


def test_listeners_are_counted_by_subject_as_given() -> None:
    class Text(str):
        __slots__ = ()

    with Publisher() as publisher, EventStream("a"), EventStream(match=".*"):
        assert publisher.listeners("A") == {"A": 2}
        assert publisher.listeners(["a", "A", Text("B")], exact=True) == {"a": 1, "A": 1, "B": 0}
        assert publisher.listeners(name for name in ("A", "B")) == {"A": 2, "B": 1}
        assert publisher.listeners([]) == {}


@pytest.mark.parametrize(
    ("subjects", "error"),
    [("", ValueError), ("$ES.SUBSCRIBER.LEFT", ValueError), (5, TypeError), (["A", b"B"], TypeError)],
)
def test_what_cannot_be_published_has_no_listeners(subjects: Any, error: type[Exception]) -> None:
    with Publisher() as publisher:
        with pytest.raises(error):
            publisher.listeners(subjects)
        with pytest.raises(error):
            publisher.on_interest(*subjects if isinstance(subjects, list) else [subjects], call=print)


@pytest.mark.parametrize("exact", [1, None, "yes"])
def test_exact_is_true_or_false(exact: Any) -> None:
    with Publisher() as publisher, pytest.raises(TypeError, match="exact must be True or False, not"):
        publisher.listeners("A", exact=exact)


@pytest.mark.parametrize(
    ("subjects", "call", "error", "text"),
    [
        ([], print, ValueError, "at least one subject"),
        (
            [["A"]],
            print,
            TypeError,
            r"on_interest\(\) takes names as text, not list: write on_interest\(\"A\"",
        ),
        (["A"], None, TypeError, "call must be a function"),
        (["A"], lambda subject: None, TypeError, "give it two parameters"),
        ([f"S{number}" for number in range(1001)], print, ValueError, "more than 1,000"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_before_anything_is_connected(
    subjects: Any, call: Any, error: type[Exception], text: str
) -> None:
    with Publisher() as publisher:
        with pytest.raises(error, match=text):
            publisher.on_interest(*subjects, call=call)
        assert not any(thread.name == "pyro_events-interest" for thread in threading.enumerate())


def test_a_closed_publisher_and_one_that_was_never_made_say_so() -> None:
    publisher = Publisher()
    publisher.close()
    for use in (lambda: publisher.listeners("A"), lambda: publisher.on_interest("A", call=print)):
        with pytest.raises(EventServiceError, match="closed"):
            use()

    class Forgetful(Publisher):
        def __init__(self) -> None:
            """It does not call ours."""

    with pytest.raises(EventServiceError, match="call Publisher.__init__ first"):
        Forgetful().listeners("A")


def test_a_class_that_is_both_has_them_too_and_they_show_in_no_directory() -> None:
    class Both(Publisher, Subscriber):
        def __init__(self) -> None:
            Publisher.__init__(self)
            Subscriber.__init__(self)

    calls: list[Any] = []
    with Both() as both:
        assert both.listeners("A") == {"A": 0}
        both.on_interest("A", call=lambda *what: calls.append(what))
        both.subscribe("A")
        eventually(lambda: calls == [("A", 1)])
        assert [name for name in dir(both) if "interest" in name.lower()] == ["on_interest"]


def test_a_publisher_that_is_made_anew_asks_on_new_connections() -> None:
    publisher = Publisher()
    assert publisher.listeners("A") == {"A": 0}
    watch = publisher.on_interest("A", call=print)
    publisher.__init__()  # type: ignore[misc]
    assert publisher.listeners("A") == {"A": 0}
    assert not watch.statistics().connected
    publisher.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_in_a_forked_child_it_may_ask_and_be_told_as_it_may_publish() -> None:
    calls: list[tuple[object, ...]] = []
    with Publisher() as publisher:
        assert publisher.listeners("A") == {"A": 0}
        watch = publisher.on_interest("A", call=lambda *what: calls.append(("parent", *what)))

        def work() -> None:
            assert publisher.publish("A", 1) == 0
            assert publisher.listeners("A") == {"A": 0}
            publisher.on_interest("A", call=lambda *what: calls.append(("child", *what)))
            with EventStream("A"):
                eventually(lambda: calls == [("child", "A", 1)])
            publisher.close()

        with child(work):
            eventually(lambda: calls == [("parent", "A", 1), ("parent", "A", 0)])
        assert watch.statistics().connected


def test_many_threads_may_ask_at_once_from_the_beginning() -> None:
    counts: list[dict[str, int]] = []
    with Publisher() as publisher, EventStream("A"):
        threads = [threading.Thread(target=lambda: counts.append(publisher.listeners("A"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts == [{"A": 1}] * 8
