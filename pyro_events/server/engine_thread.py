"""EngineThread: an engine in its own thread, called from any other.

Knows: the thread, its loop, and how a call gets there and its result back. Must not know: what is called.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

from .. import service_threads
from ..options import ServiceOptions
from .engine import Engine
from .net.event_loop import new_event_loop
from .net.forking import abandon
from .objects import DeferredResult
from .service_methods import ServiceMethods


def _settle(result: concurrent.futures.Future[Any], value: Any) -> None:
    """A late result, or the exception instead of it."""
    if isinstance(value, Exception):
        result.set_exception(value)
    else:
        result.set_result(value)


class EngineThread:
    """An engine without a listening socket, and the service's methods on it.

    Raises EventServiceError for TLS settings that cannot be used.
    """

    def __init__(self, options: ServiceOptions) -> None:
        self._loop = new_event_loop()
        self._ready: concurrent.futures.Future[ServiceMethods] = concurrent.futures.Future()
        self._stopping: asyncio.Event
        self._descriptors: Callable[[], list[int]] = list
        self._thread = threading.Thread(
            target=self._run_loop, args=(options,), name="pyro_events-engine", daemon=True
        )
        self._thread.start()
        try:
            self.methods = self._ready.result()
        except BaseException:
            self._thread.join()
            self._loop.close()
            raise

    def _run_loop(self, options: ServiceOptions) -> None:
        service_threads.enter()
        try:
            self._loop.run_until_complete(self._run(options))
        finally:
            service_threads.leave()

    async def _run(self, options: ServiceOptions) -> None:
        self._stopping = asyncio.Event()
        try:
            engine = Engine(options)
        except BaseException as error:  # TLS settings that cannot be used
            self._ready.set_exception(error)
            return
        self._descriptors = engine.descriptors
        self._ready.set_result(ServiceMethods(engine))
        await self._stopping.wait()
        await engine.stop()

    def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call on the loop and wait for its result."""
        result: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def make() -> None:
            try:
                value = method(*arguments)
                self.methods.deliver()
            except Exception as error:
                result.set_exception(error)
                return
            if isinstance(value, DeferredResult):
                value.when_done(lambda late: _settle(result, late))
            else:
                result.set_result(value)

        self._loop.call_soon_threadsafe(make)
        return result.result()

    def forked(self) -> None:
        """In a forked child: let go of what the parent goes on with."""
        abandon(self._loop, self._descriptors())

    def stop(self) -> None:
        """Drain and end, and wait for that."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()
