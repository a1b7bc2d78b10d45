"""Clients that know Pyro5 only, and plain Pyro5 objects as subscribers (C12)."""

from __future__ import annotations

import datetime
import json
import re
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import Pyro5
import pytest
from listening import collecting
from processes import Spawner
from Pyro5 import protocol, socketutil
from Pyro5.api import (
    BatchProxy,
    Daemon,
    Proxy,
    SerializerBase,
    expose,
    register_dict_to_class,
)
from Pyro5.errors import CommunicationError, PyroError
from waiting import eventually

from pyro_events import Event, EventServiceStarter, Publisher
from pyro_events.server.service_methods import REMOTE_METHODS
from pyro_events.testing import EventCollector, collect

PROGRAMS = Path(__file__).parent / "programs"
SERIALIZERS = ["serpent", "json", "msgpack"]


@pytest.fixture(params=SERIALIZERS)
def serializer(request: pytest.FixtureRequest) -> str:
    """Each of the serializers in turn, also set for the proxies of this process."""
    Pyro5.config.SERIALIZER = request.param
    return str(request.param)


@pytest.fixture
def proxy(es) -> Iterator[Proxy]:
    """A stock proxy for the service, with whatever serializer is set when it is first used."""
    with Proxy(es.uri) as stock:
        yield stock


def messages(seen: EventCollector) -> list[Any]:
    """The messages of all events so far."""
    return [event.msg for event in seen.events]


# Publishing


PLAIN = {"name": "SUN", "price": 22.44, "open": True, "none": None, "days": [1, -2, 3], "ü": "€"}


def test_a_stock_program_publishes(es, spawn: Spawner, serializer: str) -> None:
    with collect("STOCK", es_uri=es.uri) as seen:
        program = [str(PROGRAMS / "stock_publisher.py"), es.uri, serializer, "STOCK"]
        assert spawn(*program, repr(PLAIN)).wait_for("answer: (.*)").group(1) == "1"
        (event,) = seen.events
        assert event.msg == PLAIN
        assert (event.subject, event.seq, event.missed) == ("STOCK", 1, 0)


@pytest.mark.parametrize(
    "expression, arrives",
    [
        ("b'raw \\x00 bytes'", b"raw \x00 bytes"),
        ("('SUN', 22.44)", ("SUN", 22.44)),
        ("{1, 2, 3}", {1, 2, 3}),
        ("{1: 'one', (2, 3): 'pair'}", {1: "one", (2, 3): "pair"}),
        ("2 ** 100", 2**100),
    ],
)
def test_what_serpent_keeps_arrives(es, spawn: Spawner, expression: str, arrives: object) -> None:
    with collect("STOCK", es_uri=es.uri) as seen:
        spawn(str(PROGRAMS / "stock_publisher.py"), es.uri, "serpent", "STOCK", expression)
        message = seen.wait_for(1)[0].msg
        assert message == arrives
        assert type(message) is type(arrives)


@pytest.mark.parametrize(
    "expression, arrives",
    [
        ("b'raw \\x00 bytes'", b"raw \x00 bytes"),
        ("2 ** 60", 2**60),
        ("datetime.datetime(2026, 1, 2, 3, 4, 5, 6)", datetime.datetime(2026, 1, 2, 3, 4, 5, 6)),
        ("datetime.date(2026, 1, 2)", datetime.date(2026, 1, 2)),
        ("3 + 4j", 3 + 4j),
    ],
)
def test_what_msgpack_keeps_arrives(es, spawn: Spawner, expression: str, arrives: object) -> None:
    with collect("STOCK", es_uri=es.uri) as seen:
        spawn(str(PROGRAMS / "stock_publisher.py"), es.uri, "msgpack", "STOCK", expression)
        message = seen.wait_for(1)[0].msg
        assert message == arrives
        assert type(message) is type(arrives)


class Quote:
    """What the stock program's class becomes here."""

    def __init__(self, name: str, price: float) -> None:
        self.name = name
        self.price = price


def test_a_class_of_a_stock_program_arrives_as_the_class_here(es, spawn: Spawner, serializer: str) -> None:
    register_dict_to_class("tests.Quote", lambda name, fields: Quote(fields["name"], fields["price"]))
    try:
        with collect("STOCK", es_uri=es.uri) as seen:
            program = [str(PROGRAMS / "stock_publisher.py"), es.uri, serializer, "STOCK"]
            spawn(*program, "[Quote('SUN', 22.5)]")
            (quote,) = seen.wait_for(1)[0].msg
            assert type(quote) is Quote
            assert (quote.name, quote.price) == ("SUN", 22.5)
    finally:
        SerializerBase.unregister_dict_to_class("tests.Quote")


