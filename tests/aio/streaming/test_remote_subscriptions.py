"""What the service is told about a stream's subscriptions: in order, whole or not at all, and again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from event_loops import run

from pyro_events.aio.streaming.remote_subscriptions import RemoteSubscriptions
from pyro_events.client.subscribing.subscriptions import NAME, PATTERN
from pyro_events.constants import NOT_KNOWN
from pyro_events.errors import AccessDeniedError, EventServiceError, ServiceUnreachableError


class FakeCalls:
    """Notes the calls, and answers as the test likes."""

    def __init__(self) -> None:
        self.connection = type("Named", (), {"name": "a test"})()
        self.made: list[tuple[Any, ...]] = []
        self.answers: list[Any] = []
        self.go_on: asyncio.Event | None = None

    async def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        self.made.append((method, *arguments))
        await asyncio.sleep(0)
        if self.go_on is not None:
            await self.go_on.wait()
        answer = self.answers.pop(0) if self.answers else 1
        if isinstance(answer, Exception):
            raise answer
        return answer


def remote() -> tuple[RemoteSubscriptions, FakeCalls]:
    calls = FakeCalls()
    made = RemoteSubscriptions(calls)  # type: ignore[arg-type]
    made.subscriber = {"key": "k"}
    return made, calls


def methods(calls: FakeCalls) -> list[tuple[str, int]]:
    return [(call[0], len(call[1])) for call in calls.made]


def test_it_is_told_and_remembered() -> None:
    async def main() -> None:
        subscriptions, calls = remote()
        assert await subscriptions.subscribe([(NAME, ["A", "B"])], {"backlog": 5})
        assert calls.made == [("subscribe", ["A", "B"], {"key": "k"}, {"name": "a test", "backlog": 5})]
        await subscriptions.subscribe([(PATTERN, ["^C"])], {})
        assert subscriptions.texts() == ("A", "B", "^C")
        await subscriptions.unsubscribe(["a", "nothing", "x" * 300])
        assert calls.made[-1] == ("unsubscribe", ["a", "nothing"], {"key": "k"})
        assert subscriptions.texts() == ("B", "^C")
        calls.made.clear()
        await subscriptions.resubscribe()
        options = {"name": "a test", "backlog": 5}
        assert calls.made == [
            ("subscribe", ["B"], {"key": "k"}, options),
            ("subscribeMatch", ["^C"], {"key": "k"}, options),
        ]

    run(main())


def test_a_right_that_was_lost_does_not_keep_the_rest_from_being_subscribed_again() -> None:
    async def main() -> None:
        subscriptions, calls = remote()
        await subscriptions.subscribe([(NAME, ["A", "B"])], {})
        calls.made.clear()
        denied = AccessDeniedError("may not subscribe to 'A'")
        calls.answers = [denied]
        with pytest.raises(AccessDeniedError):
            await subscriptions.resubscribe()
        denied.of_call = True
        calls.answers = [denied]
        await subscriptions.resubscribe()
        options = [call[3].get("again") for call in calls.made]
        assert options == [None, None, True]

    run(main())


def test_a_service_that_does_not_know_the_stream() -> None:
    async def main() -> None:
        subscriptions, calls = remote()
        calls.answers = [NOT_KNOWN]
        assert not await subscriptions.subscribe([(NAME, ["A"])], {})
        assert subscriptions.texts() == ("A",), "it is told when it knows the stream"
        for state, count, known in (("active", 1, True), ("active", NOT_KNOWN, False), ("closed", 1, False)):
            calls.answers = [{"subscriptions": count, "state": state}]
            assert await subscriptions.is_known() is known

    run(main())


def test_a_part_that_fails_takes_the_others_back() -> None:
    async def main() -> None:
        subscriptions, calls = remote()
        await subscriptions.subscribe([(NAME, ["N.0"])], {})
        calls.made.clear()
        calls.answers = [1, ServiceUnreachableError("away"), ServiceUnreachableError("still away")]
        with pytest.raises(ServiceUnreachableError, match="^away$"):
            await subscriptions.subscribe([(NAME, [f"N.{number}" for number in range(1500)])], {})
        assert methods(calls) == [("subscribe", 1000), ("subscribe", 500), ("unsubscribe", 999)]
        assert subscriptions.texts() == ("N.0",)

    run(main())


def test_a_bad_pattern_among_many_is_found_before_any_is_sent() -> None:
    async def main() -> None:
        subscriptions, calls = remote()
        with pytest.raises(ValueError, match="pattern"):
            await subscriptions.subscribe([(PATTERN, [*[f"^{number}" for number in range(1500)], "["])], {})
        with pytest.raises(ValueError, match="pattern"):
            await subscriptions.subscribe([(PATTERN, ["x" * 300])], {})
        assert calls.made == []

    run(main())


def test_a_cancelled_change_is_made_to_its_end_and_the_next_one_follows() -> None:
    async def main() -> None:
        subscriptions, calls = remote()
        calls.go_on = asyncio.Event()
        first = asyncio.ensure_future(subscriptions.subscribe([(NAME, ["A"])], {}))
        second = asyncio.ensure_future(subscriptions.unsubscribe(["A"]))
        third = asyncio.ensure_future(subscriptions.subscribe([(NAME, ["B"])], {}))
        for _ in range(5):
            await asyncio.sleep(0)
        first.cancel()
        third.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        calls.go_on.set()
        await second
        await subscriptions.unsubscribe([])
        assert [call[0] for call in calls.made] == ["subscribe", "unsubscribe", "subscribe"]
        assert subscriptions.texts() == ("B",)

    run(main())


def test_the_end_of_the_stream_ends_changes() -> None:
    async def main() -> None:
        subscriptions, calls = remote()
        await subscriptions.subscribe([(NAME, ["A"])], {})
        calls.go_on = asyncio.Event()
        # The second one has not begun yet, of which Python must not warn.
        waiting = [asyncio.ensure_future(subscriptions.subscribe([(NAME, [each])], {})) for each in "BC"]
        for _ in range(5):
            await asyncio.sleep(0)
        subscriptions.close()
        for each in waiting:
            with pytest.raises(EventServiceError, match="this stream is closed"):
                await each
        calls.go_on = None
        calls.made.clear()
        calls.answers = [ServiceUnreachableError("away")]
        await subscriptions.unsubscribe_all()
        assert methods(calls) == [("unsubscribe", 1)] and subscriptions.texts() == ()

    run(main())


def test_a_change_that_fails_for_nobody_is_not_reported() -> None:
    async def main() -> None:
        subscriptions, calls = remote()
        calls.go_on = asyncio.Event()
        calls.answers = [ServiceUnreachableError("away")]
        task = asyncio.ensure_future(subscriptions.subscribe([(NAME, ["A"])], {}))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        calls.go_on.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert subscriptions.texts() == ()

    run(main())
