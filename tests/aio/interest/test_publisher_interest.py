"""What a publisher on an event loop wants to know of its listeners: its connections, its task, their end."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from asyncio_service import asyncio_service
from contract import statistics
from event_loops import each_loop, run, true
from forking import child

from pyro_events import EventServiceError, EventServiceStarter, ServiceUnreachableError, aio
from pyro_events.aio.interest import publisher_interest
from pyro_events.aio.interest.publisher_interest import PublisherInterest
from pyro_events.client.interest.functions import InterestFunction
from pyro_events.wire.handshake.capabilities import INTEREST, OWN_CONNECTION


class Calls(list[tuple[str, int]]):
    """How a function was called."""

    def __call__(self, subject: str, listeners: int) -> None:
        self.append((subject, listeners))


@each_loop
def test_one_connection_serves_all_functions(loop: str, service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri, name="camera") as publisher:
            interest = PublisherInterest(publisher._sender)
            assert not interest.connected
            assert statistics(service.uri)["connections"] == 2  # and the one that asks
            calls = Calls(), Calls()
            for each in calls:
                await interest.watch(InterestFunction(each, ["A"]), publisher)
            assert interest.connected
            async with aio.EventStream("A", es_uri=service.uri):
                await true(lambda: all(each == [("A", 1)] for each in calls))
                assert await interest.listeners(["A"], True) == {"A": 1}
            await true(lambda: all(each == [("A", 1), ("A", 0)] for each in calls))
        assert not interest.connected
        with pytest.raises(EventServiceError, match="closed"):
            await interest.listeners(["A"], False)
        with pytest.raises(EventServiceError, match="closed"):
            await interest.watch(InterestFunction(print, ["A"]), publisher)

    run(main(), loop)


def test_more_names_than_fit_into_one_call_are_asked_for_in_several(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            names = [f"{number:03}" + "x" * 250 for number in range(1000)]
            interest = PublisherInterest(publisher._sender)
            assert await interest.listeners(names, True) == dict.fromkeys(names, 0)

    run(main())


def test_a_watch_that_fails_or_is_cancelled_changes_nothing(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            interest, calls = PublisherInterest(publisher._sender), Calls()
            for _ in range(2):  # when it connects first, and when it has
                many = InterestFunction(calls, [f"S{number}" for number in range(10_001)])
                with pytest.raises(ValueError, match="at most 10000 subjects"):
                    await interest.watch(many, publisher)
                cancelled = InterestFunction(calls, ["C"])
                watching = asyncio.ensure_future(interest.watch(cancelled, publisher))
                await asyncio.sleep(0)
                watching.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await watching
                assert many.ended and cancelled.ended
                await interest.watch(InterestFunction(calls, ["A"]), publisher)
            async with aio.EventStream(match=["S5", "C", "A"], es_uri=service.uri):
                await true(lambda: calls == [("A", 1), ("A", 1)])

    run(main())


def test_a_service_that_cannot_tell_is_an_error_and_nothing_stays_connected() -> None:
    async def main() -> None:
        async with (
            asyncio_service(capabilities=[OWN_CONNECTION]) as older,
            aio.Publisher(es_uri=older.uri) as publisher,
        ):
            interest = PublisherInterest(publisher._sender)
            with pytest.raises(ServiceUnreachableError, match="does not tell publishers who listens"):
                await interest.watch(InterestFunction(print, ["A"]), publisher)
            assert not interest.connected

    run(main())


def test_a_publisher_that_is_closed_in_the_middle_of_the_first_watch_stays_closed(
    service: EventServiceStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        publisher = await aio.Publisher(es_uri=service.uri).connect()
        interest = PublisherInterest(publisher._sender)
        connect = publisher_interest.StreamReceiver.connect

        async def closing(self: Any, wanted: Any) -> None:
            await connect(self, wanted)
            await publisher.close()

        monkeypatch.setattr(publisher_interest.StreamReceiver, "connect", closing)
        with pytest.raises(EventServiceError, match="closed"):
            await interest.watch(InterestFunction(print, ["A"]), publisher)
        await true(lambda: statistics(service.uri)["connections"] == 1)

    run(main())


def test_a_function_may_have_its_publisher_watch_publish_and_close(service: EventServiceStarter) -> None:
    async def main() -> None:
        publisher = await aio.Publisher(es_uri=service.uri).connect()
        interest, more, tasks = PublisherInterest(publisher._sender), Calls(), list[Any]()

        async def finish(listeners: int) -> None:
            await interest.watch(InterestFunction(more, ["B"]), publisher)
            await publisher.publish("A", listeners)
            await publisher.close()

        def closing(subject: str, listeners: int) -> None:
            tasks.append(asyncio.ensure_future(finish(listeners)))

        async with aio.EventStream("A", es_uri=service.uri) as stream:
            await interest.watch(InterestFunction(closing, ["A"]), publisher)
            assert (await stream.get(10)).msg == 1
            await asyncio.gather(*tasks)
        assert more == []

    run(main())


def test_after_the_end_of_a_watch_it_is_not_called_and_the_service_knows(
    service: EventServiceStarter,
) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            interest, calls, others = PublisherInterest(publisher._sender), Calls(), Calls()
            one, other = InterestFunction(calls, ["A", "B"]), InterestFunction(others, ["b"])
            await interest.watch(one, publisher)
            took = statistics(service.uri)["subscription_bytes"]
            await interest.watch(other, publisher)
            await interest.unwatch(one)
            await interest.unwatch(one)
            assert 0 < statistics(service.uri)["subscription_bytes"] < took
            async with aio.EventStream(["A", "B"], es_uri=service.uri):
                await true(lambda: others == [("b", 1)])
            assert calls == []
        await interest.unwatch(other)

    run(main())


def test_the_end_of_a_watch_waits_for_no_frozen_service() -> None:
    async def main() -> None:
        async with asyncio_service(capabilities=[OWN_CONNECTION, INTEREST]) as frozen:
            publisher = await aio.Publisher(es_uri=frozen.uri).connect()
            interest = PublisherInterest(publisher._sender)
            first, second = InterestFunction(print, ["A"]), InterestFunction(print, ["B"])

            async def answer() -> Any:
                await frozen.next()  # the publisher's own
                calls, own = await frozen.next(), await frozen.next()
                seq, method, _ = await own.any_call()
                assert method == "attach"
                own.answer(seq, {"key": "0" * 32, "id": "1", "subscriptions": 0})
                seq, method, _ = await calls.any_call()
                assert method == "subscribe"
                calls.answer(seq, 1)
                return calls

            _, calls = await asyncio.gather(interest.watch(first, publisher), answer())
            await interest.unwatch(first)  # which it does not answer
            watching = asyncio.ensure_future(interest.watch(second, publisher))
            await asyncio.sleep(0)
            third = InterestFunction(print, ["C"])
            await interest.unwatch(third)  # while the turn is another's
            assert first.ended and third.ended
            await publisher.close()
            with pytest.raises(EventServiceError):
                await watching

    run(main())


def test_what_is_not_wanted_any_more_needs_no_service(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            interest, function = PublisherInterest(publisher._sender), InterestFunction(print, ["A"])
            await interest.watch(function, publisher)
            await asyncio.to_thread(service.shutdown)
            await interest.unwatch(function)
            assert function.ended

    run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_in_a_forked_child_nothing_is_watched_and_the_parents_goes_on(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            interest, calls = PublisherInterest(publisher._sender), Calls()
            function = InterestFunction(calls, ["A"])
            await interest.watch(function, publisher)

            def work() -> None:
                assert function.ended and not interest.connected

            with child(work):
                pass
            async with aio.EventStream("A", es_uri=service.uri):
                await true(lambda: calls == [("A", 1)])

    run(main())
