"""aio.Publisher: publishing to a real service from many tasks, and what it reports (C34)."""

from __future__ import annotations

import asyncio
import gc
import math
import pickle
import threading
import warnings
from collections.abc import Callable

import numpy
import Pyro5
import pytest
from asyncio_service import asyncio_service
from event_loops import each_loop, event_loop, run, true
from listening import collecting
from Pyro5.api import Proxy
from Pyro5.errors import NamingError

from pyro_events import EventServiceStarter, aio
from pyro_events.constants import MAX_MESSAGE
from pyro_events.errors import (
    AnswerTimeoutError,
    EventServiceError,
    MessageTooLargeError,
    OutcomeUnknownError,
    ServiceNotFoundError,
    ServiceUnreachableError,
    UnsupportedTypeError,
)


@each_loop
def test_nobody_listens(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri, name="a test") as publisher:
            assert await publisher.publish("S", 1) == 0
            assert await publisher.publish(["a", "b"], 1) == 0
            assert await publisher.publish((name for name in "xyz"), 1) == 0
            assert await publisher.publish([], 1) == 0
            statistics = publisher.statistics()
            assert (statistics.published, statistics.queued, statistics.unknown) == (6, 0, 0)
            assert statistics.connected and statistics.address == str(service.uri)
            assert (statistics.name, statistics.reconnects) == ("a test", 0)
            assert repr(publisher) == f"<aio.Publisher 'a test' of {service.uri}, connected>"
        assert not publisher.statistics().connected
        assert repr(publisher) == f"<aio.Publisher 'a test' of {service.uri}, closed>"

    run(main(), loop)


@each_loop
def test_what_many_tasks_publish_arrives_in_the_order_of_each(
    loop: str, service: EventServiceStarter
) -> None:
    async def publish(publisher: aio.Publisher, name: str) -> int:
        return sum([await publisher.publish("S", (name, number)) for number in range(100)])

    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            counts = await asyncio.gather(*[publish(publisher, f"task {n}") for n in range(50)])
            assert counts == [100] * 50
            assert publisher.statistics().published == publisher.statistics().queued == 5000

    with collecting(service.uri, "S") as collector:
        run(main(), loop)
        collector.wait(5000)
    for n in range(50):
        numbers = [number for name, number in collector.messages() if name == f"task {n}"]
        assert numbers == list(range(100))


@each_loop
def test_large_messages_arrive_as_they_were(loop: str, service: EventServiceStarter) -> None:
    picture = numpy.arange(1 << 20, dtype=numpy.uint8).reshape(1024, 1024)

    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            calls = [publisher.publish("S", message) for message in (picture, b"x" * 3_000_000, "small")]
            assert await asyncio.gather(*calls) == [1, 1, 1]

    with collecting(service.uri, "S") as collector:
        run(main(), loop)
        collector.wait(3)
    first, second, third = collector.messages()
    assert numpy.array_equal(first, picture) and second == b"x" * 3_000_000 and third == "small"


@pytest.mark.parametrize("timeout", [math.inf, 10**400, 3_000_000])
def test_a_timeout_that_is_longer_than_the_system_can_wait(
    service: EventServiceStarter, timeout: float
) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.pipeline() as fast:
            assert await publisher.publish("A", 1, timeout=timeout) == 0
            await fast.publish("A", 2)
            assert await fast.flush(timeout) == 0

    run(main())


