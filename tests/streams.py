"""Streams of both kinds under one interface, so that the same tests try both.

Knows: EventStream, aio.EventStream, and event loops in threads. Must not know: the tests.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, TypeVar

from event_loops import LoopThread

from pyro_events import Event, EventServiceError, EventStream, aio

T = TypeVar("T")


class ThreadedStream:
    """An aio.EventStream on a loop in a thread of its own, with the interface of EventStream."""

    loop_of = "asyncio"

    def __init__(self, *subjects: Any, **options: Any) -> None:
        self._loop = LoopThread(self.loop_of)
        self._stream: aio.EventStream | None = None
        try:
            self._stream = aio.EventStream(*subjects, **options)
            self._run(self._stream.connect())
        except BaseException:
            self.close()
            raise

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    @property
    def _inside(self) -> aio.EventStream:
        assert self._stream is not None
        return self._stream

    def get(self, timeout: float | None = None) -> Event:
        return self._run(self._inside.get(timeout))

    def __iter__(self) -> Iterator[Event]:
        while True:
            try:
                yield self.get()
            except EventServiceError:
                return

    def statistics(self) -> Any:
        return self._inside.statistics()

    def fileno(self) -> int:
        """It has none: its loop reads at once."""
        return -1

    def close(self) -> None:
        if not self._loop.runs:
            return
        if self._stream is not None:
            self._run(self._stream.close())
        self._loop.close()

    def __enter__(self) -> ThreadedStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class UvloopStream(ThreadedStream):
    """The same on uvloop."""

    loop_of = "uvloop"


MakeStream = Callable[..., Any]
KINDS: dict[str, MakeStream] = {"EventStream": EventStream, "asyncio": ThreadedStream}
if importlib.util.find_spec("uvloop"):
    KINDS["uvloop"] = UvloopStream
