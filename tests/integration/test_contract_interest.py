"""Who wants it (C39a): publishers are told how many listen, by real services, whatever happens."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import needs_openssl, use
from certificates import settings as certificates
from contract import running, statistics
from fake_subscriber import fake_subscriber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listening import Collector, OwnCollector, collecting
from processes import Spawner
from Pyro5.api import Daemon, Proxy
from raw_client import raw_client
from streams import KINDS as STREAMS
from waiting import eventually
from watching import PUBLISHERS, Calls, MakePublisher, WatchersConnections

from pyro_events import (
    EVENTSERVER_NAME,
    EventService,
    EventServiceStarter,
    EventStream,
    Publisher,
    ServiceUnreachableError,
    Subscriber,
)

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(params=PUBLISHERS)
def make_publisher(request: pytest.FixtureRequest) -> MakePublisher:
    return PUBLISHERS[request.param]


KINDS: dict[str, Any] = {"callback": Collector, "own connection": OwnCollector}


@pytest.fixture(params=[*KINDS, *STREAMS])
def listening(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Each kind of a listener: listening(uri, *names, match=...), a context manager."""
    if request.param in KINDS:

        @contextlib.contextmanager
        def collect(uri: str, *names: str, match: str | tuple[str, ...] = ()) -> Iterator[Any]:
            with collecting(uri, *names, kind=KINDS[request.param]) as collector:
                collector.subscribeMatch(match)
                yield collector

        return collect
    return lambda uri, *names, match=(): STREAMS[request.param](names, match=match, es_uri=uri)


def test_c39a_each_kind_of_a_listener_is_counted_and_told_of(
    service: EventServiceStarter, make_publisher: MakePublisher, listening: Callable[..., Any]
) -> None:
    calls = Calls()
    with make_publisher(es_uri=service.uri) as publisher:
        publisher.on_interest("CAMERA.1", "CAMERA.2", call=calls)
        with listening(service.uri, "camera.1"):
            eventually(lambda: calls == [("CAMERA.1", 1)])
            with listening(service.uri, match=r"^CAMERA\."):
                eventually(lambda: calls.last("CAMERA.2") == 1)
                both = publisher.listeners(["CAMERA.1", "CAMERA.2"])
                assert both == {"CAMERA.1": 2, "CAMERA.2": 1}
                assert publisher.publish(["CAMERA.1", "CAMERA.2"], "picture") == 3
            eventually(lambda: calls.last("CAMERA.2") == 0)
        eventually(lambda: calls.last("CAMERA.1") == 0)
        assert sorted(calls) == [("CAMERA.1", 0), ("CAMERA.1", 1), ("CAMERA.2", 0), ("CAMERA.2", 1)]


def test_c39a_unsubscribing_is_enough(service: EventServiceStarter, make_publisher: MakePublisher) -> None:
    calls = Calls()
    with make_publisher(es_uri=service.uri) as publisher, Subscriber(es_uri=service.uri) as subscriber:
        publisher.on_interest("A", call=calls)
        for _ in range(3):
            subscriber.subscribeMatch(".")
            eventually(lambda: calls.last("A") == 1)
            subscriber.unsubscribe(".")
            eventually(lambda: calls.last("A") == 0)
        assert calls == [("A", 1), ("A", 0)] * 3


def test_c39a_what_there_is_already_is_told_at_the_beginning(
    service: EventServiceStarter, make_publisher: MakePublisher
) -> None:
    with make_publisher(es_uri=service.uri) as publisher, EventStream("A", es_uri=service.uri):
        first, second = Calls(), Calls()
        publisher.on_interest("A", "B", call=first)
        eventually(lambda: first == [("A", 1)])
        watch = publisher.on_interest("a", "B", call=second)
        eventually(lambda: second == [("a", 1)])
        with EventStream("B", es_uri=service.uri):
            eventually(lambda: first.last("B") == second.last("B") == 1)
            watch.close()
        eventually(lambda: first.last("B") == 0)
        assert second.last("B") == 1 and first == [("A", 1), ("B", 1), ("B", 0)]