@each_loop
def test_what_cannot_be_published(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(esURI=service.uri) as publisher:
            with pytest.raises(ValueError, match="subject"):
                await publisher.publish(["fine", "x" * 256], 1)
            with pytest.raises(TypeError):
                await publisher.publish(b"S", 1)  # type: ignore[arg-type]
            with pytest.raises(UnsupportedTypeError, match="message"):
                await publisher.publish("S", [object()])
            with pytest.raises(MessageTooLargeError, match="in parts"):
                await publisher.publish("S", bytes(MAX_MESSAGE))
            with pytest.raises(ValueError, match="timeout is -1"):
                await publisher.publish("S", 1, timeout=-1)
            with pytest.raises(TypeError, match="timeout must be a number"):
                await publisher.publish("S", 1, timeout="1")  # type: ignore[arg-type]
            assert await publisher.publish("S", bytes(MAX_MESSAGE - 100)) == 0
            assert publisher.statistics().published == 1

    run(main(), loop)


def test_the_arguments_are_checked_when_it_is_made() -> None:
    with pytest.raises(TypeError, match="ident must be a passphrase, a str, not int"):
        aio.Publisher(1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty passphrase"):
        aio.Publisher(" ")
    with pytest.raises(TypeError, match="same argument"):
        aio.Publisher(es_uri="PYRO:a@b:1", esURI="PYRO:a@b:1")
    with pytest.raises(ValueError, match="wait=-1"):
        aio.Publisher(wait=-1)
    with pytest.raises(ValueError, match="not the address of an event service"):
        aio.Publisher(es_uri="nowhere")
    publisher = aio.Publisher(es_uri="lab:9095", name="a test")
    assert repr(publisher) == "<aio.Publisher 'a test', not connected>"
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        pickle.dumps(publisher)


@each_loop
def test_naming_errors_are_caught_as_the_original_did(loop: str, free_port: Callable[[], int]) -> None:
    Pyro5.config.NS_PORT = Pyro5.config.NS_BCPORT = free_port()
    Pyro5.config.PREFER_IP_VERSION = 6  # Pyro5 then does not broadcast, which takes 2 s
    with pytest.raises(NamingError) as caught:
        run(aio.Publisher().connect(), loop)
    assert isinstance(caught.value, ServiceNotFoundError)


@each_loop
def test_nobody_is_there(loop: str, free_port: Callable[[], int]) -> None:
    async def main() -> None:
        publisher = aio.Publisher(es_uri=f"127.0.0.1:{free_port()}")
        with pytest.raises(ServiceUnreachableError, match="nothing listens there"):
            async with publisher:
                raise AssertionError
        await publisher.close()

    run(main(), loop)


@each_loop
def test_after_close_and_before_connect(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        publisher = aio.Publisher(es_uri=service.uri)
        with pytest.raises(EventServiceError, match="is not connected: use it in `async with`"):
            await publisher.publish("S", 1)
        assert await publisher.connect() is publisher
        await publisher.connect()
        await publisher.publish("S", 1)
        await publisher.close()
        await publisher.close()
        for use in (publisher.publish("S", 1), publisher.connect(), publisher.pipeline().publish("S", 1)):
            with pytest.raises(EventServiceError, match="has called close"):
                await use

    run(main(), loop)


def test_without_a_loop_of_asyncio(service: EventServiceStarter) -> None:
    coroutine = aio.Publisher(es_uri=service.uri).connect()
    with pytest.raises(EventServiceError, match="needs a running event loop of asyncio"):
        coroutine.send(None)


@each_loop
def test_on_another_loop_and_in_another_thread(loop: str, service: EventServiceStarter) -> None:
    async def elsewhere(publisher: aio.Publisher, pipeline: aio.Pipeline) -> None:
        uses = publisher.publish("S", 1), pipeline.publish("S", 1), pipeline.flush(), publisher.close()
        for use in (*uses, publisher.connect()):
            with pytest.raises(EventServiceError, match="belongs to the event loop on which it was"):
                await use

    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher, publisher.pipeline() as fast:
            await fast.publish("S", 1)
            thread = threading.Thread(target=run, args=(elsewhere(publisher, fast),))
            thread.start()
            await true(lambda: not thread.is_alive())
            thread.join()
            assert await publisher.publish("S", 1) == 0
            assert publisher.statistics().published == 2

    run(main(), loop)


def test_it_can_be_closed_after_its_loop(service: EventServiceStarter) -> None:
    publisher = aio.Publisher(es_uri=service.uri)
    with event_loop() as loop:
        loop.run_until_complete(publisher.connect())
        loop.run_until_complete(publisher.close())
    run(publisher.close())


@each_loop
def test_one_that_is_dropped_warns_and_closes(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        publisher = await aio.Publisher(es_uri=service.uri, name="dropped").connect()
        await publisher.publish("S", 1)
        with pytest.warns(ResourceWarning, match="unclosed <aio.Publisher 'dropped' of PYRO:.*, connected>"):
            del publisher
            gc.collect()
        with Proxy(service.uri) as es:
            await true(lambda: "dropped" not in {client["name"] for client in es.statistics()["clients"]})

    run(main(), loop)


def test_one_that_was_closed_or_never_connected_does_not_warn(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri):
            pass

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aio.Publisher(es_uri=service.uri)
        run(main())
        gc.collect()


@each_loop
def test_an_unknown_outcome_is_counted_and_not_repeated(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            connection = await fake.next()
            call = asyncio.ensure_future(publisher.publish(["a", "b"], 1))
            assert len((await connection.call())[1]) == 1
            connection.close()
            with pytest.raises(OutcomeUnknownError, match="broke before it had answered"):
                await call
            assert publisher.statistics().unknown == 2
            call = asyncio.ensure_future(publisher.publish("c", 2))
            again = await fake.next()
            seq, batch = await again.call()
            assert batch[0][0] == "c"
            again.answer(seq, 3)
            assert await call == 3
            assert publisher.statistics().reconnects == 1

    run(main(), loop)


@each_loop
def test_a_service_that_went_away_while_it_was_idle_costs_no_error(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            (await fake.next()).close()
            await true(lambda: not publisher.statistics().connected)
            call = asyncio.ensure_future(publisher.publish("S", 1))
            connection = await fake.next()
            connection.answer((await connection.call())[0], 1)
            assert await call == 1 and publisher.statistics().unknown == 0

    run(main(), loop)


@each_loop
def test_a_timeout_leaves_the_publisher_in_step(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            connection = await fake.next()
            with pytest.raises(AnswerTimeoutError, match="did not answer within the time") as caught:
                await publisher.publish("S", 1, timeout=0.01)
            assert isinstance(caught.value, TimeoutError)
            late = asyncio.ensure_future(publisher.publish("S", 2))
            first, second = await connection.call(), await connection.call()
            connection.answer(first[0], 10)
            connection.answer(second[0], 20)
            assert await late == 20
            statistics = publisher.statistics()
            assert (statistics.published, statistics.queued, statistics.unknown) == (1, 20, 1)

    run(main(), loop)


@each_loop
def test_calls_whose_service_does_not_read_wait_and_time_out_without_being_sent(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            connection = await fake.next()
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            big = [asyncio.ensure_future(publisher.publish("S", bytes(8_000_000))) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(AnswerTimeoutError, match="it was not made"):
                await publisher.publish("S", "late", timeout=0.05)
            waiting = asyncio.ensure_future(publisher.publish("S", "next"))
            given_up = asyncio.ensure_future(publisher.publish("S", "given up"))
            await asyncio.sleep(0)
            given_up.cancel()
            connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
            subjects = []
            for _ in range(4):
                seq, batch = await connection.call()
                subjects.append(len(batch[0][1]))
                connection.answer(seq, 1)
            assert await asyncio.gather(*big, waiting) == [1] * 4
            assert subjects[:3] == [subjects[0]] * 3 and subjects[3] < 100
            assert publisher.statistics().unknown == 0

    run(main(), loop)


@each_loop
def test_a_service_that_closes_every_connection_is_not_tried_for_ever(loop: str) -> None:
    async def main() -> None:
        async with asyncio_service() as fake, aio.Publisher(es_uri=fake.uri) as publisher:
            await fake.next()
            publisher._sender.connection._times = type(publisher._sender.connection._times)(idle=60)
            for _ in range(2):
                call = asyncio.ensure_future(publisher.publish("S", 1))
                other = asyncio.ensure_future(publisher.publish("S", 2))
                await asyncio.sleep(0)
                connection = publisher._sender.connection._connection
                assert connection is not None
                connection.end("as if it had closed it in the middle of a turn")
                with pytest.raises(OutcomeUnknownError):
                    await call
                answered = await fake.next()
                answered.answer((await answered.call())[0], 7)
                assert await other == 7, "it had not been sent, so it was made on the new connection"

    run(main(), loop)
