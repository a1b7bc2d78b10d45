"""C23e: the log never decides. What a logging handler does is nobody else's concern."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from contract import account, running, statistics, subscribe
from fake_subscriber import fake_subscriber
from listening import Collector, listening
from log_lines import counted
from raw_client import raw_client
from waiting import eventually

from pyro_events import Event, EventServiceStarter, Publisher
from pyro_events.wire.frames import CONNECT_FAIL


class Handler(logging.Handler):
    """Does with each record what a test says."""

    def __init__(self, act: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._act = act

    def handle(self, record: logging.LogRecord) -> bool:
        self._act(record)
        return True


@contextmanager
def logging_to(act: Callable[[logging.LogRecord], None]) -> Iterator[None]:
    handler = Handler(act)
    logger = logging.getLogger("pyro_events")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@pytest.fixture(params=["raises", "exits", "blocks"])
def bad_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """A program with a bad logging handler."""
    free = threading.Event()

    def act(record: logging.LogRecord) -> None:
        if request.param == "raises":
            raise RuntimeError("the log's disk is full")
        if request.param == "exits":
            raise SystemExit(3)
        free.wait(30)

    with logging_to(act):
        yield
        free.set()


class Failing(Collector):
    def event(self, event: Event) -> None:
        super().event(event)
        if event.msg == "fail":
            raise ValueError("on purpose")


@pytest.mark.parametrize("threads", [True, False])
def test_a_handler_that_raises_has_its_batch_acknowledged_whatever_the_log_does(
    service: EventServiceStarter, bad_log: None, threads: bool
) -> None:
    failing = Failing(service.uri)
    failing.setThreading(threads)
    with listening(failing), Publisher(es_uri=service.uri) as publisher:
        failing.subscribe("A")
        for _ in range(5):
            publisher.publish("A", "fail")
        publisher.publish("A", "well")
        failing.wait(6)
        eventually(lambda: not statistics(service.uri)["waiting"])
        assert statistics(service.uri)["subscribers"][0]["lost"] == {"handler-error": 5}


def test_a_dead_subscriber_delays_nobody_whatever_the_log_does(bad_log: None) -> None:
    with running(delivery_deadline=0.5) as service, Publisher(es_uri=service.uri) as publisher:
        with fake_subscriber() as frozen:
            subscribe(service.uri, frozen.uri, "A", backlog=1)
            frozen.greet()
            done = threading.Event()

            def publish() -> None:
                for number in range(10):
                    publisher.publish("A", number)
                done.set()

            thread = threading.Thread(target=publish)
            thread.start()
            assert done.wait(20), "the publisher is held up for ever"
            thread.join()
            assert statistics(service.uri)["subscribers"] == []
        with fake_subscriber() as leaves:
            subscribe(service.uri, leaves.uri, "A")
            leaves.greet()
            assert publisher.publish("A", 1) == 1
            leaves.leave()
            eventually(lambda: publisher.publish("A", 2) == 0)


def test_a_log_that_publishes_its_records_gets_them_delivered(service: EventServiceStarter) -> None:
    with Publisher(es_uri=service.uri) as reporter, Publisher(es_uri=service.uri) as publisher:
        failing, reader = Failing(service.uri), Collector(service.uri)
        with (
            listening(failing),
            listening(reader),
            logging_to(lambda record: reporter.publish("LOG", record.getMessage()) and None),
        ):
            reader.subscribe("LOG")
            failing.subscribe("A")
            assert publisher.publish("A", "fail") == 1
            # The subscriber's own line, and the service's: in the same program here.
            eventually(lambda: len(reader.events) >= 2)
            assert any(
                "on purpose" in text or "event() raised ValueError" in text for text in reader.messages()
            )
            assert any("its event raised for subject 'A'" in text for text in reader.messages())
            assert publisher.publish("A", "well") == 1
            failing.wait(2)


def test_a_subscriber_whose_every_event_fails_makes_a_line_a_second(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    count = 5000
    with fake_subscriber() as hostile, Publisher(es_uri=service.uri) as publisher:
        subscribe(service.uri, hostile.uri, "A")
        hostile.greet()
        with publisher.pipeline() as fast:
            for number in range(count):
                fast.publish("A", number)
        done = 0
        while done < count:
            rows = hostile.batch()
            hostile.answer(list(range(len(rows))))
            done += len(rows)
        eventually(lambda: account(service.uri, hostile.uri)["lost"] == {"handler-error": count})
        eventually(lambda: counted(caplog.records, "its event raised") == count)
    lines = [record for record in caplog.records if "its event raised" in record.getMessage()]
    times = [record.created for record in lines]
    assert all(later - earlier > 0.9 for earlier, later in zip(times[1:], times[2:], strict=False))


@pytest.mark.parametrize(
    "text", ["no\n2026-01-01 00:00:00 ERROR forged", "\x1b[2J\x07", "\u202egnp.exe", "x" * 60_000]
)
def test_what_a_subscriber_writes_into_its_refusal_stays_on_its_line(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    with fake_subscriber() as hostile:
        subscribe(service.uri, hostile.uri, "A")
        hostile.accept()
        frame = hostile.frame()
        assert frame is not None
        hostile.send(CONNECT_FAIL, frame.seq, text)
        eventually(lambda: hostile.uri in caplog.text)
    lines = [record.getMessage() for record in caplog.records if hostile.uri in record.getMessage()]
    assert lines and all(line.isprintable() and len(line) < 2000 for line in lines)


@pytest.mark.parametrize("object_id", ["evil\nname", "\x1b[2J", "\u202e"])
def test_what_a_subscriber_is_called_stays_on_its_line(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture, object_id: str
) -> None:
    with fake_subscriber(object_id) as hostile, raw_client(service.uri) as client:
        state = [hostile.uri, [], ["events"], [], "hello", "hello"]
        client.call("subscribe", "A", {"__class__": "Pyro5.client.Proxy", "state": state})
        if not statistics(service.uri)["subscribers"]:
            return  # refused at once
        hostile.greet()
        hostile.leave()
        eventually(lambda: "closed its connection" in caplog.text)
    assert all(record.getMessage().isprintable() for record in caplog.records)
