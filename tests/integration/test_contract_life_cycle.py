"""The contract on starting and ending, line by line (docs/contract.md, C25, C26, C28, C29).

test_start_script.py has the start script's options and errors.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from contract import in_background, running, statistics, subscribe
from fake_subscriber import FakeSubscriber, fake_subscriber
from listening import collecting
from processes import Spawner
from Pyro5.api import URI, Daemon, Proxy, expose
from Pyro5.errors import CommunicationError, ConnectionClosedError, NamingError
from raw_client import raw_client
from waiting import eventually

from pyro_events import EVENTSERVER_NAME, EventServiceStarter, Publisher
from pyro_events.codec.message import decode, encode

PROGRAMS = Path(__file__).parent / "programs"
START = ("-m", "pyro_events.es", "--host", "127.0.0.1")


def test_c25_the_start_script_registers_the_service_under_its_name(start_service, name_server) -> None:
    es = start_service(ns=name_server)
    assert name_server.lookup("Pyro.EventService") == es.uri
    assert URI(es.uri).object == EVENTSERVER_NAME == "Pyro.EventService"
    with collecting(None, "A") as collector, Publisher() as publisher:
        assert publisher.publish("A", 1) == 1
        collector.wait(1)


def test_c25_without_a_name_server_clients_pass_the_uri(start_service, free_port, spawn: Spawner) -> None:
    es = start_service()
    listener = spawn(
        str(PROGRAMS / "listener.py"),
        "--es-uri",
        es.uri,
        "A",
        ready="ready",
        env={"PYRO_NS_PORT": str(free_port())},
    )
    with Publisher(es_uri=es.uri) as publisher:
        assert publisher.publish("A", "hello") == 1
        listener.wait_for("^1 A 'hello'$")
        publisher.publish("A", "stop")
    assert listener.wait() == 0


def test_c26_a_second_service_under_the_name_is_refused(start_service, name_server, spawn: Spawner) -> None:
    first = start_service(ns=name_server)
    second = spawn(*START, "--port", "0", env=name_server.env)
    assert second.wait() == 1
    assert second.stderr.count("\n") == 1
    assert first.uri in second.stderr
    assert "--replace" in second.stderr
    assert name_server.lookup() == first.uri
    with Publisher() as publisher:
        assert publisher.publish("A", 1) == 0


def test_c26_with_replace_the_first_one_drains_and_exits(start_service, name_server) -> None:
    first = start_service(ns=name_server)
    with fake_subscriber() as subscriber:
        subscribe(first.uri, subscriber.uri, "A")
        subscriber.greet()
        with Publisher(es_uri=first.uri) as publisher:
            for number in range(10):
                publisher.publish("A", number)
        second = start_service("--replace", ns=name_server)
        assert name_server.lookup() == second.uri != first.uri
        first.process.wait_for("has the name", stream="stderr")
        assert subscriber.messages(10) == list(range(10))
        assert first.process.wait() == 0
        assert name_server.lookup() == second.uri


def test_c26_a_stale_registration_is_replaced_without_asking(
    start_service, name_server, free_port: Callable[[], int]
) -> None:
    first = start_service(ns=name_server)
    first.process.send(signal.SIGKILL)
    first.process.wait()
    assert name_server.lookup() == first.uri
    second = start_service(ns=name_server)
    assert name_server.lookup() == second.uri


def test_c26_what_is_not_an_event_service_does_not_keep_the_name(name_server) -> None:
    """A listener that sends nothing, and an object of another kind under the same name."""

    @expose
    class Other:
        def hello(self) -> None:
            raise AssertionError("nobody calls this")

    with fake_subscriber() as mute, Daemon(host="127.0.0.1") as daemon:
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        other = daemon.register(Other(), EVENTSERVER_NAME)
        for stale in (f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{mute.port}", str(other)):
            with name_server.proxy() as names:
                names.register(EVENTSERVER_NAME, stale)
            with EventServiceStarter(
                host="127.0.0.1", port=0, ns_host="127.0.0.1", ns_port=name_server.port
            ) as starter:
                assert name_server.lookup() == starter.uri
        daemon.shutdown()
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_c28_a_signal_unregisters_delivers_and_exits_0(
    start_service, name_server, number: signal.Signals
) -> None:
    es = start_service(ns=name_server)
    with fake_subscriber() as subscriber, Publisher() as publisher:
        subscribe(es.uri, subscriber.uri, "A")
        subscriber.greet()
        for message in range(20):
            publisher.publish("A", message)
        (first,) = subscriber.batch()
        es.process.send(number)
        eventually(lambda: name_server.lookup() is None)
        eventually(lambda: refused(es.uri))  # nobody is let in any more
        assert es.process.returncode is None  # but what is queued is delivered
        subscriber.answer()
        assert [decode(first[4]), *subscriber.messages(19)] == list(range(20))
        assert es.process.wait() == 0
    assert "Traceback" not in es.process.stderr


def refused(uri: str) -> bool:
    try:
        with Proxy(uri) as es:
            es._pyroBind()
    except CommunicationError:
        return True
    return False


def test_c28_calls_already_read_are_answered(start_service) -> None:
    """A publication that was held up when the signal came."""
    es = start_service("--backlog", "5")
    with fake_subscriber() as subscriber, raw_client(es.uri) as client:
        subscribe(es.uri, subscriber.uri, "A")
        subscriber.greet()
        seq = client.send_call("publish_encoded", [["A", encode(number)] for number in range(10)])
        eventually(lambda: statistics(es.uri)["waiting"] >= 6)
        es.process.send(signal.SIGTERM)
        assert subscriber.messages(10) == list(range(10))
        frame = client.frame()
        assert frame is not None and frame.seq == seq
        assert frame.payload == b"\x0a"
        client.wait_for_end()
    assert es.process.wait() == 0


def test_c28_every_acknowledged_event_is_delivered_though_publishers_go_on(start_service) -> None:
    es = start_service()
    acknowledged = 0
    with collecting(es.uri, "A") as collector, Publisher(es_uri=es.uri) as publisher:

        def talk() -> int:
            nonlocal acknowledged
            while True:
                try:
                    publisher.publish("A", acknowledged)
                except (CommunicationError, NamingError):
                    return acknowledged
                acknowledged += 1

        talking = in_background(talk)
        eventually(lambda: acknowledged > 100)
        es.process.send(signal.SIGTERM)
        assert es.process.wait(5) == 0  # it does not wait until they are tired
        count = talking.result(20)
        # One more may have been accepted whose acknowledgement was cut off.
        events = collector.wait(count)
        assert collector.messages() == list(range(len(events)))
        assert len(events) <= count + 1


def test_c28_a_flood_of_events_does_not_keep_it_from_ending(start_service) -> None:
    """And of a pipeline too, everything that was acknowledged is delivered."""
    es = start_service()
    with collecting(es.uri, "A") as collector, Publisher(es_uri=es.uri) as publisher:

        def flood() -> None:
            number = 0
            with publisher.pipeline() as fast:
                while True:
                    fast.publish("A", number)
                    number += 1

        flooding = in_background(flood)
        collector.wait(1000)
        es.process.send(signal.SIGTERM)
        assert es.process.wait(8) == 0  # less than the 10 s of draining
        with pytest.raises((CommunicationError, NamingError)):
            flooding.result(20)
        sent = publisher.statistics()
        assert len(collector.events) >= sent.published
        assert collector.messages() == list(range(len(collector.events)))


def test_c28_a_subscriber_that_does_not_answer_delays_the_end_for_the_time_of_draining() -> None:
    with fake_subscriber() as subscriber:
        with running(drain=0.3) as service:
            subscribe(service.uri, subscriber.uri, "A")
            subscriber.greet("event")
            with Publisher(es_uri=service.uri) as publisher:
                for number in range(5):
                    publisher.publish("A", number)
        assert len(subscriber.batch()) == 1
        assert subscriber.frame() is None


def test_c28_a_held_up_publisher_is_answered_at_the_end_of_draining() -> None:
    with fake_subscriber() as subscriber:
        with running(drain=0.3, backlog=1, delivery_deadline=60) as service:
            subscribe(service.uri, subscriber.uri, "A")
            subscriber.greet()
            publisher = Publisher(es_uri=service.uri)
            held = in_background(lambda: [publisher.publish("A", number) for number in range(3)])
            eventually(lambda: statistics(service.uri)["waiting"] == 3)
        with pytest.raises((ConnectionClosedError, CommunicationError)):
            # The third was acknowledged at last, a fourth would find nobody.
            assert held.result() == [1, 1, 1]
            publisher.publish("A", 4)
        publisher.close()


def test_c28_only_its_own_entry_is_removed(start_service, name_server) -> None:
    other, es = start_service(), start_service(ns=name_server)
    with name_server.proxy() as names:
        names.register(EVENTSERVER_NAME, other.uri)
    es.process.send(signal.SIGTERM)
    assert es.process.wait() == 0
    assert name_server.lookup() == other.uri


def test_c28_a_second_signal_ends_it_at_once(start_service, name_server) -> None:
    es = start_service(ns=name_server)
    with fake_subscriber() as subscriber, Publisher(es_uri=es.uri) as publisher:
        subscribe(es.uri, subscriber.uri, "A")
        subscriber.greet()
        publisher.publish("A", 1)
        es.process.send(signal.SIGTERM)
        eventually(lambda: refused(es.uri))
        assert es.process.returncode is None, "it waits for the subscriber"
        es.process.send(signal.SIGINT)
        assert es.process.wait(5) == -signal.SIGINT
    assert "Traceback" not in es.process.stderr


def test_c28_the_starter_drains_as_well() -> None:
    got: list[object] = []
    with fake_subscriber() as subscriber:
        with running() as service:
            subscribe(service.uri, subscriber.uri, "A")
            with Publisher(es_uri=service.uri) as publisher:
                for number in range(10):
                    publisher.publish("A", number)
            taking = in_background(lambda: got.extend(take_all(subscriber)))
        taking.result()
    assert got == list(range(10))


def take_all(subscriber: FakeSubscriber) -> list[object]:
    subscriber.greet()
    return subscriber.messages(10)


def test_c29_a_name_server_that_restarted_empty_is_told_again(start_service, name_server) -> None:
    es = start_service(ns=name_server)
    with collecting(None, "A") as collector, Publisher() as publisher:
        name_server.stop()
        assert publisher.publish("A", "meanwhile") == 1  # nobody here needs the name server
        name_server.start()
        assert name_server.lookup() is None
        eventually(lambda: name_server.lookup() == es.uri, 5.0)
        with Publisher() as another:
            assert another.publish("A", "by name") == 1
        collector.wait(2)
    es.process.wait_for("has registered itself again", stream="stderr")
    assert es.process.terminate() == 0
    assert name_server.lookup() is None


def test_c29_a_starter_too(name_server) -> None:
    with EventServiceStarter(
        host="127.0.0.1", port=0, ns_host="127.0.0.1", ns_port=name_server.port
    ) as starter:
        assert name_server.lookup() == starter.uri
        with name_server.proxy() as names:
            names.remove(EVENTSERVER_NAME)
        eventually(lambda: name_server.lookup() == starter.uri, 5.0)
    assert name_server.lookup() is None
