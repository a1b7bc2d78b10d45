"""The parts that scenes are made of: a bad network, a record, and the judge.

Knows: resilience/. What a scene as a whole shows is in tests/faults.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from waiting import eventually

from resilience import invariants
from resilience.programs.record import Record, percentile
from resilience.programs.scheduler_lag import SchedulerLag
from resilience.proxy import Proxy


@contextmanager
def echoing() -> Iterator[int]:
    """A server that sends back what it gets; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    try:
                        while data := sock.recv(65536):
                            sock.sendall(data)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@contextmanager
def proxied() -> Iterator[Proxy]:
    with echoing() as port, Proxy(seed=1, target=port) as proxy:
        yield proxy


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 5)


def received(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := sock.recv(65536)):
        data += more
    return data


def test_fair_weather_and_a_late_target() -> None:
    with echoing() as port, Proxy(seed=1) as proxy, connect(proxy) as sock:
        sock.sendall(b"x" * 100_000)
        proxy.aim(port)
        assert received(sock, 100_000) == b"x" * 100_000
        assert proxy.connections == 1


def test_delay_and_drip() -> None:
    with proxied() as proxy, connect(proxy) as sock:
        proxy.delay(0.05, 0.01)
        begun = time.monotonic()
        sock.sendall(b"abc")
        assert received(sock, 3) == b"abc"
        assert time.monotonic() - begun >= 0.08  # there and back
        proxy.drip(1, 0.001)
        sock.sendall(b"defgh" * 4)
        assert received(sock, 20) == b"defgh" * 4


def test_truncate_ends_each_connection_after_so_many_bytes() -> None:
    with proxied() as proxy:
        proxy.truncate(150)
        for _ in range(2):
            with connect(proxy) as sock:
                sock.sendall(b"x" * 100)  # a hundred there, so fifty back
                assert received(sock, 100) == b"x" * 50
        proxy.calm()
        with connect(proxy) as sock:
            sock.sendall(b"x" * 200)
            assert len(received(sock, 200)) == 200


def test_reset() -> None:
    with proxied() as proxy, connect(proxy) as sock:
        sock.sendall(b"a")
        assert received(sock, 1) == b"a"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            received(sock, 1)


def test_vanish_swallows_and_tells_nobody() -> None:
    with proxied() as proxy, connect(proxy) as sock:
        sock.sendall(b"a")
        assert received(sock, 1) == b"a"
        proxy.vanish()
        sock.sendall(b"b")
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        proxy.calm()
        sock.settimeout(5)
        assert received(sock, 1) == b"b"


@pytest.mark.parametrize("there", [True, False])
def test_vanish_one_way(there: bool) -> None:
    """The other direction goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        with Proxy(seed=1, target=listener.getsockname()[1]) as proxy, connect(proxy) as near:
            far, _ = listener.accept()
            with far:
                far.settimeout(5)
                proxy.vanish(there=there, back=not there)
                lost, heard = ((near, far), (far, near)) if there else ((far, near), (near, far))
                for sender, _ in (lost, heard):
                    sender.sendall(b"x")
                assert heard[1].recv(1) == b"x"
                lost[1].settimeout(0.1)
                with pytest.raises(TimeoutError):
                    lost[1].recv(1)
                lost[1].settimeout(5)
                proxy.calm()
                assert lost[1].recv(1) == b"x"


def test_cut_and_restore() -> None:
    with proxied() as proxy:
        with connect(proxy) as sock:
            sock.sendall(b"a")
            assert received(sock, 1) == b"a"
            proxy.cut()
            with pytest.raises(ConnectionRefusedError):
                connect(proxy)
        proxy.restore()
        with connect(proxy) as sock:
            sock.sendall(b"c")
            assert received(sock, 1) == b"c"


def test_a_record_counts_what_is_wrong() -> None:
    record = Record()
    for name, number, seq, missed in (
        *(("a", 1, 1, 0), ("a", 2, 2, 0), ("b", 1, 3, 0)),
        *(("a", 2, 4, 0), ("a", 5, 7, 2), ("a", 4, 8, 0)),
        *(("a", 9, 1, None), ("a", 10, 3, 0)),
    ):
        record.add(name, number, time.monotonic(), seq, missed)
    report = record.report()
    assert report["received"] == 8
    assert (report["duplicates"], report["disorder"]) == (1, 1)
    assert (report["missed"], report["unknown"], report["silent"]) == (2, 1, 1)
    assert invariants.order("it", report) != []


def test_a_record_finds_the_first_event_published_after_a_moment() -> None:
    record = Record()
    moment = time.monotonic()
    record.add("a", 1, moment - 5)
    assert record.fresh(moment) is None
    record.add("a", 2, moment)
    arrived = record.fresh(moment)
    assert arrived is not None and arrived >= moment
    assert record.report(since=arrived)["after"] >= 1


def test_percentile() -> None:
    assert percentile([], 0.5) == 0.0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0


def test_a_metronome_is_late_when_the_machine_is() -> None:
    lag = SchedulerLag()
    try:
        eventually(lambda: lag.late > 0, 5.0)
        lag.reset()
    finally:
        lag.close()


def test_the_judge_finds_each_kind_of_fault() -> None:
    account = {"subscriber": "s", "accepted": 3, "delivered": 1, "lost": {"gone": 1}, "backlog": 1}
    good = {**account, "waiting": 1, "subscribers": [{**account, "unacknowledged": 0}]}
    assert invariants.accounting(good) == []
    assert len(invariants.accounting({**good, "accepted": 4})) == 1
    assert len(invariants.accounting({**good, "subscribers": [{**account, "unacknowledged": 1}]})) == 1
    before = {"threads": 1, "descriptors": 2, "memory": 1000}
    assert invariants.resources(before, before) == []
    assert len(invariants.resources(before, {"threads": 2, "descriptors": 3, "memory": 99000})) == 3
    publisher = {"acknowledged": 5, "unknown": 0, "failed": 0, "errors": {}}
    publisher |= {"longest": 0.01, "waiting": 0.0, "noise": 0.001}
    listener = {"received": 5, "p99": 0.01}
    assert invariants.healthy(listener, publisher, listener) == []
    assert len(invariants.healthy(listener, {**publisher, "waiting": 9.0}, {"received": 4, "p99": 1.0})) == 3
    assert invariants.healthy(listener, {**publisher, "longest": 1.0, "noise": 0.5}, listener) == []
    assert invariants.handled("it", "a warning") == []
    assert len(invariants.handled("it", "Traceback (most recent call last)")) == 1
    promised = [{"promised": 3, "unknown": 0}]
    assert invariants.promises({"accepted": 3, "lost": {}}, promised) == []
    assert len(invariants.promises({"accepted": 2, "lost": {}}, promised)) == 1


def test_eventually_says_what_was_waited_for() -> None:
    with pytest.raises(AssertionError, match="the end of the world"):
        eventually(lambda: False, 0.01, "the end of the world")
