"""A background publisher with a service that is frozen, killed, away or full; forks, signals and finalizers.

Knows: the public API. Must not know: how long anything takes: what is held is that nothing waits.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contract import running, subscribe
from fake_subscriber import fake_subscriber
from forking import child
from listening import collecting
from processes import Spawner
from waiting import eventually

from pyro_events import BackgroundPublisher, BackgroundStatistics, EventServiceStarter, Publisher

PROGRAMS = Path(__file__).parent / "programs"
needs_stop = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be frozen here")
needs_alarm = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")


def balanced(instrument: BackgroundPublisher) -> BackgroundStatistics:
    """Its statistics, in which every event is counted once."""
    figures = instrument.statistics()
    lost = sum(figures.dropped.values()) + figures.refused + figures.unknown
    assert figures.accepted == figures.published + lost + figures.waiting, figures
    return figures


@needs_stop
@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "latest"])
def test_c35a_publish_returns_while_the_service_is_frozen(es: Any, policy: Any) -> None:
    message = bytes(50_000)  # so that the kernel's buffers are full soon
    with (
        collecting(es.uri, "LAST") as collector,
        Publisher(es_uri=es.uri) as publisher,
        publisher.background(limit=20, overflow=policy) as instrument,
    ):
        instrument.publish("FRAME", message)
        assert instrument.flush(20.0)
        es.process.send(signal.SIGSTOP)
        published = 1
        while sum(balanced(instrument).dropped.values()) < 100:
            instrument.publish("FRAME", message)
            published += 1
        assert not instrument.flush(0)
        assert 1 <= balanced(instrument).waiting < published - 99
        es.process.send(signal.SIGCONT)
        assert instrument.flush(60.0)
        instrument.publish("LAST", 1)
        collector.wait(1)
        assert instrument.flush(20.0)
        figures = balanced(instrument)
        assert (figures.accepted, figures.waiting, figures.unknown) == (published + 1, 0, 0)
        assert figures.dropped[policy] == sum(figures.dropped.values()) >= 100


@needs_stop
def test_c35a_the_end_of_the_block_does_not_wait_for_a_frozen_service(
    es: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Publisher(es_uri=es.uri) as publisher:
        with publisher.background() as instrument:
            instrument.publish("FRAME", 0)
            assert instrument.flush(20.0)
            es.process.send(signal.SIGSTOP)
            for _ in range(200):
                instrument.publish("FRAME", bytes(100_000))
        figures = balanced(instrument)
        es.process.send(signal.SIGCONT)
        assert figures.waiting == 0 and figures.dropped["closed"] > 0
        assert publisher.publish("FRAME", 1) == 0  # over its own connection, as if nothing had happened
    assert f"ended before {figures.dropped['closed']} events were sent" in caplog.text


def test_c35a_a_service_that_was_killed_and_comes_back_gets_what_was_kept(
    start_service: Any, free_port: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    port = str(free_port())
    killed = start_service("--port", port)
    with Publisher(es_uri=killed.uri) as publisher, publisher.background(limit=10) as instrument:
        instrument.publish("S", "first")
        assert instrument.flush(20.0)
        killed.process.send(signal.SIGKILL)
        killed.process.wait()
        published = 1
        while "is away" not in caplog.text:
            instrument.publish("S", published)
            published += 1
        for _ in range(20):
            instrument.publish("S", published)
            published += 1
        figures = balanced(instrument)
        assert figures.published == 1 and figures.waiting == 10 and not figures.connected
        again = start_service("--port", port)
        assert instrument.flush(30.0)
        figures = balanced(instrument)
        assert figures.published == 11 and figures.accepted == published
        with collecting(again.uri, "S") as collector:
            instrument.publish("S", "last")
            assert [event.msg for event in collector.wait(1)] == ["last"]


def test_c35a_a_full_backlog_that_blocks_holds_up_the_thread_and_not_the_program() -> None:
    with running(backlog=1, delivery_deadline=60) as service, fake_subscriber() as frozen:
        subscribe(service.uri, frozen.uri, "full")
        with Publisher(es_uri=service.uri) as publisher, publisher.background(limit=5) as instrument:
            published = 0
            while balanced(instrument).dropped["drop-oldest"] < 3:
                instrument.publish("full", published)
                published += 1
            assert publisher.publish("else", 1) == 0  # nor is the publisher itself
            frozen.greet()
            sent = published - balanced(instrument).dropped["drop-oldest"]
            messages = frozen.messages(sent)
            assert instrument.flush(20.0)
            assert messages == sorted(messages) and messages[-1] == published - 1
            assert balanced(instrument).published == sent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # other threads run while we fork
def test_c23a_a_forked_child_has_a_queue_of_its_own() -> None:
    def work() -> None:
        assert instrument.statistics().accepted == 0
        instrument.publish("free", "child")
        assert instrument.flush(20.0) and instrument.statistics().published == 1

    with running(backlog=1, delivery_deadline=60) as service, fake_subscriber() as frozen:
        subscribe(service.uri, frozen.uri, "full")
        with (
            collecting(service.uri, "free") as collector,
            Publisher(es_uri=service.uri) as publisher,
            publisher.background() as instrument,
        ):
            for number in range(3):
                instrument.publish("full", number)
            instrument.publish("free", "parent")
            eventually(lambda: balanced(instrument).waiting)
            with child(work):
                collector.wait(1)
                frozen.greet()
                assert frozen.messages(3) == [0, 1, 2]
                assert instrument.flush(20.0)
            assert [event.msg for event in collector.wait(2)] == ["child", "parent"]
            assert balanced(instrument).published == 4


def test_c35a_a_program_that_ends_without_closing_it_sends_what_it_has_published(
    service: EventServiceStarter, spawn: Spawner
) -> None:
    with collecting(service.uri, "end") as collector:
        program = spawn(str(PROGRAMS / "ending_instrument.py"), service.uri)
        assert program.wait() == 0
        assert [event.msg for event in collector.wait(2)] == ["before", "at exit"]
    assert program.stderr == ""


@needs_alarm
@pytest.mark.timeout(180)
@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "latest"])
def test_c35a_in_a_storm_of_signals_every_event_is_counted_once(
    service: EventServiceStarter, spawn: Spawner, policy: str
) -> None:
    with collecting(service.uri, "storm") as collector:
        program = spawn(str(PROGRAMS / "interrupted_instrument.py"), service.uri, "2", policy)
        program.wait_for("^done", timeout=60)
        told = defaultdict(list)
        for line in program.stdout.splitlines():
            what, _, rest = line.partition(" ")
            told[what].append(rest)
        accepted, published, dropped, others = map(int, told["statistics"][0].split())
        eventually(lambda: len(collector.events) >= published)
        arrived = Counter(collector.messages())
    assert told["wrong:"] == [] and told["raised"]
    assert published + dropped == accepted and others == 0
    assert len(told["accepted"]) <= accepted <= len(told["accepted"]) + len(told["raised"])
    assert sum(arrived.values()) == published and max(arrived.values()) == 1


def test_c23_finalizers_publish_wherever_the_collector_runs_them(service: EventServiceStarter) -> None:
    ended: list[int] = []

    class Late:
        def __init__(self) -> None:
            self.itself = self  # so that only the collector ends it

        def __del__(self) -> None:
            instrument.publish("late", 1)
            ended.append(1)

    def all_ended() -> bool:
        gc.collect()  # which does nothing while another thread collects
        return len(ended) == 3_000

    with Publisher(es_uri=service.uri) as publisher, publisher.background() as instrument:
        thresholds = gc.get_threshold()
        gc.set_threshold(3)
        try:
            for number in range(3_000):
                Late()
                instrument.publish(["a", "b"], {"number": number})
        finally:
            gc.set_threshold(*thresholds)
        eventually(all_ended)
        assert instrument.flush(30.0)
        figures = balanced(instrument)
    assert figures.accepted == 3_000 * 3
    assert figures.published + figures.dropped["drop-oldest"] == figures.accepted


def test_c23e_a_logging_handler_publishes_what_is_logged_about_it(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            instrument.publish("log", record.getMessage())

    logger = logging.getLogger("pyro_events.publisher")
    with Publisher(es_uri=service.uri) as publisher:
        service.shutdown()
        instrument = publisher.background(limit=2)
        handler = Handler()
        logger.addHandler(handler)
        try:
            for number in range(100):
                instrument.publish("S", number)
            assert "may wait for the event service" in caplog.text
            eventually(lambda: balanced(instrument).accepted > 100)
        finally:
            logger.removeHandler(handler)
            instrument._times = instrument._times.__class__(leaving=0.1)
            instrument.close()
    assert balanced(instrument).waiting == 0


def test_c35a_a_passphrase_is_proved_on_its_connection_too() -> None:
    with (
        EventServiceStarter(host="127.0.0.1", port=0, use_ns=False, ident="secret") as service,
        Publisher("secret", service.uri) as publisher,
        publisher.background() as instrument,
    ):
        instrument.publish("S", 1)
        assert instrument.flush(20.0) and balanced(instrument).published == 1
