"""The migration promise (docs/migrating.md): the original's programs with new imports and print()."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import Pyro5
import pytest
from contract import statistics
from listening import listening
from processes import Spawner
from Pyro5.api import Proxy
from Pyro5.core import URI
from Pyro5.errors import CommunicationError, NamingError
from waiting import eventually

from pyro_events import (
    EVENTSERVER_NAME,
    Event,
    EventServiceError,
    EventServiceStarter,
    Publisher,
    Subscriber,
)

PROGRAMS = Path(__file__).parent / "programs"
MARKET = str(PROGRAMS / "original_stockmarket.py")
CLIENT = str(PROGRAMS / "original_stockclient.py")
CARS = str(PROGRAMS / "original_carcounter.py")


def test_the_stock_quotes_program(named_es, spawn: Spawner) -> None:
    one = spawn(CLIENT, "SUN, ibm", env=named_es.env, ready="Ready")
    other = spawn(CLIENT, "KPN", r"^STOCKQUOTE\.S.*$", env=named_es.env, ready="Ready")
    market = spawn(MARKET, "60", env=named_es.env)
    assert market.wait() == 0
    assert "Done." in market.stdout
    for process, symbols in ((one, {"SUN", "IBM"}), (other, {"KPN", "SUN", "SAP", "SHELL"})):
        for symbol in symbols:
            process.wait_for(rf"^STOCKQUOTE\.{symbol} = \('{symbol}', \d+\.\d+\)$")
        assert set(re.findall(r"STOCKQUOTE\.(\w+)", process.stdout)) == symbols
        process.send(signal.SIGINT)
        process.wait()


def test_the_counting_cars_program(named_es, spawn: Spawner) -> None:
    producer = spawn(CARS, "producer", env=named_es.env, ready="Cars are coming")
    counter = spawn(CARS, "counter", env=named_es.env)
    assert counter.wait(20) == 0, counter
    assert "totals: [('EAST', 5), ('NORTH', 5), ('SOUTH', 5), ('WEST', 5)]" in counter.stdout
    assert re.findall(r"HEADING\.(\w+)", counter.stdout) == ["NORTH", "EAST", "SOUTH", "WEST"]
    producer.send(signal.SIGINT)
    producer.wait()


def test_one_class_that_is_both(named_es, spawn: Spawner) -> None:
    crossing = spawn(CARS, "both", env=named_es.env)
    assert crossing.wait(20) == 0, crossing
    assert "totals: [('EAST', 5), ('NORTH', 5), ('SOUTH', 5), ('WEST', 5)]" in crossing.stdout


def test_without_a_name_server_it_is_a_naming_error(spawn: Spawner, free_port: Callable[[], int]) -> None:
    env = {"PYRO_NS_HOST": "127.0.0.1", "PYRO_NS_PORT": str(free_port())}
    programs = [[MARKET, "1"], [CARS, "counter"], [CARS, "producer"], [CARS, "both"]]
    for process in [spawn(*program, env=env) for program in programs]:
        assert process.wait() == 3
        assert "Traceback" not in process.stderr


@pytest.mark.parametrize("kind", [Publisher, Subscriber])
def test_constructor_errors_are_the_originals(
    name_server, free_port: Callable[[], int], kind: type[Publisher] | type[Subscriber]
) -> None:
    with pytest.raises(NamingError, match="knows no Pyro.EventService") as caught:
        kind()
    assert isinstance(caught.value, EventServiceError)
    assert "--embed-ns" in str(caught.value)
    with name_server.proxy() as names:
        names.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{free_port()}")
    with pytest.raises(CommunicationError) as unreachable:
        kind()
    assert isinstance(unreachable.value, EventServiceError)
    assert not isinstance(unreachable.value, NamingError)
    name_server.stop()
    with pytest.raises(NamingError, match="no name server"):
        kind()


class Both(Publisher, Subscriber):
    """As the original allowed."""

    def __init__(self, es_uri: str | None = None, swapped: bool = False) -> None:
        for base in (Subscriber, Publisher) if swapped else (Publisher, Subscriber):
            base.__init__(self, es_uri=es_uri)
        self.setThreading(False)
        self.got: list[object] = []
        self.subscribe(f"OWN.{number}" for number in range(3))

    def event(self, event: Event) -> None:
        self.got.append(event.msg)
        if event.msg == "again":
            self.publish("own.1", "from inside event")


@pytest.mark.parametrize("swapped", [False, True])
def test_close_statistics_and_with_serve_both_ends(service: EventServiceStarter, swapped: bool) -> None:
    with Both(service.uri, swapped) as both:
        assert both.publish("OWN.0", "again") == 1
        with listening(both):
            eventually(lambda: both.got == ["again", "from inside event"])
            found = both.statistics()
            assert found.publisher is not None
            assert set(found.subscriber.subscriptions) == {"OWN.0", "OWN.1", "OWN.2"}
            assert found.subscriber.handled <= 2
        # `listening` has closed it: both ends are gone.
    with pytest.raises(EventServiceError):
        both.publish("OWN.0", 1)
    eventually(lambda: statistics(service.uri)["subscribers"] == [])
    eventually(lambda: statistics(service.uri)["connections"] == 1)  # the one that asks
    both.close()  # harmless


@pytest.mark.parametrize("kind", [Publisher, Subscriber])
def test_esuri_is_the_originals_spelling(
    service: EventServiceStarter, kind: type[Publisher] | type[Subscriber]
) -> None:
    for uri in (service.uri, URI(service.uri)):
        kind(esURI=uri).close()
        kind(None, uri).close()
        kind(ident=None, es_uri=uri).close()
    with pytest.raises(TypeError, match="esURI"):
        kind(es_uri=service.uri, esURI=service.uri)


def test_subjects_may_be_any_iterable_of_names(service: EventServiceStarter) -> None:
    with Both(service.uri) as both:
        assert both.publish(map("OWN.{}".format, range(3)), 1) == 3
        assert both.publish((f"own.{number}" for number in range(3)), 2) == 3
        both.unsubscribe(map("OWN.{}".format, range(2)))
        assert both.publish({"OWN.0", "OWN.1", "OWN.2"}, 3) == 1
        both.subscribeMatch(f"^X{number}" for number in range(2))
        assert both.publish(["X0", "X1"], 4) == 2


def test_pyro5s_settings_are_honoured(named_es) -> None:
    """NS_HOST and NS_PORT are set by the fixture; without them nothing is found."""
    with Publisher() as publisher:
        assert publisher.publish("A", 1) == 0
    Pyro5.config.HOST = "127.0.0.2"
    with Subscriber() as subscriber:
        assert subscriber.daemon.locationStr.startswith("127.0.0.2:")
    Pyro5.config.HOST = "localhost"
    with Subscriber() as subscriber:
        assert not subscriber.daemon.locationStr.startswith("127.0.0.2:")
    Pyro5.config.NS_PORT = 1
    with pytest.raises(NamingError):
        Publisher()


def test_the_service_is_a_regular_pyro_object_of_that_name(named_es) -> None:
    with Proxy("PYRONAME:" + EVENTSERVER_NAME) as es:
        assert es.publish("A", 1) == 0
        assert EVENTSERVER_NAME == "Pyro.EventService"


def test_the_starter_from_a_program_of_ones_own() -> None:
    """start() blocks, so it runs in a thread; waitUntilStarted and shutdown as the manual names them."""
    starter = EventServiceStarter(host="127.0.0.1", port=0, use_ns=False)
    assert starter.waitUntilStarted(0.01) is False
    with pytest.raises(EventServiceError):
        _ = starter.uri
    thread = threading.Thread(target=starter.start)
    thread.start()
    assert starter.waitUntilStarted(10) is True
    with Publisher(es_uri=starter.uri) as publisher:
        assert publisher.publish("A", 1) == 0
    starter.shutdown()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(CommunicationError):
        Publisher(es_uri=publisher.statistics().address or "PYRO:x@127.0.0.1:1")


def test_an_embedded_name_server_in_a_program_of_ones_own(free_port: Callable[[], int]) -> None:
    port = free_port()
    Pyro5.config.NS_HOST, Pyro5.config.NS_PORT = "127.0.0.1", port
    with EventServiceStarter(host="127.0.0.1", port=0, ns_port=port, embed_ns=True) as starter:
        with Publisher() as publisher:
            assert publisher.publish("A", 1) == 0
        with Proxy("PYRONAME:" + EVENTSERVER_NAME) as es:
            assert es.publish("A", 1) == 0
        assert starter.ns_uri == f"PYRO:Pyro.NameServer@127.0.0.1:{port}"


def test_programs_with_threads_and_loops_of_their_own(spawn: Spawner) -> None:
    program = spawn(str(PROGRAMS / "original_threads.py"))
    assert program.wait(30) == 0, program
    printed = program.stdout.splitlines()
    for name in ("Display", "ThreadedDisplay", "Polling"):
        events = [line for line in printed if line.startswith(f"{name} ")]
        assert events == [f"{name} TEMP.HALL {message}" for message in (20.5, 21.0, "end")]
    assert [line for line in printed if "TEMP.HALL" not in line] == [
        "False [20.5, 21.0, 'end'] 1",
        "False [20.5, 21.0, 'end'] 1",
        "3 subscribers",
        "0 deliveries",
        "stopped: True",
    ]
