"""What `on_interest` of a publisher on an event loop returns."""

from __future__ import annotations

from event_loops import run, true

from pyro_events import EventServiceStarter, InterestStatistics, aio


def test_it_says_what_its_function_was_told_until_its_end(service: EventServiceStarter) -> None:
    async def main() -> None:
        async with aio.Publisher(es_uri=service.uri) as publisher:
            async with await publisher.on_interest("A", "B", call=lambda *told: None) as watch:
                assert isinstance(watch, aio.InterestWatch)
                assert watch.statistics() == InterestStatistics(("A", "B"), {}, 0, 0, True)
                assert repr(watch) == "<aio.InterestWatch of A, B, open>"
                async with aio.EventStream("a", es_uri=service.uri):
                    await true(lambda: watch.statistics().told == {"A": 1})
            assert repr(watch) == "<aio.InterestWatch of A, B, closed>"
            assert not watch.statistics().connected
            await watch.close()

    run(main())
