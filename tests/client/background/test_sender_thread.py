"""The thread that sends: what it does while the service answers, refuses, is away, and at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from fake_service import Answering, FakeConnection, FakeService, fake_service
from log_lines import counted
from waiting import eventually

from pyro_events.client.background.options import BackgroundOptions, BackgroundTimes
from pyro_events.client.background.sender_thread import SenderThread
from pyro_events.client.background.shared_queue import SharedQueue
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.publishing.frames import FRAME_EVENTS, WINDOW
from pyro_events.client.publishing.sender import Sender
from pyro_events.errors import ServiceUnreachableError

TIMES = BackgroundTimes(first_pause=0.01, last_pause=0.02, leaving=0.2)
REFUSAL = {"__class__": "builtins.ValueError", "args": ["no"], "attributes": {}}


class Sending:
    """A queue and its thread."""

    def __init__(self, uri: str, limit: int = 10_000) -> None:
        self.owner = Sender(ServiceLocator(uri, name="oven"))
        self.sender = self.owner.independent()
        self.queue = SharedQueue(BackgroundOptions(limit))
        self.thread = SenderThread(self.sender, self.queue, TIMES)

    def publish(self, *messages: int, size: int = 20) -> None:
        for message in messages:
            self.queue.publish(("S", bytes([message])), 1, size)
        self.thread.wake()

    def figures(self) -> dict[str, int]:
        """What has become of the events, without what is 0."""

        def read(queue: Any) -> dict[str, int]:
            numbers = {name: getattr(queue, name) for name in ("published", "refused", "unknown")}
            return {**numbers, **queue.dropped, "waiting": queue.unsettled}

        return {name: number for name, number in self.queue.use(read).items() if number}

    def close(self) -> None:
        self.thread.end()
        self.owner.close()


@pytest.fixture
def fake() -> Iterator[FakeService]:
    with fake_service() as service:
        yield service


@pytest.fixture
def sending(fake: FakeService) -> Iterator[Sending]:
    with closing(Sending(fake.uri)) as sending:
        fake.next()  # the publisher's own connection
        yield sending


def numbers(batches: list[list[Any]]) -> list[int]:
    return [payload[0] for batch in batches for _, payload in batch]


def test_events_arrive_in_order_with_several_in_a_call(sending: Sending, fake: FakeService) -> None:
    sending.publish(*[number % 128 for number in range(2_000)])
    sending.thread.start()
    service = Answering(fake.next())
    eventually(lambda: sending.figures() == {"published": 2_000})
    assert numbers(service.batches) == [number % 128 for number in range(2_000)]
    assert len(service.batches[0]) == FRAME_EVENTS and len(service.batches) < 100
    assert sending.owner.statistics().published == 2_000  # the publisher counts them too
    sending.close()
    service.join()


def test_some_calls_are_sent_before_the_first_is_answered(sending: Sending, fake: FakeService) -> None:
    sending.publish(*[1] * FRAME_EVENTS * (WINDOW + 2))
    sending.thread.start()
    connection = fake.next()
    first = connection.call()[0]
    assert_no_call(connection)  # until this one is accepted
    connection.answer(first, 7)
    calls = [connection.call() for _ in range(WINDOW)]
    assert_no_call(connection)
    assert sending.figures() == {"published": FRAME_EVENTS, "waiting": FRAME_EVENTS * (WINDOW + 1)}
    connection.answer(calls[0][0], 7)
    for seq, _, _ in [*calls[1:], connection.call()]:
        connection.answer(seq, 7)
    eventually(lambda: sending.figures() == {"published": FRAME_EVENTS * (WINDOW + 2)})
    assert sending.queue.use(lambda queue: queue.queued) == 7 * (WINDOW + 2)


def assert_no_call(connection: FakeConnection) -> None:
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.call()
    connection.sock.settimeout(10)


def test_what_the_service_refuses_is_counted_and_the_rest_goes_on(
    sending: Sending, fake: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    sending.thread.start()
    connection = fake.next()
    sending.publish(1)
    connection.answer(connection.call()[0], REFUSAL, 1)
    sending.publish(2)
    connection.answer(connection.call()[0], 1)
    eventually(lambda: sending.figures() == {"published": 1, "refused": 1})
    assert "oven: the event service has refused 1 events: no" in caplog.text


def answer_each(connection: FakeConnection, expected: str) -> None:
    """Answer calls that have one entry, message after message: refuse an odd one, and accept an even one."""
    for message in map(int, expected):
        seq, _, (batch,) = connection.call()
        assert numbers([batch]) == [message]
        if message % 2:
            connection.answer(seq, REFUSAL, 1)
        else:
            connection.answer(seq, 3)


def test_of_a_call_that_is_refused_only_what_is_refused_is_lost(
    sending: Sending, fake: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    """One of several events may have a subject that its user has no right to."""
    sending.publish(0, 1, 2, 3, 4)
    sending.thread.start()
    connection = fake.next()
    connection.answer(connection.call()[0], REFUSAL, 1)
    answer_each(connection, "01234")
    eventually(lambda: sending.figures() == {"published": 3, "refused": 2})
    assert sending.queue.use(lambda queue: queue.queued) == 9
    assert sending.owner.statistics().published == 3 and sending.owner.statistics().queued == 9
    assert "oven: the event service has refused 2 events: no" in caplog.text
    # From now on one call at a time, so that what comes after one that is refused is not sent yet.
    sending.publish(*[6] * (FRAME_EVENTS + 1))
    seq = connection.call()[0]
    assert_no_call(connection)
    connection.answer(seq, 1)
    connection.answer(connection.call()[0], 1)
    eventually(lambda: sending.figures() == {"published": FRAME_EVENTS + 4, "refused": 2})
    caplog.clear()
    sending.queue.publish((["S", "T"], bytes([8])), 2, 20)
    sending.publish(4)
    connection.answer(connection.call()[0], REFUSAL, 1)
    answer_each(connection, "84")  # the right has come meanwhile
    eventually(lambda: sending.figures() == {"published": FRAME_EVENTS + 7, "refused": 2})
    assert "has refused" not in caplog.text


def test_events_that_would_come_after_later_ones_are_not_sent_again(
    sending: Sending, fake: FakeService
) -> None:
    sending.thread.start()
    connection = fake.next()
    sending.publish(0)
    connection.answer(connection.call()[0], 1)
    eventually(lambda: sending.figures() == {"published": 1})
    sending.queue.use(lambda queue: sending.publish(*[2] * FRAME_EVENTS * 2))
    first, second = connection.call()[0], connection.call()[0]
    connection.answer(first, REFUSAL, 1)
    connection.answer(second, 1)
    eventually(lambda: sending.figures() == {"published": FRAME_EVENTS + 1, "refused": FRAME_EVENTS})


def test_several_calls_that_are_refused_one_after_the_other(sending: Sending, fake: FakeService) -> None:
    sending.thread.start()
    connection = fake.next()
    sending.publish(0)
    connection.answer(connection.call()[0], 1)
    eventually(lambda: sending.figures() == {"published": 1})
    sending.queue.use(lambda queue: sending.publish(*range(8), size=20 * 1024))  # three in a call
    for seq in [connection.call()[0] for _ in range(3)]:
        connection.answer(seq, REFUSAL, 1)
    answer_each(connection, "01234567")
    eventually(lambda: sending.figures() == {"published": 5, "refused": 4})


def test_a_connection_that_breaks_while_each_is_sent_again(
    sending: Sending, fake: FakeService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending.publish(0, 2, 4)
    sending.thread.start()
    connection = fake.next()
    connection.answer(connection.call()[0], REFUSAL, 1)
    answer_each(connection, "0")
    connection.call()
    post = sending.sender.post

    def unreachable(*arguments: Any) -> Any:
        monkeypatch.setattr(sending.sender, "post", post)
        raise ServiceUnreachableError("nothing was sent")

    monkeypatch.setattr(sending.sender, "post", unreachable)
    connection.close()
    eventually(lambda: sending.figures() == {"published": 1, "unknown": 1, "refused": 1})
    assert "oven: whether 1 events were published is unknown" in caplog.text
    sending.publish(6)
    again = fake.next()
    again.answer(again.call()[0], 1)
    eventually(lambda: sending.figures() == {"published": 2, "unknown": 1, "refused": 1})
    assert "oven: the event service is back" in caplog.text


def test_the_end_while_each_is_sent_again(sending: Sending, fake: FakeService) -> None:
    sending.publish(0, 2, 4)
    sending.thread.start()
    connection = fake.next()
    connection.answer(connection.call()[0], REFUSAL, 1)
    connection.call()
    sending.thread.end()
    assert sending.figures() == {"unknown": 1, "refused": 2} and sending.thread.outcomes.away is None


def test_a_connection_that_breaks_leaves_what_was_sent_unknown(
    sending: Sending, fake: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    sending.thread.start()
    connection = fake.next()
    sending.publish(1)
    connection.call()
    connection.close()
    eventually(lambda: sending.figures() == {"unknown": 1})
    sending.publish(2)
    again = fake.next()
    again.answer(again.call()[0], 1)
    eventually(lambda: sending.figures() == {"published": 1, "unknown": 1})
    assert "oven: whether 1 events were published is unknown" in caplog.text
    assert sending.owner.statistics().unknown == 1


def test_while_the_service_is_away_events_wait_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with fake_service(port) as fake:
        sending = Sending(fake.uri, limit=5)
    with closing(sending):
        sending.thread.start()
        eventually(lambda: sending.thread.outcomes.away)
        assert "cannot be reached" in str(sending.thread.outcomes.away)
        sending.publish(*range(8))
        for _ in range(2):
            sending.thread.outcomes.overflowed()
        assert sending.figures() == {"waiting": 5, "drop-oldest": 3}
        with fake_service(port) as fake:
            service = Answering(fake.next())
            eventually(lambda: sending.figures() == {"published": 5, "drop-oldest": 3})
            assert numbers(service.batches) == [3, 4, 5, 6, 7]
            eventually(lambda: "caught up" in caplog.text)
            sending.close()
            service.join()
    for line in (
        "oven: the event service is away, and what is published in the background waits: ",
        "oven: more is published in the background than may wait for the event service, and events are "
        "dropped (drop-oldest): it is away",
        "oven: the event service is back",
        "oven: the event service has caught up; 3 events were dropped",
    ):
        assert counted(caplog.records, line) == 1, line


def test_what_could_not_be_sent_waits_again_in_its_place(
    sending: Sending, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending.thread.start()
    service = Answering(fake.next())
    connect = sending.sender.connection.connect
    post = sending.sender.post

    def unreachable(*arguments: Any) -> Any:
        raise ServiceUnreachableError("nothing was sent")

    def exhausted(quick: bool = False) -> None:
        raise OSError("no more descriptors")  # which connecting turns into an error of ours today

    monkeypatch.setattr(sending.sender, "post", unreachable)
    monkeypatch.setattr(sending.sender.connection, "connect", exhausted)
    sending.publish(1)
    eventually(lambda: sending.thread.outcomes.away == "no more descriptors")
    sending.publish(2)
    assert sending.figures() == {"waiting": 2} and sending.queue.use(lambda queue: queue.held) == 2
    monkeypatch.setattr(sending.sender, "post", post)
    monkeypatch.setattr(sending.sender.connection, "connect", connect)
    eventually(lambda: sending.figures() == {"published": 2})
    assert numbers(service.batches) == [1, 2]
    sending.close()
    service.join()


def test_an_error_that_nothing_explains_costs_its_events_and_not_the_thread(
    sending: Sending, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending.thread.start()
    service = Answering(fake.next())
    post = sending.sender.post

    def exhausted(*arguments: Any) -> Any:
        monkeypatch.setattr(sending.sender, "post", post)
        raise MemoryError("mine")

    monkeypatch.setattr(sending.sender, "post", exhausted)
    sending.publish(1)
    eventually(lambda: sending.figures() == {"unknown": 1})
    sending.publish(2)
    eventually(lambda: sending.figures() == {"unknown": 1, "published": 1})
    sending.close()
    service.join()


def test_the_end_drops_what_waits_and_does_not_know_of_what_was_sent(
    sending: Sending, fake: FakeService, caplog: pytest.LogCaptureFixture
) -> None:
    sending.publish(*[1] * (FRAME_EVENTS * (WINDOW + 3)))
    sending.thread.start()
    connection = fake.next()
    connection.answer(connection.call()[0], 1)
    for _ in range(WINDOW):
        connection.call()
    sending.thread.end()
    sent = {"published": FRAME_EVENTS, "unknown": WINDOW * FRAME_EVENTS}
    assert sending.figures() == {**sent, "closed": 2 * FRAME_EVENTS}
    assert f"ended before {2 * FRAME_EVENTS} events were sent" in caplog.text
    sending.publish(1)
    assert sending.figures()["closed"] == 2 * FRAME_EVENTS + 1
    sending.thread.end()


def test_the_end_in_the_middle_of_using_the_queue_waits_for_nothing(
    sending: Sending, fake: FakeService
) -> None:
    sending.thread.start()
    fake.next()
    sending.publish(1)
    sending.queue.use(lambda queue: sending.thread.end())
    eventually(lambda: sum(sending.figures().values()) == 1 and "waiting" not in sending.figures())


def test_the_end_in_the_thread_itself(sending: Sending, fake: FakeService) -> None:
    """A __del__ may run there that closes the publisher."""
    ended: list[bool] = []

    def end_itself(events: int, queued: int) -> None:
        ended.append(sending.thread.current)
        sending.thread.end()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending.sender, "count", end_itself)
        sending.thread.start()
        connection = fake.next()
        sending.publish(1)
        connection.answer(connection.call()[0], 1)
        eventually(lambda: ended)
    assert ended == [True] and not sending.thread.current
    sending.thread.end()
    assert sending.figures() == {"published": 1}


def test_finishing_sends_what_is_queued(sending: Sending, fake: FakeService) -> None:
    sending.publish(1, 2)
    sending.thread.finish(20)
    sending.thread.start()
    connection = fake.next()
    connection.answer(connection.call()[0], 1)
    eventually(lambda: sending.figures() == {"published": 2})
    sending.close()
    assert connection.frame() is None and sending.thread.stopped


def test_finishing_ends_in_time_while_the_service_is_away() -> None:
    with fake_service() as fake:
        sending = Sending(fake.uri)
    with closing(sending):
        sending.publish(1)
        sending.thread.start()
        eventually(lambda: sending.thread.outcomes.away)
        sending.thread.finish(0.01)
        eventually(lambda: sending.figures() == {"closed": 1})


def test_it_looks_for_the_service_when_it_is_told_to(sending: Sending, fake: FakeService) -> None:
    sending.thread.start()
    fake.next().close()

    def looked() -> int:
        sending.thread.wake(look=True)
        return sending.sender.connection.current.reconnects

    eventually(looked)
    fake.next()


def test_a_thread_that_cannot_be_started_is_tried_again(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        assert not sending.thread.start() and not sending.thread.started
    assert sending.thread.start() and sending.thread.started


def test_an_exception_while_it_starts_is_passed_on(sending: Sending) -> None:
    def interrupted(thread: threading.Thread) -> None:
        raise KeyboardInterrupt("mine")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt, match="mine"):
            sending.thread.start()
    assert not sending.thread.started


def test_a_forked_child_begins_anew(sending: Sending) -> None:
    sending.publish(1)
    sending.thread.outcomes.away = "it was"
    sending.thread.forked()
    assert sending.figures() == {} and sending.thread.outcomes.away is None and not sending.thread.started