def test_c39a_a_group_counts_as_one(service: EventServiceStarter, make_publisher: MakePublisher) -> None:
    calls = Calls()
    with make_publisher(es_uri=service.uri) as publisher:
        publisher.on_interest("JOB", call=calls)
        with EventStream("JOB", group="workers", es_uri=service.uri):
            eventually(lambda: calls == [("JOB", 1)])
            with EventStream(match="^J", group="workers", es_uri=service.uri):
                assert publisher.listeners("JOB") == {"JOB": 1} == {"JOB": publisher.publish("JOB", 1)}
                with EventStream("JOB", es_uri=service.uri):
                    assert publisher.listeners("JOB") == {"JOB": 2} == {"JOB": publisher.publish("JOB", 1)}
        eventually(lambda: calls == [("JOB", 1), ("JOB", 0)])


def test_c39a_exactly_leaves_out_who_listens_to_everything(
    service: EventServiceStarter, make_publisher: MakePublisher
) -> None:
    uri = service.uri
    with (
        make_publisher(es_uri=uri) as publisher,
        EventStream(match=".*", es_uri=uri),
        EventStream(match=["^.*$", "", "^A"], es_uri=uri),
        EventStream("A", match=".", es_uri=uri),
        EventStream(match=["..", r"\w"], es_uri=uri),
    ):
        assert publisher.listeners(["A", "B", "AB", "-"]) == {"A": 4, "B": 4, "AB": 4, "-": 3}
        assert publisher.listeners(["A", "B", "AB", "-"], exact=True) == {"A": 3, "B": 1, "AB": 2, "-": 0}
        # Who is told is told of all.
        calls = Calls()
        publisher.on_interest("-", call=calls)
        eventually(lambda: calls == [("-", 3)])


def test_c39a_of_a_killed_listener_the_publisher_is_told(
    es: Any, spawn: Spawner, make_publisher: MakePublisher
) -> None:
    calls = Calls()
    with make_publisher(es_uri=es.uri) as publisher:
        publisher.on_interest("A", call=calls)
        program = spawn(str(PROGRAMS / "listener.py"), "--es-uri", es.uri, "A", ready="ready")
        eventually(lambda: calls == [("A", 1)])
        publisher.publish("A", "hello")
        program.wait_for("hello")  # the service has reached it; otherwise it would wait for it for a while
        program.send(signal.SIGKILL)
        eventually(lambda: calls == [("A", 1), ("A", 0)])


def test_c39a_after_a_restart_of_the_service_everything_is_told_anew(
    start_service: Any, make_publisher: MakePublisher
) -> None:
    """Killed, and back with others that have subscribed meanwhile."""
    es = start_service()
    calls = Calls()
    with make_publisher(es_uri=es.uri) as publisher, EventStream("A", es_uri=es.uri) as stream:
        watch = publisher.on_interest("A", "B", "C", call=calls)
        eventually(lambda: calls == [("A", 1)])
        es.process.send(signal.SIGKILL)
        es.process.wait()
        eventually(lambda: not watch.statistics().connected)
        stream.close()
        again = start_service("--port", str(es.port))
        with EventStream("B", es_uri=again.uri):
            eventually(lambda: (calls.last("A"), calls.last("B"), calls.last("C")) == (0, 1, 0))
            assert watch.statistics().connected
            # In turn: told anew, then what has changed; C never had anybody, and is told once.
            assert calls.count(("C", 0)) == 1
        eventually(lambda: calls.last("B") == 0)
        assert publisher.listeners("A") == {"A": 0}


