"""aio.EventStream: events over a stream's own connection, taken one by one by tasks (C33, C34)."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import math
import os
import pickle
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy
import pytest
from certificates import needs_openssl, settings, use
from contract import account, running, statistics
from event_loops import each_loop, event_loop, run, true
from fake_service import fake_service
from waiting import eventually

from pyro_events import EventServiceError, EventServiceStarter, Publisher, ServiceUnreachableError, aio
from pyro_events.aio.connection.waiting import in_thread
from pyro_events.client.reconnect.times import ReconnectTimes
from pyro_events.errors import AccessDeniedError

LOOPBACK = "127.0.0.1"


@contextlib.asynccontextmanager
async def both(
    service: EventServiceStarter, *subjects: str, **options: Any
) -> AsyncIterator[tuple[aio.Publisher, aio.EventStream]]:
    """A publisher and a stream."""
    async with (
        aio.Publisher(es_uri=service.uri) as publisher,
        aio.EventStream(subjects, es_uri=service.uri, **options) as events,
    ):
        yield publisher, events


@contextlib.asynccontextmanager
async def started(port: int) -> AsyncIterator[EventServiceStarter]:
    """A service in the same program. The test's loop runs while it ends."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(EventServiceStarter(LOOPBACK, port, use_ns=False))
        await in_thread(stack.close)


def of(service: EventServiceStarter, stream: aio.EventStream) -> dict[str, Any]:
    """What the service says of a stream."""
    return account(service.uri, f"OWN:{stream.statistics().id}@{LOOPBACK}") or {}