def test_several_subjects_and_parameter_names(es, proxy: Proxy, serializer: str) -> None:
    with collect(["A", "B"], es_uri=es.uri) as seen:
        assert proxy.publish(subjects=["A", "B", "C"], message="both") == 2
        assert proxy.publish([], "nothing") == 0
        assert [event.subject for event in seen.events] == ["A", "B"]
        assert len({event.time for event in seen.events}) == 1


def test_a_batch_of_calls(es, proxy: Proxy, serializer: str) -> None:
    with collect("A", es_uri=es.uri) as seen:
        batch = BatchProxy(proxy)
        for number in range(10):
            batch.publish("A", number)
        assert list(batch()) == [1] * 10
        assert messages(seen) == list(range(10))


def test_a_batch_ends_at_its_first_error(es, proxy: Proxy, serializer: str) -> None:
    with collect("A", es_uri=es.uri) as seen:
        batch = BatchProxy(proxy)
        batch.publish("A", "before")
        batch.publish("", "bad")
        batch.publish("A", "after")
        results = batch()
        assert next(results) == 1
        with pytest.raises(ValueError):
            next(results)
        assert proxy.publish("A", "next call") == 1
        assert messages(seen) == ["before", "next call"]


def test_a_oneway_batch(es, proxy: Proxy) -> None:
    with collect("A", es_uri=es.uri) as seen:
        batch = BatchProxy(proxy)
        batch.publish("A", 1)
        batch.publish("A", 2)
        batch(oneway=True)
        seen.wait_for(2)
        assert messages(seen) == [1, 2]


def test_a_oneway_publish(es, proxy: Proxy, serializer: str) -> None:
    with collect("A", es_uri=es.uri) as seen:
        proxy._pyroBind()
        proxy._pyroOneway.add("publish")
        for number in range(50):
            assert proxy.publish("A", number) is None
        seen.wait_for(50)
        assert messages(seen) == list(range(50))


def test_a_compressed_call(es, proxy: Proxy, serializer: str) -> None:
    Pyro5.config.COMPRESSION = True
    with collect("A", es_uri=es.uri) as seen:
        assert proxy.publish("A", "x" * 5000) == 1
        assert messages(seen) == ["x" * 5000]


# Errors


@pytest.mark.parametrize("subject", ["", "x" * 256, "bell\a"])
def test_a_bad_subject_is_a_value_error_and_nothing_is_published(
    es, proxy: Proxy, serializer: str, subject: str
) -> None:
    with collect(es_uri=es.uri) as seen:
        with pytest.raises(ValueError) as caught:
            proxy.publish(["A", subject], "never")
        assert type(caught.value) is ValueError
        assert repr(subject)[:20] in str(caught.value)
        assert proxy.publish("A", "next") == 1
        assert messages(seen) == ["next"]


def test_subjects_of_another_type_are_a_type_error(es, proxy: Proxy, serializer: str) -> None:
    for subjects in (5, None, {"a": 1}, [1, 2], ["A", None]):
        with pytest.raises(TypeError):
            proxy.publish(subjects, "never")


def test_wrong_arguments_are_a_type_error(es, proxy: Proxy, serializer: str) -> None:
    with pytest.raises(TypeError):
        proxy.publish("A")
    with pytest.raises(TypeError):
        proxy.publish("A", 1, 2)
    with pytest.raises(TypeError):
        proxy.publish("A", msg=2)
    assert proxy.publish("A", 1) == 0


def test_a_method_that_is_not_there(es, proxy: Proxy) -> None:
    with pytest.raises(AttributeError):
        proxy.shutdown()
    proxy._pyroMethods = {"shutdown", "__init__", "_broker"}  # a client that does not look first
    for name in proxy._pyroMethods:
        with pytest.raises(AttributeError):
            proxy._pyroInvoke(name, (), {})


def test_a_bad_pattern_says_which_and_why(es, proxy: Proxy, serializer: str) -> None:
    with Daemon(host="127.0.0.1") as daemon:
        uri = daemon.register(Plain())
        for pattern in ("(", r"(a)\1", "(?=ahead)"):
            with pytest.raises(ValueError) as caught:
                proxy.subscribeMatch(pattern, uri)
            assert pattern in str(caught.value)
        with pytest.raises(ValueError):
            proxy.subscribe("A", uri, {"overflow": "explode"})
        with pytest.raises(ValueError):
            proxy.subscribe("A", uri, {"no such option": 1})


