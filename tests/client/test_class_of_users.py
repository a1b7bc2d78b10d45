"""What programs do with classes and objects: several bases, attributes of their own, copies, repr and dir."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from Pyro5.api import Proxy
from waiting import eventually

from pyro_events import Event, EventServiceError, EventServiceStarter, Publisher, Subscriber, SubscriberDaemon
from pyro_events.client.statistics import ClientStatistics


@pytest.fixture
def uri(service: EventServiceStarter) -> str:
    return str(service.uri)


@pytest.fixture
def publisher(uri: str) -> Iterator[Publisher]:
    with Publisher(es_uri=uri) as publisher:
        yield publisher


# Several bases


class TickerFirst(Subscriber, threading.Thread):
    """As Pyro3's programs: each constructor by its name."""

    def __init__(self, uri: str, swapped: bool = False) -> None:
        for base in (threading.Thread, Subscriber) if swapped else (Subscriber, threading.Thread):
            if base is Subscriber:
                Subscriber.__init__(self, None, uri)
            else:
                threading.Thread.__init__(self, name="ticker")
        self.got: list[Any] = []
        self.subscribe("A")

    def run(self) -> None:
        self.listen()

    def event(self, event: Event) -> None:
        self.got.append(event.msg)
        if event.msg == "closed":
            self.abort()


class ThreadFirst(threading.Thread, Subscriber):  # type: ignore[misc]
    __init__ = TickerFirst.__init__  # type: ignore
    run = TickerFirst.run  # type: ignore
    event = TickerFirst.event  # type: ignore


class Modern(Subscriber, threading.Thread):
    """`super().__init__()` for all."""

    def __init__(self, uri: str, swapped: bool = False) -> None:
        super().__init__(es_uri=uri)
        self.name = "ticker"
        self.got: list[Any] = []
        self.subscribe("A")

    run = TickerFirst.run  # type: ignore
    event = TickerFirst.event  # type: ignore


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("kind", [TickerFirst, ThreadFirst, Modern])
def test_a_subscriber_that_is_a_thread(
    uri: str, publisher: Publisher, kind: Callable[..., Any], swapped: bool
) -> None:
    with kind(uri, swapped) as ticker:
        assert ticker.name == "ticker" and ticker.daemon is threading.current_thread().daemon
        ticker.daemon = True
        assert ticker.daemon is True and ticker._daemonic
        assert not ticker.is_alive() and ticker.ident is None
        ticker.start()
        assert ticker.is_alive() and isinstance(ticker.ident, int) and ticker.daemon is True
        publisher.publish("A", 1)
        eventually(lambda: ticker.got == [1])
        assert ticker.getDaemon().locationStr.startswith("127.0.0.1:")
        assert ticker.statistics().name.endswith("]")
        publisher.publish("A", "closed")
        ticker.join(10)
        assert not ticker.is_alive() and ticker.got == [1, "closed"]


def test_threads_that_such_a_thread_makes_inherit_its_daemon(uri: str) -> None:
    made: list[threading.Thread] = []

    class Maker(Modern):
        def run(self) -> None:
            made.append(threading.Thread(target=print))

    for daemon in (True, False):
        with Maker(uri) as maker:
            maker.daemon = daemon  # type: ignore[assignment]
            maker.start()
            maker.join(10)
            assert made.pop().daemon is daemon


def test_a_started_thread_is_not_initialised_again(uri: str, publisher: Publisher) -> None:
    class Late(Subscriber, threading.Thread):
        def __init__(self) -> None:
            threading.Thread.__init__(self, target=self.work, name="late")
            self.done = threading.Event()
            self.start()
            super().__init__(es_uri=uri)

        def work(self) -> None:
            self.done.set()

    with Late() as late:
        assert late.done.wait(10) and late.name == "late"
        late.join(10)


def test_a_subscriber_that_is_a_process(uri: str) -> None:
    context = multiprocessing.get_context("spawn")

    class Ticker(Subscriber, context.Process):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__(es_uri=uri)

    with Ticker() as ticker:
        assert ticker.daemon is False
        ticker.daemon = True  # type: ignore[assignment]
        assert ticker.daemon is True


@pytest.mark.parametrize("bases", [(Publisher, Subscriber), (Subscriber, Publisher)])
def test_super_init_initialises_both_ends(uri: str, bases: tuple[type, ...]) -> None:
    class Mixin:
        def __init__(self) -> None:
            self.mixed = True

    def init(self: Any, **named: Any) -> None:
        super(both, self).__init__(None, **named)

    for more in ((), (Mixin,)):
        both = type("Both", (*bases, *more), {"__init__": init})
        with both(es_uri=uri, name="both") as relay:
            assert relay.publish("A", 1) == 0
            relay.subscribe("A")
            assert relay.publish("A", 1) == 1
            statistics = relay.statistics()
            assert isinstance(statistics, ClientStatistics)
            assert statistics.publisher.name == statistics.subscriber.name == "both"
            assert hasattr(relay, "mixed") == bool(more)