def test_c39a_a_connection_that_is_lost_is_made_again_and_tells_all(
    service: EventServiceStarter, make_publisher: MakePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = WatchersConnections(monkeypatch)
    calls = Calls()
    with make_publisher(es_uri=service.uri) as publisher, EventStream("A", es_uri=service.uri):
        publisher.on_interest("A", "B", call=calls)
        eventually(lambda: calls == [("A", 1)])
        for number in range(1, 4):
            connections.end_last()
            eventually(lambda number=number: calls.count(("A", 1)) == 1 + number)  # type: ignore[misc]
            eventually(lambda number=number: calls.count(("B", 0)) == number)  # type: ignore[misc]


def test_c39a_a_storm_of_joins_and_leaves_ends_in_the_right_state(
    service: EventServiceStarter, make_publisher: MakePublisher
) -> None:
    """A thousand of them, by names and patterns, while a function is slow."""
    subjects = ["A", "B.1", "B.2", "C"]
    texts = ["A", "B.1", "b.2", "C", r"^B\.", ".*", "[AC]"]
    calls, chosen = Calls(), random.Random(39)

    def slow(subject: str, listeners: int) -> None:
        threading.Event().wait(0.001)

    with make_publisher(es_uri=service.uri) as publisher, raw_client(service.uri) as client:
        publisher.on_interest(*subjects, call=slow)
        publisher.on_interest(*subjects, call=calls)
        with contextlib.ExitStack() as stack:
            uris = [stack.enter_context(fake_subscriber()).uri for _ in range(5)]
            for _ in range(1000):
                text, uri = chosen.choice(texts), chosen.choice(uris)
                how = chosen.choice(["unsubscribe", "subscribe" if text in texts[:4] else "subscribeMatch"])
                client.call(how, text, uri)
            counts = publisher.listeners(subjects)
            eventually(lambda: _wanted({name: calls.last(name) or 0 for name in subjects}) == _wanted(counts))
        eventually(lambda: not any(calls.last(name) for name in subjects))
    for name in subjects:  # by turns: there is somebody, and nobody
        states = [bool(count) for subject, count in calls if subject == name]
        assert states == [number % 2 == 0 for number in range(len(states))]


def _wanted(counts: dict[str, int]) -> dict[str, bool]:
    return {name: count > 0 for name, count in counts.items()}


TEXTS = st.sampled_from(["A", "a.B", "B", r".*\.b$", "^A", ".*", "[AB]"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["subscribe", "subscribeMatch", "unsubscribe"]), st.integers(0, 4), TEXTS),
    max_size=16,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_c39a_the_count_is_what_publish_returns(
    shared: tuple[Any, ...], steps: list[tuple[str, int, str]]
) -> None:
    client, publisher, calls, uris = shared
    subjects = ["A", "A.B", "B", "X"]
    try:
        for how, number, text in steps:
            # The last two are members of one group.
            group = [{"group": "workers"}] if number >= 3 and how != "unsubscribe" else []
            client.call(how, text, uris[number], *group)
        counts = publisher.listeners(subjects)
        assert counts == {subject: publisher.publish(subject, None) for subject in subjects}
        eventually(lambda: _wanted({name: calls.last(name) or 0 for name in subjects}) == _wanted(counts))
    finally:
        for uri in uris:
            client.call("unsubscribe", ["A", "a.B", "B", r".*\.b$", "^A", ".*", "[AB]"], uri)


@pytest.fixture
def shared(service: EventServiceStarter) -> Iterator[tuple[Any, ...]]:
    calls = Calls()
    with (
        raw_client(service.uri) as client,
        Publisher(es_uri=service.uri) as publisher,
        contextlib.ExitStack() as stack,
    ):
        uris = [stack.enter_context(fake_subscriber()).uri for _ in range(5)]
        publisher.on_interest("A", "A.B", "B", "X", call=calls)
        yield client, publisher, calls, uris


def test_c39a_a_publisher_whose_function_is_stuck_delays_nobody() -> None:
    """Subscribers come and go, others are told, and afterwards it is told how it is."""
    entered, leave = threading.Event(), threading.Event()
    told = Calls()

    def stuck(subject: str, listeners: int) -> None:
        entered.set()
        leave.wait(60)
        told(subject, listeners)

    with (
        running() as starter,
        Publisher(es_uri=starter.uri) as frozen,
        Publisher(es_uri=starter.uri) as publisher,
    ):
        calls = Calls()
        frozen.on_interest("A", call=stuck)
        publisher.on_interest("A", call=calls)
        for _ in range(20):
            with EventStream("A", es_uri=starter.uri) as stream:
                assert publisher.publish("A", 1) == 1
                assert stream.get(10).msg == 1
                eventually(lambda: calls.last("A") == 1)
            eventually(lambda: calls.last("A") == 0)
        assert entered.wait(10)
        leave.set()
        eventually(lambda: told.last("A") == 0)
        assert len(told) < 20  # what was not the newest any more was not sent


def test_c39a_who_watches_is_a_client_and_no_subscriber(service: EventServiceStarter) -> None:
    with Publisher(es_uri=service.uri, name="camera") as publisher:
        publisher.on_interest("A", call=print)
        found = statistics(service.uri)
        assert found["subscribers"] == [] and found["connections"] >= 3  # with the one that asks
        assert [name for name, _ in found["clients"]] == ["camera"] * (found["connections"] - 1)
        assert publisher.publish("A", 1) == 0


def test_c39a_a_signals_handler_may_watch_and_end_a_watch(service: EventServiceStarter) -> None:
    """In the middle of the same calls, which are made all the time."""
    calls, watches, handled = Calls(), list[Any](), list[int]()

    def handler(number: int, frame: object) -> None:
        handled.append(number)
        if watches:
            watches.pop().close()
        watches.append(publisher.on_interest("A", call=calls))
        publisher.listeners("A")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with Publisher(es_uri=service.uri) as publisher:
            publisher.on_interest("B", call=calls)  # before that, it is an error that says so
            ended = threading.Event()

            def disturb() -> None:
                while not ended.wait(0.003):
                    os.kill(os.getpid(), signal.SIGUSR1)

            disturbing = threading.Thread(target=disturb)
            disturbing.start()
            try:
                while len(handled) < 50:
                    publisher.on_interest("A", "C", call=calls).close()
                    publisher.listeners(["A", "B"])
            finally:
                ended.set()
                disturbing.join()
            # A handler may have been interrupted by another one: then there are more watches than one.
            calls.clear()
            with EventStream("A", es_uri=service.uri):
                eventually(lambda: calls == [("A", 1)] * len(watches))
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_c39a_with_a_passphrase(make_publisher: MakePublisher) -> None:
    with EventServiceStarter(host="127.0.0.1", port=0, use_ns=False, ident="secret") as starter:
        calls = Calls()
        with make_publisher(es_uri=starter.uri, ident="secret") as publisher:
            publisher.on_interest("A", call=calls)
            with EventStream("A", es_uri=starter.uri, ident="secret"):
                eventually(lambda: calls == [("A", 1)])
                assert publisher.listeners("A") == {"A": 1}


@needs_openssl
def test_c39a_over_tls(make_publisher: MakePublisher) -> None:
    use(certificates())
    calls = Calls()
    with running() as starter, make_publisher(es_uri=starter.uri) as publisher:
        publisher.on_interest("A", call=calls)
        with EventStream("A", es_uri=starter.uri):
            eventually(lambda: calls == [("A", 1)])
            assert publisher.listeners("A") == {"A": 1}
        eventually(lambda: calls == [("A", 1), ("A", 0)])


def test_c39a_stock_clients_can_ask_how_many_listen(service: EventServiceStarter) -> None:
    for serializer in ("serpent", "json", "msgpack"):
        with Proxy(service.uri) as es, EventStream("A", match=".*", es_uri=service.uri):
            es._pyroSerializer = serializer
            assert es.listeners(["A", "B"]) == {"A": 1, "B": 1}
            assert es.listeners("B", {"exact": True}) == {"B": 0}
            with pytest.raises(ValueError, match="begins with"):
                es.listeners("$ES.SERVICE.STOPPING")


def test_c39a_in_a_stock_daemon_listeners_are_counted_and_nobody_is_told() -> None:
    with Daemon(host="127.0.0.1") as daemon:
        service = EventService()
        uri = str(daemon.register(service, EVENTSERVER_NAME))
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            with Publisher(es_uri=uri) as publisher, fake_subscriber() as here:
                service.subscribe("A", here.uri)
                assert publisher.listeners("A") == service.listeners("A") == {"A": 1}
                assert publisher.listeners([f"S{number}" for number in range(300)], exact=True)["S7"] == 0
                with pytest.raises(ServiceUnreachableError, match="does not tell publishers who listens"):
                    publisher.on_interest("A", call=print)
        finally:
            daemon.shutdown()
            thread.join()
            service.close()


def test_c39a_a_thousand_subjects_are_counted_in_one_call(service: EventServiceStarter) -> None:
    with (
        Publisher(es_uri=service.uri) as publisher,
        EventStream(match=[r"^S\d*7$", ".*"], es_uri=service.uri),
    ):
        names = [f"S{number}" for number in range(1000)]
        assert set(publisher.listeners(names).values()) == {1}
        exact = publisher.listeners(names, exact=True)
        assert exact == {name: int(name.endswith("7")) for name in names}


def test_c39a_closing_from_any_thread_ends_everything(service: EventServiceStarter) -> None:
    publishers = [Publisher(es_uri=service.uri) for _ in range(8)]
    for publisher in publishers:
        publisher.on_interest("A", call=functools.partial(Calls()))
    threads = [threading.Thread(target=publisher.close) for publisher in publishers for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: statistics(service.uri)["connections"] == 1)
