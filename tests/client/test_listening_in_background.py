"""listen_in_background (C23b): what it returns, what it raises, and when its thread ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from waiting import eventually

from pyro_events import Event, EventServiceError, EventServiceStarter, Publisher, Subscriber


class Recorder(Subscriber):
    def __init__(self, es_uri: str) -> None:
        super().__init__(es_uri=es_uri)
        self.got: list[object] = []
        self.subscribe("A")

    def event(self, event: Event) -> None:
        self.got.append(event.msg)


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def background_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pyro_events-listen"]


def test_it_returns_the_subscriber_which_listens_until_it_is_closed(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with Recorder(service.uri).listen_in_background() as recorder:
        (thread,) = background_threads()
        assert thread.daemon
        publisher.publish("A", 1)
        eventually(lambda: recorder.got == [1])
    assert not thread.is_alive()
    recorder.close()
    with pytest.raises(EventServiceError, match="this subscriber is closed"):
        recorder.listen_in_background()
    assert background_threads() == []


def test_twice_is_refused_whichever_of_the_two_came_first(service: EventServiceStarter) -> None:
    with Recorder(service.uri) as recorder:
        recorder.listen_in_background()
        for again in (recorder.listen_in_background, recorder.listen):
            with pytest.raises(EventServiceError, match=r"another thread is in listen\(\)"):
                again()
        assert len(background_threads()) == 1
    with Recorder(service.uri) as recorder:
        thread = threading.Thread(target=recorder.listen)
        thread.start()
        eventually(lambda: recorder.daemon.transportServer._loop_thread is thread)  # type: ignore[union-attr]
        with pytest.raises(EventServiceError, match=r"another thread is in listen\(\)"):
            recorder.listen_in_background()
        recorder.abort()
        thread.join(10)


def test_abort_ends_it_at_once_and_it_may_begin_again(
    service: EventServiceStarter, publisher: Publisher
) -> None:
    with Recorder(service.uri) as recorder:
        for number in range(5):
            recorder.listen_in_background()
            if number % 2:
                publisher.publish("A", number)
                eventually(lambda number=number: recorder.got[-1:] == [number])
            recorder.abort()
        eventually(lambda: background_threads() == [])
        assert recorder.got == [1, 3]


def test_close_inside_a_handler_ends_it(service: EventServiceStarter, publisher: Publisher) -> None:
    recorder = Recorder(service.uri)
    closed = threading.Event()
    recorder.event = lambda event: (recorder.close(), closed.set())  # type: ignore
    recorder.listen_in_background()
    publisher.publish("A", 1)
    assert closed.wait(10)
    eventually(lambda: background_threads() == [])


class Cannot(Recorder):
    def listen(self) -> None:
        raise OSError("no more sockets")


def test_what_listen_raises_at_first_is_raised_here(service: EventServiceStarter) -> None:
    with Cannot(service.uri) as recorder:
        for _ in range(2):
            with pytest.raises(OSError, match="no more sockets"):
                recorder.listen_in_background()
    assert background_threads() == []


class Breaks(Recorder):
    def listen(self) -> None:
        super().listen()
        raise RuntimeError("after all")


def test_what_it_raises_later_is_shown_as_that_of_any_thread(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: shown.append(str(told.exc_value)))
    with Breaks(service.uri) as recorder:
        recorder.listen_in_background()
        assert shown == []
        recorder.abort()
        eventually(lambda: shown == ["after all"])


class Loops(Recorder):
    """Has a loop of its own, as programs for Pyro3 may."""

    def listen(self) -> None:
        self.abortListen = False
        while not self.abortListen:
            self.getDaemon().handleRequests(timeout=0.2)


def test_a_loop_of_the_programs_own(service: EventServiceStarter, publisher: Publisher) -> None:
    with Loops(service.uri) as recorder:
        recorder.listen_in_background()
        publisher.publish("A", 1)
        eventually(lambda: recorder.got == [1])
        recorder.abort()
        assert recorder.abortListen
        eventually(lambda: background_threads() == [])
        recorder.listen_in_background()
        recorder.abortListen = 1  # type: ignore[assignment]
        eventually(lambda: background_threads() == [])


@pytest.mark.parametrize("thread_first", [False, True])
def test_a_class_that_is_a_thread_too(
    service: EventServiceStarter, publisher: Publisher, thread_first: bool
) -> None:
    bases = (threading.Thread, Recorder) if thread_first else (Recorder, threading.Thread)

    def init(self: Recorder) -> None:
        threading.Thread.__init__(self)  # type: ignore[arg-type]
        Recorder.__init__(self, service.uri)

    both = type("Both", bases, {"__init__": init})()
    with both.listen_in_background():
        publisher.publish("A", 1)
        eventually(lambda: both.got == [1])
        assert not both.is_alive() and both.name.startswith("Thread-")
    assert background_threads() == []