def test_another_object_is_unknown(es) -> None:
    uri = es.uri.replace("Pyro.EventService", "something.else")
    with Proxy(uri) as other, pytest.raises(CommunicationError, match="something.else"):
        other._pyroBind()


def test_marshal_is_refused(es) -> None:
    Pyro5.config.SERIALIZER = "marshal"
    with Proxy(es.uri) as stock, pytest.raises(PyroError):
        stock.publish("A", 1)
    Pyro5.config.SERIALIZER = "serpent"
    with Proxy(es.uri) as stock:
        assert stock.publish("A", 1) == 0


def test_a_large_stock_call_is_refused_and_says_why(es, serializer: str) -> None:
    with Proxy(es.uri) as stock, pytest.raises((PyroError, ValueError)):
        stock.publish("A", "x" * 70_000)
    with Proxy(es.uri) as stock:
        assert stock.publish("A", "x" * 50_000) == 0


# What else a stock client may ask


def test_binding_brings_the_metadata(es, proxy: Proxy, serializer: str) -> None:
    assert proxy._pyroBind()
    # `attach` is for listeners that connect themselves.
    assert proxy._pyroMethods == {*REMOTE_METHODS, "attach"}
    assert not proxy._pyroOneway
    assert not proxy._pyroAttrs


def test_reconnecting(es, proxy: Proxy) -> None:
    assert proxy.publish("A", 1) == 0
    proxy._pyroReconnect()
    assert proxy.publish("A", 1) == 0


def test_a_ping_is_answered(es) -> None:
    json_serializer = Pyro5.serializers.serializers["json"]
    with socket.create_connection(("127.0.0.1", es.port), 5) as raw:
        connection = socketutil.SocketConnection(raw)
        body = json_serializer.dumps({"handshake": "hello", "object": "Pyro.EventService"})
        hello = protocol.SendingMessage(protocol.MSG_CONNECT, 0, 1, json_serializer.serializer_id, body)
        connection.send(hello.data)
        protocol.recv_stub(connection, [protocol.MSG_CONNECTOK])
        ping = protocol.SendingMessage(protocol.MSG_PING, 0, 7, 42, b"ping")  # as Pyro5's own
        connection.send(ping.data)
        answer = protocol.recv_stub(connection, [protocol.MSG_PING])
        assert (answer.seq, bytes(answer.data)) == (7, b"pong")


def test_statistics_name_the_subscriber(es, proxy: Proxy, serializer: str) -> None:
    with collecting(es.uri, "A.Subject") as collector:
        proxy.publish("A.Subject", 1)
        collector.wait(1)
        text = repr(proxy.statistics())
        assert "A.Subject" in text
        assert str(collector.daemon.uriFor(collector)) in text


# Plain objects as subscribers


