"""aio's BackgroundPublisher: what its user may give it, what it keeps to itself, and how it ends (C35a)."""

from __future__ import annotations

import asyncio
import copy
import gc
import importlib
import os
import pickle
import random
import signal
import threading
import warnings
from typing import Any

import numpy as np
import pytest
from asyncio_service import asyncio_service
from event_loops import each_loop, event_loop, run, true
from listening import collecting

from pyro_events import BackgroundStatistics, EventServiceError, EventServiceStarter, aio
from pyro_events.client.background.options import BackgroundOptions, BackgroundTimes
from pyro_events.codec.message import decode
from pyro_events.constants import MAX_MESSAGE
from pyro_events.errors import MessageTooLargeError, UnsupportedTypeError

QUICK = BackgroundTimes(first_pause=0.01, last_pause=0.02, leaving=0.1)


def quick(publisher: aio.Publisher, **options: Any) -> aio.BackgroundPublisher:
    """A background publisher that does not wait for long at its end."""
    return aio.BackgroundPublisher(publisher._sender, publisher, BackgroundOptions(**options), QUICK)


def balanced(instrument: aio.BackgroundPublisher) -> BackgroundStatistics:
    """Its statistics, in which every event is counted once."""
    figures = instrument.statistics()
    lost = sum(figures.dropped.values()) + figures.refused + figures.unknown
    assert figures.accepted == figures.published + lost + figures.waiting, figures
    return figures