@each_loop
def test_names_and_patterns_come_in_one_order(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with both(service, "A", "B", match="^N", name="plotter") as (publisher, events):
            assert await publisher.publish(["A", "X", "NEWS", "b"], {"price": 1}) == 3
            got = [await events.get(timeout=10) for _ in range(3)]
            expected = [("A", 1, 0), ("NEWS", 2, 0), ("b", 3, 0)]
            assert [(event.subject, event.seq, event.missed) for event in got] == expected
            assert {event.time for event in got} == {got[0].time} and got[0].msg == {"price": 1}
            await true(lambda: of(service, events)["delivered"] == 3)
            found = of(service, events)
            assert found["name"] == "plotter" and found["subjects"] == ["A", "B", "^N"]
            snapshot = events.statistics()
            assert (snapshot.taken, snapshot.waiting, snapshot.reconnects) == (3, 0, 0)
            assert snapshot.subscriptions == ("A", "B", "^N") and snapshot.connected
            assert repr(events) == f"<aio.EventStream 'plotter' of {service.uri}, connected>"
        assert repr(events).endswith(", closed>")
        await true(lambda: statistics(service.uri)["subscribers"] == [])

    run(main(), loop)


@each_loop
def test_a_loop_over_it_ends_when_it_is_closed(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with both(service, "A") as (publisher, events):
            got: list[int] = []

            async def take() -> None:
                async for event in events:
                    got.append(event.msg)

            taking, waiting = asyncio.ensure_future(take()), asyncio.ensure_future(events.get())
            for number in range(2000):
                await publisher.publish("A", number)
            await true(lambda: len(got) + waiting.done() == 2000)
            await events.close()
            await taking
            if waiting.done():
                got.append(waiting.result().msg)
            assert sorted(got) == list(range(2000))
            uses = events.get(), events.subscribe("B"), events.unsubscribe("A"), events.connect()
            for use_ in uses:
                with pytest.raises(EventServiceError, match="this stream is closed"):
                    await use_
            with contextlib.suppress(EventServiceError):
                await waiting
            assert [event async for event in events] == []
            await events.close()

    run(main(), loop)


@each_loop
def test_time_limits(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with both(service, "A") as (publisher, events):
            for timeout in (0, 0.01):
                with pytest.raises(TimeoutError, match=f"no event came within {timeout} s"):
                    await events.get(timeout)
            assert await publisher.publish(["A", "A", "A"], 1) == 3
            while not of(service, events)["unacknowledged"]:
                """The loop does not run meanwhile, and so has not looked at its sockets."""
            assert (await events.get(0)).seq == 1
            assert [(await events.get(10)).seq for _ in range(2)] == [2, 3]
            await publisher.publish("A", 3)
            assert (await events.get(math.inf)).msg == 3
            for timeout_, kind in ((-1, ValueError), ("1", TypeError), (True, TypeError)):
                with pytest.raises(kind, match="timeout"):
                    await events.get(timeout_)  # type: ignore[arg-type]

    run(main(), loop)


@each_loop
def test_what_is_subscribed_may_change(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with both(service) as (publisher, events):
            assert await publisher.publish("A", 1) == 0
            await events.subscribe(["A", "B"])
            await events.subscribeMatch("^C", overflow="latest", backlog=3)
            await events.subscribe([])
            assert await publisher.publish(["A", "B", "C1", "D"], 2) == 3
            await events.unsubscribe(["A", "^C", "nothing"])
            assert await publisher.publish(["A", "B", "C1"], 3) == 1
            assert events.statistics().subscriptions == ("B",)
            assert of(service, events)["overflow"] == "latest"
            with pytest.raises(ValueError, match=r"pattern '\['"):
                await events.subscribeMatch("[")
            with pytest.raises(ValueError, match="subject"):
                await events.subscribe("")
            with pytest.raises(TypeError):
                await events.unsubscribe(1)  # type: ignore[arg-type]
            assert events.statistics().subscriptions == ("B",)
            # The connection for calls is closed after a while, and made again: here is the publisher's, and
            # that of who asks.
            await true(lambda: statistics(service.uri)["connections"] == 2)
            await events.subscribe("E")
            assert await publisher.publish("E", 4) == 1

    run(main(), loop)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"subjects": ""}, ValueError, "subject"),
        ({"subjects": b"A"}, TypeError, "text"),
        ({"match": "["}, ValueError, "pattern"),
        ({"backlog": 0}, ValueError, "backlog"),
        ({"overflow": "never"}, ValueError, "overflow"),
        ({"wait": "x"}, TypeError, "wait"),
        ({"ident": 1}, TypeError, "passphrase"),
        ({"es_uri": "nowhere"}, ValueError, "address"),
    ],
)
def test_wrong_arguments_raise_when_it_is_made(
    arguments: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        aio.EventStream(**{"es_uri": "lab:9095", **arguments})


@each_loop
def test_what_the_service_does_not_accept_leaves_nothing_connected(
    loop: str, service: EventServiceStarter
) -> None:
    async def main() -> None:
        stream = aio.EventStream("A", es_uri=service.uri, backlog=10**9)
        with pytest.raises(ValueError, match="backlog"):
            await stream.connect()
        await true(lambda: statistics(service.uri)["connections"] == 1)
        assert statistics(service.uri)["subscribers"] == [] and not stream.statistics().connected
        await stream.close()

    run(main(), loop)


@each_loop
def test_no_service_and_one_that_cannot(loop: str, free_port: Callable[[], int]) -> None:
    async def main(uri: str) -> None:
        with pytest.raises(ServiceUnreachableError, match="refused"):
            await aio.EventStream("A", es_uri=f"{LOOPBACK}:{free_port()}").connect()
        with pytest.raises(ServiceUnreachableError, match="or is older") as caught:
            async with aio.EventStream("A", es_uri=uri):
                raise AssertionError
        assert not caught.value.temporary

    with fake_service() as fake:
        run(main(fake.uri), loop)


@each_loop
def test_with_the_passphrase(loop: str) -> None:
    async def main(uri: Any) -> None:
        async with (
            aio.Publisher("secret", uri) as publisher,
            aio.EventStream("A", es_uri=uri, ident="secret") as events,
        ):
            await publisher.publish("A", 1)
            assert (await events.get(10)).msg == 1
        for ident in (None, "another"):
            with pytest.raises(AccessDeniedError):
                await aio.EventStream("A", es_uri=uri, ident=ident).connect()

    with EventServiceStarter(LOOPBACK, 0, use_ns=False, ident="secret") as guarded:
        run(main(guarded.uri), loop)


@each_loop
@needs_openssl
def test_over_tls(loop: str) -> None:
    async def main(service: EventServiceStarter) -> None:
        async with both(service, "A") as (publisher, events):
            async with publisher.pipeline() as fast:
                for number in range(3000):
                    await fast.publish("A", number)
                await fast.publish("A", bytes(300_000))
            got = [(await events.get(10)).msg for _ in range(3001)]
            assert got == [*range(3000), bytes(300_000)]

    use(settings())
    with EventServiceStarter("localhost", 0, use_ns=False) as service:
        run(main(service), loop)


@each_loop
def test_large_events_arrive_as_they_were(loop: str, service: EventServiceStarter) -> None:
    picture = numpy.arange(1 << 20, dtype=numpy.uint8).reshape(1024, 1024)

    async def main() -> None:
        async with both(service, "A") as (publisher, events):
            for number in range(10):
                await publisher.publish("A", picture)
                await publisher.publish("A", number)
            for number in range(10):
                assert numpy.array_equal((await events.get(10)).msg, picture)
                assert (await events.get(10)).msg == number

    run(main(), loop)


@each_loop
def test_a_slow_program_has_a_backlog_and_nothing_is_lost(loop: str) -> None:
    async def main(service: EventServiceStarter) -> None:
        async with both(service, "A") as (publisher, events):

            async def publish() -> None:
                for number in range(3000):
                    await publisher.publish("A", number)

            publishing = asyncio.ensure_future(publish())
            await true(lambda: of(service, events).get("backlog", 0) >= 50)
            assert not publishing.done()
            assert [(await events.get(10)).msg for _ in range(3000)] == list(range(3000))
            await publishing

    with running(backlog=50) as service:
        run(main(service), loop)


@each_loop
def test_an_event_that_was_taken_is_acknowledged_although_the_loop_stops(
    loop: str, service: EventServiceStarter
) -> None:
    with event_loop(loop) as made, Publisher(es_uri=service.uri) as publisher:
        events = made.run_until_complete(aio.EventStream("A", es_uri=service.uri).connect())
        for number in (1, 2):
            publisher.publish("A", number)
            assert made.run_until_complete(events.get(10)).msg == number
            eventually(lambda: of(service, events)["delivered"] == number)  # noqa: B023
        made.run_until_complete(events.close())


@each_loop
def test_a_program_that_leaves_after_an_event_has_got_it(loop: str, service: EventServiceStarter) -> None:
    """It counts as delivered, also if the stream is closed before the loop had another turn."""

    async def main() -> None:
        async with both(service, "A") as (publisher, events):
            await publisher.publish("A", 1)
            async for event in events:
                assert event.msg == 1
                break
        await true(lambda: not statistics(service.uri)["subscribers"])
        assert statistics(service.uri)["lost"] == {}

    run(main(), loop)


@each_loop
def test_a_batch_is_acknowledged_when_its_last_event_was_taken(
    loop: str, service: EventServiceStarter
) -> None:
    async def main() -> None:
        async with both(service, "A") as (publisher, events):
            assert await publisher.publish(["A"] * 100, 1) == 100
            await true(lambda: of(service, events)["unacknowledged"] > 1)
            first = of(service, events)["unacknowledged"]
            await true(lambda: events.statistics().waiting == first)
            for _ in range(first - 1):
                await events.get()
            await asyncio.sleep(0.05)
            assert of(service, events)["delivered"] < first
            await events.get()
            await true(lambda: of(service, events)["delivered"] >= first)
            for _ in range(first, 100):
                await events.get(10)
            await true(lambda: of(service, events)["delivered"] == 100)

    run(main(), loop)


@each_loop
def test_many_tasks_take_each_event_once(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with both(service, "A") as (publisher, events):
            got: list[int] = []

            async def take() -> None:
                async for event in events:
                    got.append(event.msg)

            takers = [asyncio.ensure_future(take()) for _ in range(5)]
            async with publisher.pipeline() as fast:
                for number in range(5000):
                    await fast.publish("A", number)
            await true(lambda: len(got) == 5000)
            assert sorted(got) == list(range(5000))
            await events.close()
            await asyncio.gather(*takers)

    run(main(), loop)


@each_loop
def test_two_hundred_streams_in_one_program(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        threads = threading.active_count()
        streams = [aio.EventStream(["ALL", f"ONE.{n}"], es_uri=service.uri) for n in range(200)]
        await asyncio.gather(*[stream.connect() for stream in streams])
        async with aio.Publisher(es_uri=service.uri) as publisher:
            assert await publisher.publish("ALL", "all") == 200
            for number in range(200):
                assert await publisher.publish(f"ONE.{number}", number) == 1
            for number, stream in enumerate(streams):
                assert [(await stream.get(10)).msg for _ in range(2)] == ["all", number]
        assert threading.active_count() == threads
        await asyncio.gather(*[stream.close() for stream in streams])

    run(main(), loop, 100)


@each_loop
def test_it_comes_back_with_its_service(loop: str, free_port: Callable[[], int]) -> None:
    port = free_port()

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with started(port) as service:
                stream = aio.EventStream("A", match="^B", es_uri=service.uri)
                events = await stack.enter_async_context(stream)
                async with aio.Publisher(es_uri=service.uri) as publisher:
                    await publisher.publish("A", 1)
                assert (await events.get(10)).missed == 0
                waiting = asyncio.ensure_future(events.get(30))
            await true(lambda: not events.statistics().connected)
            assert repr(events).endswith("not connected>")
            service = await stack.enter_async_context(started(port))
            async with aio.Publisher(es_uri=service.uri) as publisher:
                while not await publisher.publish("B", 2):
                    await asyncio.sleep(0.01)
                event = await waiting
                assert (event.subject, event.msg, event.seq, event.missed) == ("B", 2, 1, None)
                await publisher.publish("A", 3)
                event = await events.get(10)
                assert (event.msg, event.missed) == (3, 0)
            assert events.statistics().reconnects == 1

    run(main(), loop)


@each_loop
def test_closing_takes_no_time_while_the_service_is_away(loop: str, free_port: Callable[[], int]) -> None:
    async def main() -> None:
        async with started(free_port()) as service:
            events = await aio.EventStream("A", es_uri=service.uri).connect()
        await true(lambda: not events.statistics().connected)
        waiting = asyncio.ensure_future(events.get())
        await asyncio.sleep(0)
        await asyncio.wait_for(events.close(), 5)
        with pytest.raises(EventServiceError, match="this stream is closed"):
            await waiting

    run(main(), loop)


@each_loop
def test_heartbeats_are_answered_while_the_program_takes_nothing(loop: str) -> None:
    async def main(service: EventServiceStarter) -> None:
        async with both(service, "A") as (_, events):
            inbox = events._source.events.inbox  # type: ignore[union-attr]
            await true(lambda: inbox.heard >= 3)
            assert len(statistics(service.uri)["subscribers"]) == 1
            assert events.statistics().reconnects == 0

    with running(heartbeat=0.1, heartbeat_answer=1.5) as service:
        run(main(service), loop)


@each_loop
def test_one_that_the_service_has_forgotten_comes_back_though_nothing_ends_its_connection(
    loop: str, service: EventServiceStarter
) -> None:
    async def main() -> None:
        async with both(service, "A") as (publisher, events):
            receiver = events._receiver
            receiver._times = ReconnectTimes(heartbeat=0.05)
            await true(lambda: receiver.source._lost)
            receiver.remote.subscriber = {"key": "0" * 32}  # which the service does not know
            receiver.source._lost.set_result(False)  # type: ignore[union-attr]  # as if the heartbeat were missing
            await true(lambda: events.statistics().reconnects == 1)
            await publisher.publish("A", 1)
            assert (await events.get(10)).missed is None

    run(main(), loop)


@each_loop
def test_on_another_loop_and_before_it_is_connected(loop: str, service: EventServiceStarter) -> None:
    async def elsewhere(events: aio.EventStream) -> None:
        uses = events.get(), events.subscribe("B"), events.unsubscribe("A"), events.close(), events.connect()
        for use_ in (*uses, events.__anext__()):
            with pytest.raises(EventServiceError, match="this stream belongs to the event loop"):
                await use_

    async def main() -> None:
        fresh = aio.EventStream("A", es_uri=service.uri, name="fresh")
        assert repr(fresh) == "<aio.EventStream 'fresh', not connected>"
        for use_ in (fresh.get(), fresh.subscribe("B"), fresh.__anext__()):
            with pytest.raises(EventServiceError, match="this stream is not connected: use it in"):
                await use_
        async with both(service, "A") as (publisher, events):
            assert await events.connect() is events
            thread = threading.Thread(target=run, args=(elsewhere(events),))
            thread.start()
            await true(lambda: not thread.is_alive())
            thread.join()
            await publisher.publish("A", 1)
            assert (await events.get(10)).msg == 1

    run(main(), loop)


@each_loop
def test_one_that_is_dropped_warns_and_closes(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        events = await aio.EventStream("A", es_uri=service.uri, name="dropped").connect()
        with pytest.warns(
            ResourceWarning, match="unclosed <aio.EventStream 'dropped' of PYRO:.*, connected>"
        ):
            del events
            gc.collect()
        await true(lambda: not statistics(service.uri)["subscribers"])

    run(main(), loop)


def test_one_that_was_never_connected_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aio.EventStream("A", es_uri="lab:9095")
        gc.collect()


def test_it_can_be_neither_copied_nor_pickled() -> None:
    for use_ in (copy.copy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            use_(aio.EventStream("A", es_uri="lab:9095"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # other threads run while we fork
@each_loop
def test_a_forked_child_leaves_the_parents_alone(loop: str, service: EventServiceStarter) -> None:
    async def use_both(publisher: aio.Publisher, events: aio.EventStream) -> None:
        for use_ in (publisher.publish("A", "child"), events.get(), events.subscribe("B")):
            with pytest.raises(EventServiceError, match="the process from which this one was forked"):
                await use_

    async def main() -> None:
        async with both(service, "A") as (publisher, events):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    asyncio.new_event_loop().run_until_complete(use_both(publisher, events))
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitpid(child, 0)[1] == 0
            await publisher.publish("A", 1)
            assert (await events.get(10)).msg == 1
            assert events.statistics().reconnects == publisher.statistics().reconnects == 0

    run(main(), loop)


@each_loop
def test_a_program_that_cancels_all_tasks_does_not_wait_for_ever(loop: str) -> None:
    """As programs do at their end. What the connection brings until it ends can still be taken."""

    async def main() -> None:
        with running() as es:
            ours = asyncio.all_tasks()
            events = await aio.EventStream("A", es_uri=es.uri).connect()
            async with aio.Publisher(es_uri=es.uri) as publisher:
                for task in asyncio.all_tasks() - ours:
                    task.cancel()
                await asyncio.sleep(0)
                await publisher.publish("A", 1)
                assert (await events.get(10)).msg == 1
            waiting = asyncio.ensure_future(events.get())
            looping = asyncio.ensure_future(events.__anext__())
            await asyncio.sleep(0)
        for wait in (waiting, looping, events.get(), events.__anext__(), events.subscribe("B")):
            with pytest.raises(EventServiceError, match="ended by this program, perhaps with all tasks"):
                await asyncio.wait_for(wait, 10)
        await events.close()

    run(main(), loop)


@each_loop
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the loop, which has closed nothing
def test_it_is_closed_after_its_loop(loop: str) -> None:
    with running() as es:

        async def connect() -> aio.EventStream:
            return await aio.EventStream("A", es_uri=es.uri).connect()

        events = run(connect(), loop)
        run(events.close(), loop)
        run(events.close(), loop)
        assert repr(events).endswith("closed>")
        del events
        gc.collect()  # what the loop has left
        eventually(lambda: not statistics(es.uri)["subscribers"])
