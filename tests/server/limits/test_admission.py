"""How many there may be, in all and of one host."""

from __future__ import annotations

import socket
import sys

import pytest
from contract import running, statistics
from fake_subscriber import fake_subscriber
from Pyro5.api import Proxy
from raw_client import raw_client
from waiting import eventually

from pyro_events import EventServiceStarter, Publisher
from pyro_events.options import ServiceOptions
from pyro_events.server.limits.admission import Admission

needs_addresses = pytest.mark.skipif(sys.platform != "linux", reason="needs 127.0.0.2")


def admission(most: int, per_host: int = 0, files: int = 1000) -> Admission:
    options = ServiceOptions(max_connections=most, max_per_host=per_host)
    return Admission("connections", options, lambda: files)


def fill(admission: Admission, address: str) -> int:
    """How many of that host there can be."""
    count = 0
    while admission.reason_to_refuse(address) is None:
        admission.add(address)
        count += 1
    return count


def test_one_host_may_take_half() -> None:
    crowd = admission(10)
    assert fill(crowd, "10.0.0.1") == 5
    assert "10.0.0.1, which is the limit for one host: see --max-per-host" in str(
        crowd.reason_to_refuse("::ffff:10.0.0.1")
    )
    assert fill(crowd, "10.0.0.2") == 5
    assert "has 10 connections, which is its limit" in str(crowd.reason_to_refuse("10.0.0.3"))
    assert "--max-connections" in str(crowd.reason_to_refuse("10.0.0.3"))
    crowd.leave("10.0.0.1")
    assert fill(crowd, "10.0.0.1") == 1
    assert len(crowd) == 10


def test_one_host_may_take_what_the_option_says() -> None:
    assert fill(admission(10, per_host=2), "10.0.0.1") == 2
    assert fill(admission(10, per_host=20), "10.0.0.1") == 10
    assert fill(admission(1), "10.0.0.1") == 1


def test_addresses_of_one_network_are_one_host() -> None:
    crowd = admission(10)
    assert [fill(crowd, f"2001:db8::{number}") for number in range(1, 4)] == [5, 0, 0]


def test_files_bound_them_too() -> None:
    crowd = admission(1000, per_host=1000, files=8)
    assert fill(crowd, "10.0.0.1") == 8
    assert "ulimit -n" in str(crowd.reason_to_refuse("10.0.0.1"))
    assert fill(admission(1000, files=8), "10.0.0.1") == 4


def test_those_refused_are_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    crowd = admission(1)
    fill(crowd, "10.0.0.1")
    for _ in range(9):
        crowd.reason_to_refuse("10.0.0.2")
    assert crowd.refused == 10
    eventually(lambda: "connections refused" in caplog.text)
    assert caplog.text.count("refused") == 1


@needs_addresses
def test_links_to_invented_subscribers_are_bounded_and_others_find_space() -> None:
    """They are refused before anything is connected to or compiled, and the present ones stay."""
    with (
        running(max_connections=6) as service,
        socket.create_server(("127.0.0.2", 0)) as silent,
        fake_subscriber() as genuine,
        raw_client(service.uri, source="127.0.0.2") as stranger,
    ):
        uris = [f"PYRO:invented{number}@127.0.0.2:{silent.getsockname()[1]}" for number in range(10)]
        refused = [error for uri in uris if (error := stranger.call("subscribe", "A", uri)) is not None]
        assert len(refused) == 7
        assert "3 subscribers of 127.0.0.2" in str(refused[0])
        assert "--max-per-host" in str(refused[0])
        with Proxy(service.uri) as proxy:
            proxy.subscribe("B", genuine.uri)
        found = statistics(service.uri)
        assert len(found["subscribers"]) == 4
        assert found["refused"]["subscribers"] == 7
        assert stranger.call("unsubscribe", "A", uris[0]) == 0
        assert stranger.call("subscribe", "B", uris[0]) is None  # one that is there


@needs_addresses
def test_connections_of_one_host_leave_some_for_others() -> None:
    with running(max_connections=4) as service:
        with raw_client(service.uri, source="127.0.0.2"), raw_client(service.uri, source="127.0.0.2"):
            with raw_client(service.uri, source="127.0.0.2", greeted=False) as third:
                frame = third.frame()
                assert frame is not None and b"see --max-per-host" in frame.payload
            with Publisher(es_uri=service.uri) as publisher:
                assert publisher.publish("A", 1) == 0
            assert statistics(service.uri)["refused"]["connections"] == 1
        eventually(lambda: statistics(service.uri)["connections"] <= 2)


def test_statistics_of_many_subscribers(service: EventServiceStarter) -> None:
    """They are made by turns, and written elsewhere; a stock client reads them, and ours."""
    with socket.create_server(("127.0.0.1", 0), backlog=300) as silent, raw_client(service.uri) as client:
        port = silent.getsockname()[1]
        for number in range(250):
            names = [f"{number}-{each}".ljust(100, ".") for each in range(20)]
            assert client.call("subscribe", names, f"PYRO:s{number}@127.0.0.1:{port}") is None
        found = client.call("statistics")
        assert len(found["subscribers"]) == 250
        assert {each["subscriptions"] for each in found["subscribers"]} == {20}
        with Proxy(service.uri) as stock:
            assert len(stock.statistics()["subscribers"]) == 250
