"""Subscribers that the service does not reach, and that do not connect: they say why (C23b, C23d)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from contract import account, running, subscribe
from fake_subscriber import fake_subscriber
from listening import Collector, listening, set_times
from Pyro5.api import Proxy, config
from raw_client import raw_client
from waiting import eventually

from pyro_events import Event, Publisher, Subscriber
from pyro_events.wire.frames import CONNECT_FAIL


def hurry(subscriber: Subscriber) -> None:
    """Let it ask soon why it is not connected to, and soon say so."""
    set_times(subscriber, arrival=0.05, warn_after=0.1)


def standing(uri: str, subscriber: str) -> dict[str, Any]:
    with Proxy(uri) as es:
        found: dict[str, Any] = es.statistics({"subscriber": subscriber})
        return found


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Daemons listen on another address than the one that the service sees their program at."""
    monkeypatch.setattr(config, "HOST", "127.0.0.2")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("listens", [True, False])
def test_a_subscriber_that_listens_elsewhere_hears_why_no_event_comes(
    caplog: pytest.LogCaptureFixture, listens: bool
) -> None:
    with running() as es, Collector(es.uri, callback=True) as collector:
        hurry(collector)
        collector.subscribe("A")
        if listens:
            collector.listen_in_background()
        assert not collector.wait_until_connected(0)
        eventually(lambda: collector.statistics().unreachable)
        assert "Connect" in str(collector.statistics().unreachable)
        assert "its daemon must listen on the address" in str(collector.statistics().unreachable)
        assert not collector.wait_until_connected(0.5)
        assert caplog.text.count("no event arrives") == 1


@pytest.mark.usefixtures("elsewhere")
def test_the_service_logs_the_reason_once(caplog: pytest.LogCaptureFixture) -> None:
    with running() as es, Collector(es.uri, callback=True) as collector:
        set_times(collector, arrival=0.02, most_arrival=0.02)
        collector.subscribe("A")
        collector.listen_in_background()
        state = collector._Subscriber__receiver.reconnection  # type: ignore[attr-defined]
        eventually(lambda: state.state.questions > 5)  # so it was tried as often
    assert caplog.text.count("cannot be connected to at") - caplog.text.count("no event arrives") == 1


@pytest.mark.usefixtures("elsewhere")
def test_the_warning_comes_within_seconds_without_any_setting(caplog: pytest.LogCaptureFixture) -> None:
    with running() as es, Collector(es.uri, callback=True) as collector:
        collector.listen_in_background()
        collector.subscribe("A")
        assert not collector.wait_until_connected(1.0)
        eventually(lambda: "no event arrives" in caplog.text, 10)


def test_a_subscriber_that_is_reached_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with running() as es, Collector(es.uri, callback=True) as collector:
        set_times(collector, arrival=0.05)
        collector.subscribe("A")
        # Nobody answers the service, which is usual as long as nobody listens.
        state = collector._Subscriber__receiver.reconnection  # type: ignore[attr-defined]
        eventually(lambda: state.state.questions)
        collector.listen_in_background()
        assert collector.wait_until_connected(10)
        assert collector.statistics().unreachable is None
    assert "no event arrives" not in caplog.text


def test_closing_ends_the_wait() -> None:
    with running() as es:
        collector = Collector(es.uri)
        threading.Timer(0.1, collector.close).start()
        assert not collector.wait_until_connected()