@each_loop
def test_c35a_what_is_published_arrives_in_order(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with (
            aio.Publisher(es_uri=service.uri, name="oven") as publisher,
            publisher.background() as instrument,
        ):
            for number in range(3_000):
                instrument.publish("S", number)
            instrument.publish(["S", "T"], 3_000)
            instrument.publish([], "nothing")
            assert await instrument.flush(20.0)
            figures = balanced(instrument)
            assert (figures.accepted, figures.published, figures.queued) == (3_002, 3_002, 3_002)
            assert (figures.name, figures.connected, figures.waiting_bytes) == ("oven", True, 0)
            assert publisher.statistics().published == 3_002
            assert "'oven', connected, 0 events waiting, 0 dropped" in repr(instrument)
        assert "closed" in repr(instrument)

    with collecting(service.uri, "S", "T") as collector:
        run(main(), loop)
        collector.wait(3_002)
    assert collector.messages() == [*range(3_000), 3_000, 3_000]


@each_loop
def test_c35a_any_thread_may_publish(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.background() as instrument:
            threads = [
                threading.Thread(target=lambda: [instrument.publish("S", number) for number in range(500)])
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            await true(lambda: not any(thread.is_alive() for thread in threads))
            assert await instrument.flush(20.0)
            assert balanced(instrument).published == 2_000

    run(main(), loop)


@pytest.mark.parametrize(
    ("subjects", "message", "kind"),
    [
        ("", 1, ValueError),
        (1, 1, TypeError),
        ("A", object(), UnsupportedTypeError),
        ("A", bytes(MAX_MESSAGE + 1), MessageTooLargeError),
    ],
)
def test_c35a_a_mistake_of_the_callers_is_raised_at_once_and_nothing_is_queued(
    service: EventServiceStarter, subjects: Any, message: object, kind: type[Exception]
) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.background() as instrument:
            with pytest.raises(kind):
                instrument.publish(subjects, message)
            assert instrument.statistics().accepted == 0

    run(main())


def test_c35a_what_cannot_be_made(service: EventServiceStarter) -> None:
    async def main() -> None:
        publisher = aio.Publisher(es_uri=service.uri)
        with pytest.raises(EventServiceError, match="not connected"):
            publisher.background()
        async with publisher:
            for options in ({"overflow": "block"}, {"limit": 0}, {"limit_bytes": "1"}):
                with pytest.raises(ValueError, match=next(iter(options))):
                    publisher.background(**options)
        with pytest.raises(EventServiceError, match="closed"):
            publisher.background()

    run(main())


def test_c35a_the_memory_of_a_message_may_be_used_again() -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            await fake.next()
            async with quick(publisher) as instrument:
                picture = np.ones(100_000)
                instrument.publish("CAMERA", picture)
                picture.fill(0)
                connection = await fake.next()
                seq, [[_, payload]] = await connection.call()
                connection.answer(seq, 1)
                assert decode(payload).sum() == 100_000

    run(main())


def test_c35a_a_message_over_the_limit_makes_it_look_for_a_service_with_another_one() -> None:
    async def main() -> None:
        async with (
            asyncio_service() as fake,
            aio.Publisher(es_uri=fake.uri) as publisher,
            quick(publisher) as instrument,
        ):
            await fake.next()
            (await fake.next()).close()

            def refused() -> int:
                with pytest.raises(MessageTooLargeError, match=fake.uri):
                    instrument.publish("CAMERA", bytes(MAX_MESSAGE + 1))
                return instrument.statistics().reconnects

            await true(refused)

    run(main())


@each_loop
def test_c35a_while_the_service_is_silent_it_drops_by_its_policy(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            await fake.next()
            async with quick(publisher, limit=5, overflow="drop-newest") as instrument:
                connection = await fake.next()
                while balanced(instrument).dropped["drop-newest"] < 10:
                    instrument.publish("S", bytes(50_000))
                    await asyncio.sleep(0)
                assert not await instrument.flush(0.01) and not await instrument.flush(0)
                answering = asyncio.ensure_future(_answer(connection))
                assert await instrument.flush() and await instrument.flush(0)
                assert balanced(instrument).waiting == 0
            await answering

    run(main(), loop)


async def _answer(connection: Any) -> None:
    while (frame := await connection.frame()) is not None:
        connection.answer(frame.seq, 1)


@each_loop
def test_c35a_the_end_of_the_block_drops_what_cannot_be_sent_and_an_exception_goes_on(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            with pytest.raises(KeyError, match="mine"):
                async with quick(publisher) as instrument:
                    instrument.publish("S", 1)
                    raise KeyError("mine")
            figures = balanced(instrument)
            assert figures.waiting == 0 and figures.unknown + figures.dropped["closed"] == 1
            with pytest.raises(EventServiceError, match="make a new one with publisher.background"):
                instrument.publish("S", 2)
            await instrument.close()

    run(main(), loop)


@each_loop
def test_c34_cancelling_flush_leaves_it_usable_and_cancelling_close_ends_it(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            await fake.next()
            instrument = publisher.background()
            connection = await fake.next()
            instrument.publish("S", 1)
            for work in (instrument.flush, instrument.close):
                task = asyncio.ensure_future(work())
                await asyncio.sleep(0.01)
                assert not task.done()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                if work == instrument.flush:
                    instrument.publish("S", 2)
            await true(lambda: balanced(instrument).waiting == 0)
            assert await connection.frame() is not None
            await instrument.close()

    run(main(), loop)


@each_loop
def test_c34_random_cancellations_leave_it_usable_and_in_order(
    loop: str, service: EventServiceStarter
) -> None:
    async def main() -> None:
        chance = random.Random(1)
        async with (
            aio.Publisher(es_uri=service.uri) as publisher,
            publisher.background() as instrument,
        ):
            for number in range(2_000):
                instrument.publish("S", number)
                task = asyncio.ensure_future(instrument.flush())
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
            assert await instrument.flush(20.0)
            assert balanced(instrument).published == 2_000 and not instrument._queue._waiters

    with collecting(service.uri, "S") as collector:
        run(main(), loop)
        collector.wait(2_000)
    assert collector.messages() == list(range(2_000))


def test_it_ends_with_its_publisher() -> None:
    async def main() -> None:
        async with asyncio_service() as fake:
            async with aio.Publisher(es_uri=fake.uri) as publisher:
                await fake.next()
                instrument = publisher.background()
                connection = await fake.next()
                instrument.publish("S", 1)
                await connection.call()
            assert balanced(instrument).unknown == 1
            with pytest.raises(EventServiceError, match="closed"):
                instrument.publish("S", 2)
            await instrument.close()

    run(main())


def test_one_that_nobody_has_any_more_sends_what_is_queued_and_ends() -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            await fake.next()
            instrument = publisher.background()
            connection = await fake.next()
            instrument.publish("S", 1)
            with pytest.warns(ResourceWarning, match="unclosed <aio.BackgroundPublisher"):
                del instrument
                gc.collect()
            seq, _ = await connection.call()
            connection.answer(seq, 1)
            assert await connection.frame() is None

    run(main())


def test_a_loop_that_ends_without_closing_it(
    service: EventServiceStarter, caplog: pytest.LogCaptureFixture
) -> None:
    """It cancels all tasks, as asyncio.run does."""

    async def main() -> tuple[aio.Publisher, aio.BackgroundPublisher]:
        publisher = await aio.Publisher(es_uri=service.uri).connect()
        instrument = publisher.background()
        await true(lambda: instrument.statistics().connected)
        instrument.publish("S", 1)
        return publisher, instrument

    with event_loop() as loop:
        publisher, instrument = loop.run_until_complete(main())
    figures = balanced(instrument)
    assert figures.waiting == 0 and figures.dropped["closed"] == 1
    assert "ended before 1 events were sent" in caplog.text
    with pytest.raises(EventServiceError, match="closed"):
        instrument.publish("S", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of the publisher
        del publisher, instrument
        gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # other threads run while we fork
def test_c23a_in_a_forked_child_it_belongs_to_the_parent(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.background() as instrument:
            instrument.publish("S", 1)
            assert await instrument.flush(20.0)
            child = os.fork()
            if child == 0:
                try:
                    instrument.publish("S", 2)
                except EventServiceError as error:
                    os._exit("was forked" not in str(error))
                os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            instrument.publish("S", 3)
            assert await instrument.flush(20.0) and balanced(instrument).published == 2

    run(main())


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
@each_loop
def test_c23_a_signal_handler_publishes_in_the_middle_of_anything(
    loop: str, service: EventServiceStarter
) -> None:
    handled = 0

    async def main() -> None:
        nonlocal handled
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.background() as instrument:

            def handler(number: int, frame: object) -> None:
                nonlocal handled
                handled += 1
                instrument.publish("S", "handler")

            before = signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            published = 0
            try:
                while handled < 100:
                    instrument.publish("S", published)
                    published += 1
                    if published % 50 == 0:
                        await asyncio.sleep(0)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
            assert await instrument.flush(20.0)
            assert balanced(instrument).accepted == published + handled

    run(main(), loop)


def test_what_cannot_be_copied(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.background() as instrument:
            for copied in (copy.copy, pickle.dumps):
                with pytest.raises(TypeError, match=r"make another one with publisher\.background"):
                    copied(instrument)

    run(main())


@each_loop
def test_what_was_queued_when_an_exception_of_the_programs_own_came_is_sent_too(
    loop: str, service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ProgramsOwnError(Exception):
        pass

    def interrupted(look: bool = False) -> None:
        raise ProgramsOwnError

    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.background() as instrument:
            await true(lambda: instrument._task.resting)
            with monkeypatch.context() as patch:
                patch.setattr(instrument._task, "wake", interrupted)
                with pytest.raises(ProgramsOwnError):
                    instrument.publish("S", 1)
            assert await instrument.flush(20.0)
            assert balanced(instrument).published == 1

    run(main(), loop)


@each_loop
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the loop, which has closed nothing
def test_its_publisher_is_closed_after_their_loop(loop: str, service: EventServiceStarter) -> None:
    async def connect() -> tuple[aio.Publisher, aio.BackgroundPublisher]:
        publisher = await aio.Publisher(es_uri=service.uri).connect()
        instrument = publisher.background()
        await true(lambda: instrument._task.resting)
        return publisher, instrument

    before: asyncio.AbstractEventLoop = importlib.import_module(loop).new_event_loop()
    publisher, instrument = before.run_until_complete(connect())
    instrument.publish("S", 1)
    before.close()
    run(publisher.close(), loop)
    assert repr(publisher).endswith("closed>")
    assert balanced(instrument).dropped["closed"] == 1
    with pytest.raises(EventServiceError, match="this background publisher is closed"):
        instrument.publish("S", 2)
    del before, publisher, instrument
    gc.collect()  # what the loop has left
