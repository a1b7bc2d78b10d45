"""The methods by which a publisher on an event loop finds out who listens: their arguments, and where."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from event_loops import event_loop, run

from pyro_events import EventServiceError, EventServiceStarter, aio


def test_listeners_are_counted_by_subject_as_given(service: EventServiceStarter) -> None:
    async def main() -> None:
        uri = service.uri
        async with (
            aio.Publisher(es_uri=uri) as publisher,
            aio.EventStream("a", es_uri=uri),
            aio.EventStream(match=".*", es_uri=uri),
        ):
            assert await publisher.listeners("A") == {"A": 2}
            assert await publisher.listeners(["a", "B"], exact=True) == {"a": 1, "B": 0}
            assert await publisher.listeners([]) == {}

    run(main())


async def coroutine_function(subject: str, listeners: int) -> None: ...


@pytest.mark.parametrize(
    ("subjects", "call", "error"),
    [
        ([""], print, ValueError),
        (["$ES.SERVICE.STOPPING"], print, ValueError),
        ([], print, ValueError),
        ([5], print, TypeError),
        (["A"], None, TypeError),
        (["A"], coroutine_function, TypeError),
        (["A"], lambda subject: None, TypeError),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(
    service: EventServiceStarter, subjects: Any, call: Any, error: type[Exception]
) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            with pytest.raises(error):
                await publisher.on_interest(*subjects, call=call)
            if subjects and call is print:
                with pytest.raises(error):
                    await publisher.listeners(subjects)
                with pytest.raises(TypeError, match="exact must be True or False"):
                    await publisher.listeners("A", exact="yes")  # type: ignore[arg-type]

    run(main())


def test_it_has_to_be_connected_and_on_its_own_loop(service: EventServiceStarter) -> None:
    publisher = aio.Publisher(es_uri=service.uri)
    with pytest.raises(EventServiceError, match="not connected"):
        run(publisher.listeners("A"))
    with event_loop() as home:
        home.run_until_complete(publisher.connect())
        watch = home.run_until_complete(publisher.on_interest("A", call=print))
        with event_loop() as other:
            for use in (publisher.listeners("A"), publisher.on_interest("A", call=print), watch.close()):
                with pytest.raises(EventServiceError, match="another one runs here"):
                    other.run_until_complete(use)
        home.run_until_complete(publisher.close())
        with pytest.raises(EventServiceError, match="closed"):
            home.run_until_complete(publisher.listeners("A"))


def test_many_tasks_may_ask_at_once(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            asked = await asyncio.gather(*[publisher.listeners(f"S{number}") for number in range(50)])
            assert asked == [{f"S{number}": 0} for number in range(50)]
            watches = await asyncio.gather(*[publisher.on_interest("A", call=print) for _ in range(20)])
            await asyncio.gather(*[watch.close() for watch in watches])

    run(main())
