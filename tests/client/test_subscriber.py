"""Subscriber: subscribing, listening and closing, against a real service."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import Pyro5
import Pyro5.api
import pytest
from listening import listens
from waiting import eventually

from pyro_events.client.daemon.daemon import SubscriberDaemon
from pyro_events.client.publisher import Publisher
from pyro_events.client.statistics import ClientStatistics
from pyro_events.client.subscriber import Subscriber
from pyro_events.errors import EventServiceError, ServiceUnreachableError
from pyro_events.event import Event

if TYPE_CHECKING:
    from pyro_events import EventServiceStarter


class Recorder(Subscriber):
    """Keeps what it gets; `action`, when set, is called with each event."""

    def __init__(self, es_uri: object) -> None:
        super().__init__(es_uri=es_uri)
        self.got: list[Any] = []
        self.action: Callable[[Event], object] | None = None
        self.listening: threading.Thread | None = None

    def event(self, event: Event) -> None:
        self.got.append((event.subject, event.msg))
        if self.action is not None:
            self.action(event)

    def begin(self) -> None:
        self.listening = threading.Thread(target=self.listen)
        self.listening.start()
        eventually(lambda: listens(self))

    def ended(self) -> bool:
        assert self.listening is not None
        self.listening.join(10)
        return not self.listening.is_alive()


@pytest.fixture
def uri(service: EventServiceStarter) -> str:
    return str(service.uri)


@pytest.fixture
def publisher(uri: str) -> Iterator[Publisher]:
    with Publisher(es_uri=uri) as publisher:
        yield publisher


@pytest.fixture
def recorder(uri: str) -> Iterator[Recorder]:
    with Recorder(uri) as recorder:
        yield recorder
    if recorder.listening is not None:
        assert recorder.ended()


def test_names_patterns_and_unsubscribing(recorder: Recorder, publisher: Publisher) -> None:
    recorder.subscribe("a")
    recorder.subscribe(name for name in ("b", "c"))
    recorder.subscribeMatch(["^x", "y$"], overflow="drop-oldest", backlog=1000)
    recorder.begin()
    assert publisher.publish(["A", "b", "other", "xy"], ("m", 1)) == 3
    eventually(lambda: len(recorder.got) == 3)
    assert recorder.got == [(subject, ("m", 1)) for subject in ("A", "b", "xy")]
    assert recorder.statistics().subscriptions == ("a", "b", "c", "^x", "y$")
    recorder.unsubscribe(("a", "^x", "y$", "never"))
    assert publisher.publish(["a", "xy", "c"], 2) == 1
    eventually(lambda: recorder.got[3:] == [("c", 2)])
    eventually(lambda: recorder.statistics().handled == 4)
    statistics = recorder.statistics()
    assert statistics.failed == 0 and statistics.connections == 1 and statistics.connected
    assert statistics.subscriptions == ("b", "c") and statistics.uri.startswith("PYRO:obj_")


def test_what_cannot_be_subscribed(recorder: Recorder) -> None:
    for bad in ("", "x" * 256):
        with pytest.raises(ValueError, match="subject"):
            recorder.subscribe(["fine", bad])
    with pytest.raises(ValueError, match=r"\("):
        recorder.subscribeMatch("(")
    with pytest.raises(ValueError, match="overflow"):
        recorder.subscribe("a", overflow="never")
    with pytest.raises(ValueError, match="backlog"):
        recorder.subscribe("a", backlog=0)
    with pytest.raises(TypeError):
        recorder.subscribe(5)
    recorder.subscribe([])
    recorder.unsubscribe([])
    assert recorder.statistics().subscriptions == ()


def test_nothing_is_handled_before_listen(recorder: Recorder, publisher: Publisher) -> None:
    recorder.subscribe("a")
    assert publisher.publish("a", 1) == 1
    eventually(recorder.daemon.sock.fileno)
    assert recorder.got == []
    recorder.begin()
    eventually(lambda: recorder.got == [("a", 1)])


@pytest.mark.usefixtures("each_way")
def test_control_calls_inside_event(recorder: Recorder, publisher: Publisher) -> None:
    def turn(event: Event) -> None:
        recorder.unsubscribe(event.subject)
        recorder.subscribe("b")
        publisher.publish("b", 2)
        recorder.action = lambda event: recorder.abort()

    recorder.action = turn
    recorder.subscribe("a")
    recorder.begin()
    publisher.publish("a", 1)
    assert recorder.ended()
    assert recorder.got == [("a", 1), ("b", 2)]


@pytest.mark.usefixtures("each_way")
def test_abort_does_not_wait_and_listen_may_go_on(recorder: Recorder, publisher: Publisher) -> None:
    recorder.setThreading(False)
    go, aborted = threading.Event(), threading.Event()

    def stop(event: Event) -> None:
        if event.msg == 0:
            recorder.abort()
            aborted.set()
            go.wait(60)

    recorder.action = stop
    recorder.subscribe("a")
    recorder.begin()
    with publisher.pipeline() as fast:
        for number in range(5):
            fast.publish("a", number)
    assert recorder.ended() and aborted.wait(10)
    assert recorder.got == [("a", 0)]
    go.set()
    eventually(lambda: recorder.statistics().running == 0)
    assert recorder.got == [("a", 0)]
    recorder.begin()
    eventually(lambda: len(recorder.got) == 5)
    assert recorder.got == [("a", number) for number in range(5)]


@pytest.mark.usefixtures("each_way")
def test_listen_returns_soon_after_abort(recorder: Recorder) -> None:
    """And not when it looks around the next time."""
    Pyro5.config.POLLTIMEOUT = 60.0
    recorder.begin()
    recorder.abort()
    assert recorder.ended()


@pytest.mark.usefixtures("each_way")
def test_a_keyboard_interrupt_ends_listen(recorder: Recorder) -> None:
    def interrupt() -> None:
        eventually(lambda: listens(recorder))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        recorder.listen()
    thread.join(10)


@pytest.mark.usefixtures("each_way")
def test_a_signals_handler_may_close(recorder: Recorder) -> None:
    previous = signal.signal(signal.SIGUSR1, lambda *_: recorder.close())
    try:

        def send() -> None:
            eventually(lambda: listens(recorder))
            os.kill(os.getpid(), signal.SIGUSR1)

        thread = threading.Thread(target=send)
        thread.start()
        recorder.listen()
        thread.join(10)
    finally:
        signal.signal(signal.SIGUSR1, previous)


@pytest.mark.usefixtures("each_way")
def test_closing_inside_event(recorder: Recorder, publisher: Publisher) -> None:
    closed = threading.Event()
    recorder.action = lambda event: (recorder.close(), closed.set())
    recorder.subscribe("a")
    recorder.begin()
    publisher.publish("a", 1)
    assert closed.wait(10) and recorder.ended()
    assert publisher.publish("a", 2) == 0
    with pytest.raises(EventServiceError, match="this subscriber is closed"):
        recorder.listen()
    with pytest.raises(EventServiceError, match="closed"):
        recorder.subscribe("a")


@pytest.mark.usefixtures("each_way")
def test_close_unsubscribes_first(recorder: Recorder, publisher: Publisher) -> None:
    recorder.subscribe(f"name{number}" for number in range(120))
    recorder.subscribeMatch("^z")
    recorder.close()
    assert publisher.publish(["name0", "name119", "z"], 1) == 0


def test_closing_without_a_service(service: EventServiceStarter) -> None:
    recorder = Recorder(service.uri)
    recorder.subscribe("a")
    service.shutdown()
    begin = time.monotonic()
    recorder.close()
    assert time.monotonic() - begin < 2


def test_an_event_that_is_not_overridden_is_printed(
    uri: str, publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    with Subscriber(es_uri=uri) as plain:
        plain.subscribe("a")
        thread = threading.Thread(target=plain.listen)
        thread.start()
        publisher.publish(["a", "A"], ("SUN", 22.44))
        eventually(lambda: plain.statistics().handled == 2)
        printed = capsys.readouterr().out.splitlines()
        assert [line.split()[2] for line in printed] == ["a", "A"]
        assert all(line.endswith("): ('SUN', 22.44)>") for line in printed)
        plain.event = lambda event: plain.abort()  # type: ignore[method-assign]
        publisher.publish("a", 1)
        thread.join(10)
        assert not thread.is_alive()


def test_the_handlers_errors_are_logged(
    recorder: Recorder, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.action = lambda event: 1 / (event.msg - 2)
    recorder.subscribe("a")
    recorder.begin()
    for number in (1, 2, 3):
        publisher.publish("a", number)
    eventually(lambda: recorder.statistics().handled == 2)
    assert recorder.statistics().failed == 1
    assert "event() raised ZeroDivisionError for subject 'a'" in caplog.text


def test_events_is_all_that_is_exposed(recorder: Recorder) -> None:
    proxy = recorder.daemon.proxyFor(recorder)
    assert proxy._pyroMethods == {"events"} and proxy._pyroAttrs == set()


def test_other_objects_on_the_daemon(recorder: Recorder) -> None:
    @Pyro5.api.expose
    class Thermometer:
        def read(self) -> float:
            return 21.5

    thermometer = recorder.daemon.register(Thermometer())
    recorder.begin()
    assert isinstance(recorder.daemon, SubscriberDaemon)
    with Pyro5.api.Proxy(thermometer) as proxy:
        assert proxy.read() == 21.5


def test_a_gui_loop(recorder: Recorder, publisher: Publisher) -> None:
    recorder.subscribe("a")
    publisher.publish("a", 1)
    (listening,) = recorder.daemon.sockets
    eventually(lambda: (recorder.daemon.events([listening]), recorder.got)[1] == [("a", 1)])


def test_the_host_that_pyro_is_told(uri: str) -> None:
    Pyro5.config.HOST = "0.0.0.0"
    with Subscriber(es_uri=uri) as recorder:
        assert recorder.daemon.locationStr.startswith("0.0.0.0:")
    Pyro5.config.HOST = "localhost"
    with Subscriber(es_uri=uri) as recorder:
        assert recorder.daemon.locationStr.startswith("127.0.0.1:")


def test_a_daemon_that_cannot_listen_leaves_nothing(uri: str) -> None:
    Pyro5.config.HOST = "192.0.2.1"  # nobody's address
    with pytest.raises(OSError):
        Subscriber(es_uri=uri)


def test_no_service(free_port: Callable[[], int]) -> None:
    with pytest.raises(ServiceUnreachableError):
        Subscriber(es_uri=f"PYRO:Pyro.EventService@127.0.0.1:{free_port()}")


@pytest.mark.parametrize("publisher_first", [True, False])
def test_one_class_that_is_both(uri: str, publisher_first: bool) -> None:
    class Relay(Publisher, Subscriber):
        """Passes on what it gets under another name."""

        def __init__(self) -> None:
            order = (Publisher, Subscriber) if publisher_first else (Subscriber, Publisher)
            for base in order:
                base.__init__(self, None, uri)
            self.subscribe("in")

        def event(self, event: Event) -> None:
            self.publish("out", event.msg)

    with Relay() as relay, Recorder(uri) as recorder, Publisher(es_uri=uri) as publisher:
        recorder.subscribe("out")
        recorder.begin()
        thread = threading.Thread(target=relay.listen)
        thread.start()
        publisher.publish("in", 5)
        eventually(lambda: recorder.got == [("out", 5)])
        eventually(lambda: relay.statistics().publisher.published == 1)
        statistics = relay.statistics()
        assert isinstance(statistics, ClientStatistics)
        assert statistics.subscriber.subscriptions == ("in",)
        relay.abort()
        thread.join(10)
    with pytest.raises(EventServiceError):
        relay.publish("out", 1)
    assert recorder.ended()


@pytest.mark.usefixtures("each_way")
def test_everything_arrives_in_order(recorder: Recorder, publisher: Publisher) -> None:
    recorder.setThreading(False)  # or a thread that the system holds up would be overtaken
    recorder.subscribe("a")
    recorder.begin()
    with publisher.pipeline() as fast:
        for number in range(20_000):
            fast.publish("a", number)
    eventually(lambda: len(recorder.got) == 20_000, 30)
    assert recorder.got == [("a", number) for number in range(20_000)]


@pytest.mark.usefixtures("each_way")
def test_handlers_that_wait_for_each_other(recorder: Recorder, publisher: Publisher) -> None:
    second = threading.Event()
    done = threading.Event()

    def wait(event: Event) -> None:
        if event.msg == 1:
            assert second.wait(10)
            done.set()
        elif event.msg == 2:
            second.set()

    recorder.action = wait
    recorder.subscribe("a")
    recorder.begin()
    # The service sends a second event before the first is acknowledged once it knows our pace.
    for number in range(10, 15):
        publisher.publish("a", number)
        eventually(lambda number=number: recorder.got[-1:] == [("a", number)])
    with publisher.pipeline() as fast:
        fast.publish("a", 1)
        fast.publish("a", 2)
    assert done.wait(10)


def test_sockets_of_the_daemon_are_closed(uri: str) -> None:
    recorder = Recorder(uri)
    listening: socket.socket = recorder.daemon.sock
    recorder.close()
    recorder.close()
    assert listening.fileno() == -1


def test_unsubscribing_folds_names_and_not_patterns(recorder: Recorder) -> None:
    recorder.subscribe(["Stock.Sun", "X.Y"])
    recorder.subscribeMatch(["X.Y", "^Z"])
    assert recorder.statistics().subscriptions == ("Stock.Sun", "X.Y", "X.Y", "^Z")
    recorder.unsubscribe(["STOCK.SUN", "^z"])
    assert recorder.statistics().subscriptions == ("X.Y", "X.Y", "^Z")
    recorder.unsubscribe("X.Y")
    assert recorder.statistics().subscriptions == ("^Z",)


def test_a_thousand_long_names_in_one_call(recorder: Recorder, publisher: Publisher) -> None:
    names = [f"{number}." + "\N{SNOWMAN}" * 250 for number in range(1000)]
    recorder.subscribe(names, backlog=5000)
    assert [publisher.publish(name, 1) for name in (names[0], names[-1])] == [1, 1]
    recorder.unsubscribe([*names[1:], "x" * 100_000])
    recorder.unsubscribe(names[0])
    assert [publisher.publish(name, 1) for name in (names[0], names[-1])] == [0, 0]


@pytest.mark.usefixtures("each_way")
def test_a_long_call_that_fails_changes_nothing(recorder: Recorder, publisher: Publisher) -> None:
    # Two pieces, and nearly as many as one subscriber may have.
    patterns = ["^old$", *(f"^n{number}_(?:{chr(233) * 225}){{0}}" for number in range(80))]
    recorder.subscribeMatch("^old$")
    with pytest.raises(ValueError, match="is not accepted"):
        recorder.subscribeMatch([*patterns, "("])
    with pytest.raises(ValueError, match="backlog"):  # sent with the last piece
        recorder.subscribeMatch(patterns, backlog=0)
    with pytest.raises(ValueError, match="total RE2 program size"):  # which the service alone can tell
        recorder.subscribeMatch(patterns + [pattern + "x" for pattern in patterns])
    with pytest.raises(ValueError, match="characters"):
        recorder.subscribeMatch("x" * 100_000)
    assert recorder.statistics().subscriptions == ("^old$",)
    assert publisher.publish(["n0_", "n79_", "n0_x", "old"], 1) == 1
    recorder.subscribeMatch(patterns)
    assert publisher.publish(["n0_", "n79_", "old"], 1) == 3


@pytest.mark.usefixtures("each_way")
def test_a_second_thread_in_listen_is_refused(recorder: Recorder) -> None:
    recorder.begin()
    with pytest.raises(EventServiceError, match="another thread"):
        recorder.listen()
    first = recorder.listening
    recorder.abort()
    recorder.begin()  # waits for the first, which was told to end
    assert first is not None
    first.join(10)
    assert not first.is_alive()
    eventually(lambda: listens(recorder))  # the second one; an `abort` before it begins would not end it
    recorder.abort()
    assert recorder.ended()


def test_a_forgotten_init_is_called_by_its_name() -> None:
    class Forgetful(Publisher, Subscriber):
        def __init__(self) -> None:
            pass

    forgetful = Forgetful()
    for call, role in (
        (lambda: forgetful.subscribe("a"), "Subscriber"),
        (forgetful.listen, "Subscriber"),
        (forgetful.abort, "Subscriber"),
        (lambda: forgetful.publish("a", 1), "Publisher"),
        (forgetful.statistics, "Publisher"),
    ):
        with pytest.raises(EventServiceError, match=rf"call {role}\.__init__"):
            call()
    forgetful.close()


def test_a_gui_loop_after_abort_and_close(recorder: Recorder) -> None:
    recorder.abort()
    dispatcher = recorder._Subscriber__receiver.dispatcher  # type: ignore[attr-defined]
    recorder.daemon.events([])
    assert dispatcher.limits.paused
    recorder.daemon.events(recorder.daemon.sockets)
    assert not dispatcher.limits.paused
    recorder.close()
    assert recorder.daemon.sockets == []
    recorder.daemon.events([])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # other threads run while we fork
def test_a_forked_child_leaves_the_parents_subscriber_alone(
    recorder: Recorder, publisher: Publisher, each_way: bool
) -> None:
    recorder.subscribe("a")
    recorder.begin()
    publisher.publish("a", 1)
    eventually(lambda: len(recorder.got) == 1)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 1
        try:
            recorder.close()
            try:
                recorder.subscribe("b")
            except EventServiceError:
                code = 0 if not each_way or recorder.daemon.sockets == [] else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert publisher.publish("a", 2) == 1
    eventually(lambda: recorder.got == [("a", 1), ("a", 2)])
    statistics = recorder.statistics()
    assert (statistics.connections, statistics.reconnects) == (1, 0)