def test_constructors_that_are_called_by_name_initialise_one_base_each(uri: str) -> None:
    calls: list[str] = []

    class Window:
        def __init__(self, title: str = "") -> None:
            calls.append(title)

    class App(Publisher, Subscriber, Window):
        def __init__(self) -> None:
            Publisher.__init__(self, es_uri=uri)
            with pytest.raises(EventServiceError, match=r"call Subscriber\.__init__ first"):
                self.subscribe("A")
            Subscriber.__init__(self, es_uri=uri)
            Window.__init__(self, "prices")

    with App():
        assert calls == ["prices"]

    class Needy:
        def __init__(self, needed: int) -> None:
            calls.append(str(needed))

    class Mixed(Subscriber, Needy):
        def __init__(self) -> None:
            super().__init__(es_uri=uri)  # cannot call the next, which needs more than it was given
            Needy.__init__(self, 5)

    with Mixed():
        assert calls == ["prices", "5"]


def test_a_base_that_fails_leaves_nothing_open(uri: str) -> None:
    class Fails:
        def __init__(self) -> None:
            raise RuntimeError("no display")

    class App(Publisher, Subscriber, Fails): ...

    with pytest.raises(RuntimeError, match="no display"):
        App(es_uri=uri)


def test_constructors_show_their_arguments() -> None:
    for kind in (Publisher, Subscriber):
        signature = inspect.signature(kind)
        assert list(signature.parameters)[:2] == ["ident", "es_uri"] and "name" in signature.parameters
        assert kind.__init__.__doc__ and "ServiceNotFoundError" in kind.__init__.__doc__
        with pytest.raises(TypeError, match=r"__init__\(\) got an unexpected keyword argument 'nonsense'"):
            kind(nonsense=1)  # type: ignore[call-arg]


# Attributes of the program's own


class Careless(Publisher, Subscriber):
    """Uses names as it likes."""

    def __init__(self, uri: str) -> None:
        super().__init__(es_uri=uri)
        self.subscribe("A")
        self.close = []  # type: ignore
        self.statistics = {}  # type: ignore
        self.listen = self.abort = None  # type: ignore
        self.events = []  # type: ignore
        self.name = self._join = self.got = []  # type: ignore

    def event(self, event: Event) -> None:
        self.got.append(event.msg)


def test_attributes_that_hide_ours(uri: str) -> None:
    with Careless(uri) as careless:
        careless.listen_in_background()
        with careless.pipeline() as fast:
            for number in range(100):
                fast.publish("A", number)
            fast.publish("A", bytes(100_000))
        eventually(lambda: len(careless.got) == 101)
        assert repr(careless).endswith("connected>")
    assert repr(careless).endswith("closed>")


def test_the_daemon_cannot_be_replaced(uri: str) -> None:
    with Subscriber(es_uri=uri) as ticker:
        with pytest.raises(AttributeError, match="daemon of a subscriber is made by"):
            ticker.daemon = object()  # type: ignore[assignment]
        assert ticker.daemon is ticker.getDaemon()


@pytest.mark.parametrize("value", [[], None, 5, property(lambda self: []), lambda self, batch: []])
def test_a_class_level_events_is_refused_by_name(uri: str, value: object) -> None:
    kind = type("Ticker", (Subscriber,), {"events": value})
    mixed = type("Mixed", (type("Mixin", (), {"events": value}), Subscriber), {})
    for bad in (kind, mixed, type("Derived", (kind,), {})):
        with pytest.raises(TypeError, match=rf"{bad.__name__}\.events hides the method by which the service"):
            bad(es_uri=uri)


# repr, dir, copies


def test_what_repr_says(uri: str, service: EventServiceStarter) -> None:
    for kind in (Publisher, Subscriber):
        one = kind(es_uri=uri, name="lab's")
        assert repr(one) == f'<{kind.__name__} "lab\'s" of {uri}, connected>'
        one.close()
        assert repr(one) == f'<{kind.__name__} "lab\'s" of {uri}, closed>'
        assert repr(kind.__new__(kind)) == f"<{kind.__name__}, not initialised>"
    with Careless(uri) as both, Publisher(es_uri=uri) as publisher:
        assert repr(both).count(uri) == 1
        both.listen_in_background()
        service.shutdown()
        eventually(lambda: _unreachable(publisher))
        assert repr(publisher).endswith(f" of {uri}, not connected>")


def test_what_the_repr_of_a_daemon_says(uri: str) -> None:
    with Subscriber(es_uri=uri) as subscriber:
        daemon = subscriber.getDaemon()
        assert repr(daemon) == f"<SubscriberDaemon at {daemon.locationStr}, 0 connections>"
    assert repr(daemon) == f"<SubscriberDaemon at {daemon.locationStr}, closed>"
    assert repr(SubscriberDaemon.__new__(SubscriberDaemon)) == "<SubscriberDaemon of another program>"


def _unreachable(publisher: Publisher) -> bool:
    try:
        publisher.publish("A", 1)
    except EventServiceError:
        return True
    return False