def test_a_service_that_is_not_answered_in_time_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Something else answers where the subscriber listens; what it listens with is behind that."""
    with running() as es, fake_subscriber() as other, Collector(es.uri, callback=True) as collector:
        hurry(collector)
        receiver = collector._Subscriber__receiver  # type: ignore[attr-defined]
        uri = receiver.remote.calls.subscriber["state"][0]
        receiver.remote.calls.subscriber["state"][0] = uri.rpartition(":")[0] + f":{other.port}"
        collector.subscribe("A")
        collector.listen_in_background()
        eventually(lambda: "has not answered the handshake" in str(collector.statistics().unreachable))
    assert caplog.text.count("no event arrives") == 1


class TestWhatTheServiceSays:
    def test_of_one_that_gets_its_events(self) -> None:
        with running() as es, fake_subscriber() as fake:
            subscribe(es.uri, fake.uri, ["A", "B"])
            fake.greet()
            eventually(lambda: standing(es.uri, fake.uri)["state"] == "active")
            assert standing(es.uri, fake.uri) == {"subscriptions": 2, "state": "active", "why": ""}

    def test_of_one_that_it_does_not_know(self) -> None:
        with running() as es:
            told = standing(es.uri, "PYRO:x@127.0.0.1:9")
            assert told == {"subscriptions": -1, "state": "", "why": ""}

    def test_of_one_that_is_silent(self) -> None:
        with running() as es, fake_subscriber() as fake:
            subscribe(es.uri, fake.uri, "A")
            told = eventually(
                lambda: standing(es.uri, fake.uri)["state"] == "greeting" and standing(es.uri, fake.uri)
            )
            assert f"127.0.0.1:{fake.port} has not answered the handshake" in told["why"]

    @pytest.fixture
    def full(self) -> Iterator[int]:
        """A port where connections are neither accepted nor refused."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            waiting = [socket.socket() for _ in range(3)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
            yield listener.getsockname()[1]
            for sock in waiting:
                sock.close()

    def test_of_one_behind_a_firewall(self, full: int) -> None:
        with running() as es:
            subscribe(es.uri, f"PYRO:x@127.0.0.1:{full}", "A")
            told = standing(es.uri, f"PYRO:x@127.0.0.1:{full}")
            assert told["state"] == "connecting" and f"no answer from 127.0.0.1:{full}" in told["why"]

    def test_of_one_that_is_no_subscriber(self) -> None:
        with running() as es, fake_subscriber() as fake:
            subscribe(es.uri, fake.uri, "A")
            fake.greet("something")
            told = eventually(lambda: standing(es.uri, fake.uri)["why"])
            assert "exposes neither `event` nor `events`" in told

    def test_of_one_whose_daemon_denies_it(self) -> None:
        with running() as es, fake_subscriber() as fake:
            subscribe(es.uri, fake.uri, "A")
            fake.accept()
            frame = fake.frame()
            assert frame is not None
            fake.send(CONNECT_FAIL, frame.seq, "denied")
            told = eventually(lambda: standing(es.uri, fake.uri)["why"])
            assert "denied" in told

    def test_is_told_to_the_subscribers_host_alone(self) -> None:
        with running() as es, fake_subscriber() as fake:
            subscribe(es.uri, fake.uri, "A")
            fake.greet("something")
            eventually(lambda: standing(es.uri, fake.uri)["why"])
            with raw_client(es.uri, source="127.0.0.2") as stranger:
                # What it asks about is a subscriber with that port at its own host.
                told = stranger.call("statistics", {"subscriber": fake.uri})
                assert told == {"subscriptions": -1, "state": "", "why": ""}

    def test_the_options_are_checked(self) -> None:
        with running() as es, Proxy(es.uri) as proxy:
            with pytest.raises(TypeError, match="must be a dictionary"):
                proxy.statistics(5)
            with pytest.raises(ValueError, match="option 'subscriber'"):
                proxy.statistics({"subscriber": "x", "more": 1})


class Slow(Collector):
    """Handles one event until it is let go."""

    def __init__(self, es_uri: str) -> None:
        super().__init__(es_uri)
        self.go_on = threading.Event()

    def event(self, event: Event) -> None:
        super().event(event)
        if event.msg == "wait":
            self.go_on.wait(20)


def test_one_that_held_up_publishers_hears_that_when_it_comes_back() -> None:
    """C40a: and that it cannot do so again for a while."""
    with running(backlog=1, delivery_deadline=0.3) as es, Publisher(es_uri=es.uri) as publisher:
        slow = Slow(es.uri)
        with listening(slow):
            slow.subscribe("A")
            assert slow.wait_until_connected(10)
            publisher.publish("A", "wait")
            slow.wait(1)
            eventually(lambda: publisher.publish("A", "more") >= 0 and slow.reasons, 10)
            slow.go_on.set()
            (reason,) = slow.reasons
        assert "blocked a publisher for 0.3 s" in reason and "events that waited for it were lost" in reason
        assert "it has drop-oldest in place of block for" in reason


def test_one_whose_policy_is_to_be_disconnected_hears_that() -> None:
    with running(backlog=2, overflow="disconnect") as es, Publisher(es_uri=es.uri) as publisher:
        slow = Slow(es.uri)
        with listening(slow):
            slow.subscribe("A")
            assert slow.wait_until_connected(10)
            publisher.publish("A", "wait")
            slow.wait(1)
            eventually(lambda: publisher.publish("A", "more") == 0)
            eventually(lambda: slow.reasons)
            slow.go_on.set()
            assert "had a full backlog, and its overflow policy is disconnect" in slow.reasons[0]
            assert account(es.uri, slow.statistics().uri) is not None