@expose
class Plain:
    """A Pyro object with an event method, and nothing else of ours."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)
        if event.msg == "fail":
            raise RuntimeError("the handler failed")


@pytest.fixture
def plain() -> Iterator[Plain]:
    """A Plain that is registered in a stock daemon of this process."""
    with Daemon(host="127.0.0.1") as daemon:
        plain = Plain()
        daemon.register(plain, "the.plain.one")
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        yield plain
        daemon.shutdown()
        thread.join()


def has(plain: Plain, *messages: object) -> Callable[[], bool]:
    return lambda: [event.msg for event in plain.events] == list(messages)


def test_a_plain_object_subscribes_and_unsubscribes(proxy: Proxy, plain: Plain, serializer: str) -> None:
    proxy.subscribe("A", plain)
    proxy.subscribeMatch(subjects=[r"^A\.", "^B"], subscriber=plain, options={"backlog": 100})
    assert proxy.publish("A", 1) == 1
    assert proxy.publish("a.b", [2]) == 1
    assert proxy.publish("C", 3) == 0
    eventually(has(plain, 1, [2]))
    first = plain.events[0]
    assert type(first) is Event
    assert (first.subject, first.seq, first.missed) == ("A", 1, 0)
    assert re.fullmatch(r"<EVENT SUBJ A \(.*\): 1>", str(first))
    proxy.unsubscribe(["a", r"^A\.", "never subscribed"], plain)
    assert proxy.publish(["A", "A.B"], 4) == 0
    assert proxy.publish("B", 5) == 1
    eventually(has(plain, 1, [2], 5))


def test_a_uri_subscribes(proxy: Proxy, plain: Plain, serializer: str) -> None:
    uri = str(plain._pyroDaemon.uriFor(plain))
    proxy.subscribe("A", uri)
    proxy.subscribe("A", Proxy(uri))
    proxy.subscribe("A", plain)
    assert proxy.publish("A", "once") == 1
    assert proxy.publish("A", "twice") == 1
    eventually(has(plain, "once", "twice"))
    proxy.unsubscribe("A", Proxy(uri))
    assert proxy.publish("A", "never") == 0


def test_an_exception_loses_that_event_alone(proxy: Proxy, plain: Plain) -> None:
    proxy.subscribe("A", plain)
    sent = ["one", "fail", "two", "fail", "three"]
    for message in sent:
        assert proxy.publish("A", message) == 1
    eventually(has(plain, *sent))
    assert [event.seq for event in plain.events] == [1, 2, 3, 4, 5]
    assert proxy.publish("A", "four") == 1
    eventually(has(plain, *sent, "four"))


def test_events_of_any_type_reach_a_plain_object(es, proxy: Proxy, plain: Plain) -> None:
    proxy.subscribe("A", plain)
    message = {"when": datetime.datetime(2026, 1, 2), ("a", 1): {b"bytes", frozenset([1])}}
    with Publisher(es_uri=es.uri) as publisher:
        assert publisher.publish("A", message) == 1
    eventually(has(plain, message))


def test_an_object_without_event_is_refused(proxy: Proxy, serializer: str) -> None:
    @expose
    class Deaf:
        def hello(self) -> None:
            """Not what an event service is looking for."""

    with Daemon(host="127.0.0.1") as daemon:
        deaf = Deaf()
        daemon.register(deaf)
        with pytest.raises(TypeError, match="event"):
            proxy.subscribe("A", deaf)
        assert proxy.publish("A", 1) == 0


def test_an_object_that_is_not_a_subscriber_is_refused(proxy: Proxy, serializer: str) -> None:
    for subscriber in (None, 5, {"a": 1}):
        with pytest.raises(TypeError):
            proxy.subscribe("A", subscriber)
    for text in ("nonsense", "PYRONAME:somebody", "PYRO:somebody@./u:/tmp/socket"):
        with pytest.raises((TypeError, ValueError)):
            proxy.subscribe("A", text)
    assert proxy.publish("A", 1) == 0


def test_a_plain_program_listens(es, spawn: Spawner, serializer: str) -> None:
    program = [str(PROGRAMS / "plain_subscriber.py"), es.uri, serializer, "A"]
    screen = spawn(*program, ready="ready")
    with Publisher(es_uri=es.uri) as publisher:
        publisher.publish("A", "fail")
        publisher.publish("A", ("SUN", 22.44))
    screen.wait_for(r"event: <EVENT SUBJ A \(.*\): \('SUN', 22\.44\)>")


def test_a_program_that_does_not_know_events_is_dropped_and_logged(es, spawn: Spawner) -> None:
    program = [str(PROGRAMS / "plain_subscriber.py"), es.uri, "serpent", "A", "--without-pyro-events"]
    spawn(*program, ready="ready")
    with Publisher(es_uri=es.uri) as publisher:
        publisher.publish("A", 1)
        eventually(lambda: publisher.publish("A", 2) == 0, what="the end of the subscription")
    es.process.wait_for("the.screen.*import", stream="stderr")


# Many of them


def test_idle_proxies_cost_no_thread(es) -> None:
    def threads() -> int:
        status = Path(f"/proc/{es.process.pid}/status").read_text()
        return int(re.search(r"Threads:\s*(\d+)", status).group(1))

    with ExitStack() as stack:
        first = stack.enter_context(Proxy(es.uri))
        assert first.publish("A", 0) == 0
        before = threads()
        proxies = [stack.enter_context(Proxy(es.uri)) for _ in range(300)]
        for proxy in proxies:
            proxy._pyroBind()
        assert threads() == before
        assert [proxy.publish("A", 1) for proxy in proxies] == [0] * 300
        assert threads() == before


def test_subscribers_and_publishers_of_all_kinds_meet(es, plain: Plain, serializer: str) -> None:
    with collecting(es.uri, "A") as ours, Proxy(es.uri) as stock, Publisher(es_uri=es.uri) as publisher:
        stock.subscribe("A", plain)
        for number in range(0, 40, 2):
            assert stock.publish("A", number) == 2
            assert publisher.publish("A", number + 1) == 2
        ours.wait(40)
        assert ours.messages() == list(range(40))
        eventually(has(plain, *range(40)))


# The tools of Pyro5


def test_the_name_server_tool_sees_the_service(named_es, spawn: Spawner) -> None:
    tool = ["-m", "Pyro5.nsc", "-n", "127.0.0.1", "-p", named_es.env["PYRO_NS_PORT"]]
    listed = spawn(*tool, "list")
    assert listed.wait() == 0
    assert f"Pyro.EventService --> {named_es.uri}" in listed.stdout
    assert spawn(*tool, "ping").wait() == 0
    found = spawn(*tool, "lookup", "Pyro.EventService")
    assert found.wait() == 0
    assert named_es.uri in found.stdout


class Gateway:
    """The HTTP gateway of Pyro5, and requests to it."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, method: str, **parameters: str) -> tuple[int, Any]:
        query = urllib.parse.urlencode(parameters)
        url = f"{self.address}Pyro.EventService/{method}?{query}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())