def test_no_passphrase_shows() -> None:
    with EventServiceStarter("127.0.0.1", 0, use_ns=False, ident="open sesame") as es:
        for kind in (Publisher, Subscriber):
            with kind("open sesame", es.uri) as one, one.getES() as proxy:
                assert "sesame" not in repr(one) + repr(vars(one)) + repr(proxy)
                assert proxy.publish("A", 1) == 0


def test_constructors_hide_the_passphrase_whatever_they_raise(free_port: Callable[[], int]) -> None:
    class Both(Publisher, Subscriber): ...

    uri = f"PYRO:Pyro.EventService@127.0.0.1:{free_port()}"
    for arguments, named in ((("open sesame",), {}), ((), {"ident": "open sesame"})):
        for kind in (Publisher, Subscriber, Both):
            with pytest.raises(EventServiceError) as raised:
                kind(*arguments, es_uri=uri, **named)
            ours = [entry for entry in raised.traceback if "pyro_events" in str(entry.path)]
            assert len(ours) > 2
            assert not [entry for entry in ours if "sesame" in repr(entry.frame.f_locals)]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_are_refused_with_a_reason(
    uri: str, publisher: Publisher, make: Callable[[object], object]
) -> None:
    with Careless(uri) as both, Subscriber(es_uri=uri) as subscriber, publisher.pipeline() as pipeline:
        for one in (both, publisher, subscriber, pipeline):
            reason = f"a {type(one).__name__} can be neither copied nor pickled"
            with pytest.raises(TypeError, match=reason):
                make(one)
            with pytest.raises(TypeError, match=reason):
                copy.deepcopy({"a": [one]})


def test_a_class_may_say_how_it_is_copied(uri: str) -> None:
    class Named(Publisher):
        def __reduce__(self) -> Any:
            return str, ("a copy",)

    with Named(es_uri=uri) as named:
        assert copy.copy(named) == "a copy"


def test_dir_shows_what_is_for_users(uri: str) -> None:
    with Subscriber(es_uri=uri) as subscriber, Publisher(es_uri=uri) as publisher:
        shown = [name for name in dir(subscriber) if not name.startswith("__")]
        assert " ".join(shown) == (
            "abort abortListen close daemon event getDaemon getES getProxy listen listen_in_background "
            "off on on_reconnect setThreading statistics subscribe subscribeMatch unsubscribe "
            "wait_until_connected"
        )
        shown = [name for name in dir(publisher) if not name.startswith("__")]
        assert " ".join(shown) == (
            "background clear_retained close getES listeners on_interest pipeline publish statistics"
        )
        subscriber.prices = {}  # type: ignore[attr-defined]
        assert "prices" in dir(subscriber)
        with MagicMock(spec=subscriber) as mock:  # what stands for it in tests can do the same
            assert callable(mock.subscribe) and "events" not in dir(mock)


# Pyro3's names


def test_pyro3s_keywords(uri: str) -> None:
    with Careless(uri) as both:
        assert both.publish(subjects="A", msg=1) == both.publish("A", message=1) == 1
        both.subscribeMatch(subjectPatterns="^B")
        both.subscribeMatch(patterns="^C")
        both.subscribe(subjects="D")
        both.unsubscribe(subjects="D")
        assert both.publish(["b1", "c1", "d"], None) == 2
        both.setThreading(threaded=0)
        both.setThreading(threading=1)
        both.setThreading(0)
        for wrong in (
            lambda: both.publish("A"),  # type: ignore
            lambda: both.publish("A", 1, msg=1),
            lambda: both.subscribeMatch(),
            lambda: both.subscribeMatch("^A", subjectPatterns="^B"),
            lambda: both.setThreading(),
            lambda: both.setThreading(0, threaded=0),
        ):
            with pytest.raises(TypeError, match=r"needs the argument|are the same argument"):
                wrong()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("wrong", ["no", None, 0.0, [True]])
def test_threading_is_on_or_off(uri: str, wrong: Any) -> None:
    with (
        Careless(uri) as both,
        pytest.raises(TypeError, match=f"needs True or False, not {type(wrong).__name__}"),
    ):
        both.setThreading(wrong)


def test_pyro3s_methods(uri: str, publisher: Publisher) -> None:
    with TickerFirst(uri) as ticker:
        with ticker.getES() as es:
            assert es.publish("A", "by proxy") == 1
            es.subscribe("B", ticker.getProxy())
        with publisher.getES() as es:
            assert isinstance(es, Proxy)
            assert list(es.statistics()["subscribers"][0]["subjects"]) == ["A", "B"]
        assert ticker.getDaemon().getServerSockets() == ticker.getDaemon().sockets
        assert str(ticker.getProxy()._pyroUri) == ticker.statistics().uri
        assert not ticker.abortListen
        ticker.start()
        eventually(lambda: ticker.got == ["by proxy"])
        ticker.abortListen = 1  # type: ignore[assignment]
        ticker.join(10)
        assert ticker.abortListen and not ticker.is_alive()
    with pytest.raises(EventServiceError, match="first"):
        Publisher.__new__(Publisher).getES()
