"""The task that sends in the background, while the service answers, refuses or is away, and at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asyncio_service import AsyncioService, asyncio_service
from event_loops import each_loop, event_loop, run, true
from log_lines import counted

from pyro_events.aio.background_task import BackgroundTask
from pyro_events.aio.sender import Sender
from pyro_events.client.background.options import BackgroundOptions, BackgroundTimes
from pyro_events.client.background.shared_queue import SharedQueue
from pyro_events.client.connection.discovery import ServiceLocator
from pyro_events.client.publishing.frames import FRAME_EVENTS, WINDOW
from pyro_events.constants import MAX_MESSAGE
from pyro_events.errors import ServiceUnreachableError

TIMES = BackgroundTimes(first_pause=0.01, last_pause=0.02, leaving=0.2)
REFUSAL = {"__class__": "builtins.ValueError", "args": ["no"], "attributes": {}}


class Sending:
    """A queue and its task; made on a loop, once its publisher is connected."""

    def __init__(self, owner: Sender, limit: int) -> None:
        self.owner = owner
        self.sender = owner.independent()
        self.queue = SharedQueue(BackgroundOptions(limit))
        self.task = BackgroundTask(asyncio.get_running_loop(), self.sender, self.queue, TIMES)

    def publish(self, *messages: int, size: int = 20) -> None:
        for message in messages:
            self.queue.publish(("S", bytes([message])), 1, size)
        self.task.wake()

    def figures(self) -> dict[str, int]:
        """What has become of the events, without what is 0."""

        def read(queue: Any) -> dict[str, int]:
            numbers = {name: getattr(queue, name) for name in ("published", "refused", "unknown")}
            return {**numbers, **queue.dropped, "waiting": queue.unsettled}

        return {name: number for name, number in self.queue.use(read).items() if number}

    async def become(self, **figures: int) -> None:
        await true(lambda: self.figures() == {name.replace("_", "-"): n for name, n in figures.items()})


@asynccontextmanager
async def sending(fake: AsyncioService, limit: int = 10_000) -> AsyncIterator[Sending]:
    owner = Sender(ServiceLocator(fake.uri, name="oven"), 0.0)
    await owner.connect()
    await fake.next()
    made = Sending(owner, limit)
    try:
        yield made
    finally:
        made.task.end()
        await made.task.ending()
        await owner.close()


@each_loop
def test_events_arrive_in_order_and_some_calls_before_the_first_is_answered(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            one.publish(*[number % 128 for number in range(FRAME_EVENTS * (WINDOW + 2))])
            connection = await fake.next()
            calls = [await connection.call()]
            await asyncio.sleep(0)
            assert one.queue.use(lambda queue: queue.held) == FRAME_EVENTS * (WINDOW + 1)
            connection.answer(calls[0][0], 7)  # until then one at a time
            calls += [await connection.call() for _ in range(WINDOW)]
            await asyncio.sleep(0)
            assert one.figures() == {"published": FRAME_EVENTS, "waiting": FRAME_EVENTS * (WINDOW + 1)}
            assert one.queue.use(lambda queue: queue.held) == FRAME_EVENTS
            connection.answer(calls[1][0], 7)
            calls.append(await connection.call())
            for seq, _ in calls[2:]:
                connection.answer(seq, 7)
            await one.become(published=FRAME_EVENTS * (WINDOW + 2))
            sent = [payload[0] for _, batch in calls for _, payload in batch]
            assert sent == [number % 128 for number in range(len(sent))]
            assert one.owner.statistics().queued == 7 * (WINDOW + 2)

    run(main(), loop)


@each_loop
def test_what_is_refused_or_lost_is_counted_and_the_rest_goes_on(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            connection = await fake.next()
            one.publish(1)
            connection.answer((await connection.call())[0], REFUSAL, 1)
            await one.become(refused=1)
            one.publish(2)
            await connection.call()
            connection.close()
            await one.become(refused=1, unknown=1)
            one.publish(3)
            again = await fake.next()
            again.answer((await again.call())[0], 1)
            await one.become(refused=1, unknown=1, published=1)
            assert one.owner.statistics().unknown == 1

    run(main(), loop)
    assert "oven: the event service has refused 1 events: no" in caplog.text
    assert "oven: whether 1 events were published is unknown" in caplog.text


async def answer_each(connection: Any, expected: str) -> None:
    """Answer calls that have one entry, message after message: refuse an odd one, and accept an even one."""
    for message in map(int, expected):
        seq, batch = await connection.call()
        assert [payload[0] for _, payload in batch] == [message]
        if message % 2:
            connection.answer(seq, REFUSAL, 1)
        else:
            connection.answer(seq, 3)


@each_loop
def test_of_a_call_that_is_refused_only_what_is_refused_is_lost(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            one.publish(0, 1, 2, 3, 4)
            connection = await fake.next()
            connection.answer((await connection.call())[0], REFUSAL, 1)
            await answer_each(connection, "01234")
            await one.become(published=3, refused=2)
            assert one.owner.statistics().queued == 9
            one.publish(*[6] * (FRAME_EVENTS + 1))  # from now on one call at a time
            seq, _ = await connection.call()
            await asyncio.sleep(0)
            assert one.queue.use(lambda queue: queue.held) == 1
            connection.answer(seq, 1)
            connection.answer((await connection.call())[0], 1)
            await one.become(published=FRAME_EVENTS + 4, refused=2)

    run(main(), loop)
    assert "oven: the event service has refused 2 events: no" in caplog.text


@each_loop
def test_events_that_would_come_after_later_ones_are_not_sent_again(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            connection = await fake.next()
            one.publish(0)
            connection.answer((await connection.call())[0], 1)
            await one.become(published=1)
            one.publish(*[2] * FRAME_EVENTS * 2)
            first, second = [(await connection.call())[0] for _ in range(2)]
            connection.answer(first, REFUSAL, 1)
            connection.answer(second, 1)
            await one.become(published=FRAME_EVENTS + 1, refused=FRAME_EVENTS)

    run(main(), loop)


@each_loop
@pytest.mark.parametrize("ends", [False, True])
def test_several_calls_that_are_refused_one_after_the_other(loop: str, ends: bool) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            connection = await fake.next()
            one.publish(0)
            connection.answer((await connection.call())[0], 1)
            await one.become(published=1)
            one.publish(*range(8), size=20 * 1024)  # three in a call
            for seq in [(await connection.call())[0] for _ in range(3)]:
                connection.answer(seq, REFUSAL, 1)
            await answer_each(connection, "0")
            if ends:
                await connection.call()
                one.task.end()
                await one.task.ending()
                assert one.figures() == {"published": 2, "unknown": 1, "refused": 6}
            else:
                await answer_each(connection, "1234567")
                await one.become(published=5, refused=4)

    run(main(), loop)


@each_loop
def test_a_connection_that_breaks_while_each_is_sent_again(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            one.publish(0, 2, 4)
            connection = await fake.next()
            connection.answer((await connection.call())[0], REFUSAL, 1)
            await answer_each(connection, "0")
            await connection.call()
            ready = one.sender.ready

            async def unreachable(*arguments: object) -> Any:
                one.sender.ready = ready  # type: ignore[method-assign]
                raise ServiceUnreachableError("nothing was sent")

            one.sender.ready = unreachable  # type: ignore[method-assign, assignment]
            connection.close()
            await one.become(published=1, unknown=1, refused=1)
            one.publish(6)
            again = await fake.next()
            again.answer((await again.call())[0], 1)
            await one.become(published=2, unknown=1, refused=1)

    run(main(), loop)


@each_loop
@pytest.mark.parametrize("cancelled", [False, True], ids=["told to end", "cancelled"])
def test_the_end_while_each_is_sent_again(loop: str, cancelled: bool) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            one.publish(0, 2, 4)
            connection = await fake.next()
            connection.answer((await connection.call())[0], REFUSAL, 1)
            await connection.call()
            if cancelled:
                one.task._task.cancel()
            else:
                one.task.end()
            await one.task.ending()
            assert one.figures() == {"unknown": 1, "refused": 2} and one.task.outcomes.away is None

    run(main(), loop)


@each_loop
def test_while_the_service_is_away_events_wait(
    loop: str, free_port: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()

    async def main() -> None:
        async with asyncio_service(port) as fake:
            owner = Sender(ServiceLocator(fake.uri, name="oven"), 0.0)
            await owner.connect()
        one = Sending(owner, 5)
        await true(lambda: one.task.outcomes.away)
        one.publish(*range(8))
        assert one.figures() == {"waiting": 5, "drop-oldest": 3}
        async with asyncio_service(port) as fake:
            connection = await fake.next()
            seq, batch = await connection.call()
            assert [payload[0] for _, payload in batch] == [3, 4, 5, 6, 7]
            connection.answer(seq, 1)
            await one.become(published=5, drop_oldest=3)
            await owner.close()
            one.task.end()
            await one.task.ending()

    run(main(), loop)
    assert counted(caplog.records, "is away") == counted(caplog.records, "is back") == 1


def test_what_could_not_be_sent_waits_again_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            connection = await fake.next()
            await true(lambda: one.task.resting)

            async def unreachable(*arguments: object) -> Any:
                raise ServiceUnreachableError("nothing was sent")

            monkeypatch.setattr(one.sender, "ready", unreachable)
            monkeypatch.setattr(one.sender.connection, "open", unreachable)
            monkeypatch.setattr(one.sender.connection, "usable", lambda: None)
            one.publish(1)
            await true(lambda: one.task.outcomes.away)
            one.publish(2)
            assert one.figures() == {"waiting": 2}
            monkeypatch.undo()
            seq, batch = await connection.call()
            assert [payload[0] for _, payload in batch] == [1, 2]
            connection.answer(seq, 0)
            await one.become(published=2)

    run(main())


def test_a_message_over_the_limit_of_a_service_that_was_away_is_refused() -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            one.queue.publish(("S", bytes(MAX_MESSAGE + 1)), 1, MAX_MESSAGE + 20)
            one.publish(1)
            connection = await fake.next()
            connection.answer((await connection.call())[0], 1)
            await one.become(refused=1, published=1)

    run(main())


@each_loop
@pytest.mark.parametrize("cancelled", [False, True], ids=["told to end", "cancelled"])
def test_the_end_drops_what_waits_and_does_not_know_of_what_was_sent(loop: str, cancelled: bool) -> None:
    """A loop that ends cancels its tasks."""

    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            one.publish(*[1] * FRAME_EVENTS * (WINDOW + 3))
            connection = await fake.next()
            connection.answer((await connection.call())[0], 1)
            for _ in range(WINDOW):
                await connection.call()
            if cancelled:
                one.task._task.cancel()
            else:
                one.task.end()
            await one.task.ending()
            sent = {"published": FRAME_EVENTS, "unknown": WINDOW * FRAME_EVENTS}
            assert one.figures() == {**sent, "closed": 2 * FRAME_EVENTS}
            assert one.task.ended and await connection.frame() is None
            one.publish(1)
            assert one.figures()["closed"] == 2 * FRAME_EVENTS + 1

    run(main(), loop)


def test_the_end_while_it_waits_to_send_drops_that_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            await true(lambda: one.task.resting)
            waiting = asyncio.Event()

            async def ready(deadline: float | None) -> Any:
                waiting.set()
                await asyncio.Event().wait()

            monkeypatch.setattr(one.sender, "ready", ready)
            one.publish(1)
            await waiting.wait()
            one.task.end()
            await one.task.ending()
            assert one.figures() == {"closed": 1}

    run(main())


def test_finishing_sends_what_is_queued_and_ends() -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            connection = await fake.next()
            await true(lambda: one.task.resting)
            one.publish(1, 2)
            one.task.finish(20)
            connection.answer((await connection.call())[0], 1)
            await one.become(published=2)
            await true(lambda: one.task.ended)

    run(main())


def test_it_looks_for_the_service_when_it_is_told_to() -> None:
    async def main() -> None:
        async with asyncio_service() as fake, sending(fake) as one:
            (await fake.next()).close()

            def looked() -> int:
                one.task.wake(look=True)
                return one.sender.connection.reconnects

            await true(looked)
            await fake.next()

    run(main())


def test_waking_after_the_loop_was_closed_does_nothing() -> None:
    async def main() -> BackgroundTask:
        async with asyncio_service() as fake, sending(fake) as one:
            return one.task

    with event_loop() as loop:
        task = loop.run_until_complete(main())
    task.wake()