@pytest.fixture
def gateway(named_es, spawn: Spawner, free_port: Callable[[], int]) -> Gateway:
    options = ["--host", "127.0.0.1", "--port", str(free_port()), "--expose", r"Pyro\.EventService"]
    process = spawn("-m", "Pyro5.utils.httpgateway", *options, env=named_es.env, ready="running on")
    return Gateway(process.wait_for(r"running on (http\S+)").group(1))


def test_the_http_gateway_publishes(named_es, gateway: Gateway) -> None:
    with collect("HTTP") as seen:
        assert gateway.get("publish", subjects="HTTP", message="from the web") == (200, 1)
        assert messages(seen) == ["from the web"]
        status, error = gateway.get("publish", subjects="", message="x")
        assert status == 500
        status, error = gateway.get("publish", subjects="bell\a", message="x")
        assert status == 500
        assert error["__class__"].endswith("ValueError")
        status, meta = gateway.get("$meta")
        assert status == 200
        assert "publish" in meta["methods"]
        status, statistics = gateway.get("statistics")
        assert status == 200
        assert "HTTP" in json.dumps(statistics)


def test_what_a_long_batch_publishes_is_sent_while_it_goes_on(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog of one event has space again as soon as the subscriber has taken it."""
    monkeypatch.setattr("pyro_events.server.clients.batch_result.TURN", -1.0)
    with collecting(service.uri) as collector, Proxy(service.uri) as stock:
        collector.subscribe(["A", "B"], backlog=1)
        eventually(lambda: stock.publish("A", "first") == 1)
        collector.wait(1)
        batch = BatchProxy(stock)
        for number in range(20):
            batch.publish("AB"[number % 2], number)
        assert list(batch()) == [1] * 20
        collector.wait(21)
        assert collector.messages() == ["first", *range(20)]


@expose
class AsyncEvent:
    async def event(self, event: Event) -> None: ...


@expose
class GeneratorEvent:
    def event(self, event: Event) -> Iterator[None]:
        yield


@expose
class AsyncEvents:
    async def events(self, batch: object) -> list[int]:
        return []


@expose
class GeneratorEvents:
    def events(self, batch: object) -> Iterator[int]:
        yield 0


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("kind", [AsyncEvent, GeneratorEvent, AsyncEvents, GeneratorEvents])
def test_a_plain_object_whose_event_runs_nothing_is_dropped_and_the_log_says_why(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture, kind: type
) -> None:
    with Daemon(host="127.0.0.1") as daemon, Proxy(service.uri) as es:
        one = kind()
        daemon.register(one)
        looping = threading.Thread(target=daemon.requestLoop)
        looping.start()
        try:
            es.subscribe("A", one, {"name": "screen"})
            assert es.publish("A", 1) == 1
            eventually(lambda: es.statistics()["subscribers"] == [])
            found = es.statistics()
            assert found["delivered"] == 0 and sum(found["lost"].values()) == found["accepted"] == 1
            eventually(lambda: "make it a plain function" in caplog.text)
            assert "'screen' (PYRO:" in caplog.text
        finally:
            daemon.shutdown()
            looping.join()
