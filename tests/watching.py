"""Publishers of both kinds under one interface, for tests of who listens.

Knows: Publisher, aio.Publisher, and event loops in threads. Must not know: the tests.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

import pytest
from event_loops import LoopThread

from pyro_events import InterestStatistics, Publisher, aio
from pyro_events.broker.accounting import Loss
from pyro_events.server.interest.watcher_delivery import WatcherDelivery

T = TypeVar("T")


class Calls(list[tuple[str, int]]):
    """A function that notes how it was called: a subject, and the number of its listeners."""

    def __call__(self, subject: str, listeners: int) -> None:
        self.append((subject, listeners))

    def last(self, subject: str) -> int | None:
        """What it was told last of a subject, None if nothing."""
        return next((count for name, count in reversed(self) if name == subject), None)


class WatchersConnections:
    """The connections over which services of this program tell publishers who listens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._known: list[tuple[asyncio.AbstractEventLoop, WatcherDelivery]] = []
        take_over = WatcherDelivery.take_over

        def noting(delivery: WatcherDelivery, *arguments: Any) -> None:
            self._known.append((asyncio.get_running_loop(), delivery))
            take_over(delivery, *arguments)

        monkeypatch.setattr(WatcherDelivery, "take_over", noting)

    def end_last(self) -> None:
        """Have the service end the one that was made last."""
        loop, delivery = self._known[-1]
        loop.call_soon_threadsafe(delivery.close, Loss.GONE)


class ThreadedWatch:
    """An aio.InterestWatch, with the interface of InterestWatch."""

    def __init__(self, publisher: ThreadedPublisher, watch: aio.InterestWatch) -> None:
        self._publisher = publisher
        self._watch = watch

    def statistics(self) -> InterestStatistics:
        return self._watch.statistics()

    def close(self) -> None:
        self._publisher.run(self._watch.close())


class ThreadedPublisher:
    """An aio.Publisher on a loop in a thread of its own, with the interface of Publisher."""

    loop_of = "asyncio"

    def __init__(self, **options: Any) -> None:
        self._loop = LoopThread(self.loop_of)
        self._publisher = aio.Publisher(**options)
        try:
            self.run(self._publisher.connect())
        except BaseException:
            self.close()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    def publish(self, subjects: Any, message: Any) -> int:
        return self.run(self._publisher.publish(subjects, message))

    def listeners(self, subjects: Any, exact: bool = False) -> dict[str, int]:
        return self.run(self._publisher.listeners(subjects, exact))

    def on_interest(self, *subjects: str, call: Callable[[str, int], object]) -> ThreadedWatch:
        return ThreadedWatch(self, self.run(self._publisher.on_interest(*subjects, call=call)))

    def close(self) -> None:
        if not self._loop.runs:
            return
        self.run(self._publisher.close())
        self._loop.close()

    def __enter__(self) -> ThreadedPublisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class UvloopPublisher(ThreadedPublisher):
    """The same on uvloop."""

    loop_of = "uvloop"


MakePublisher = Callable[..., Any]
PUBLISHERS: dict[str, MakePublisher] = {"Publisher": Publisher, "asyncio": ThreadedPublisher}
if importlib.util.find_spec("uvloop"):
    PUBLISHERS["uvloop"] = UvloopPublisher
