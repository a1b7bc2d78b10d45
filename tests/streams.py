"""Streams of both kinds under one interface, so that the same tests try both.

Knows: EventStream, aio.EventStream, and event loops in threads. Must not know: the tests.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, TypeVar

from pyro_events import Event, EventServiceError, EventStream, aio

T = TypeVar("T")


class ThreadedStream:
    """An aio.EventStream on a loop in a thread of its own, with the interface of EventStream."""

    loop_of = "asyncio"

    def __init__(self, *subjects: Any, **options: Any) -> None:
        self._loop: asyncio.AbstractEventLoop = importlib.import_module(self.loop_of).new_event_loop()
        self.reported: list[dict[str, Any]] = []
        self._loop.set_exception_handler(lambda loop, context: self.reported.append(context))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._stream: aio.EventStream | None = None
        try:
            self._stream = aio.EventStream(*subjects, **options)
            self._run(self._stream.connect())
        except BaseException:
            self.close()
            raise

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

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
        if not self._thread.is_alive():
            return
        if self._stream is not None:
            self._run(self._stream.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()
        assert self.reported == []

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
