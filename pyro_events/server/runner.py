"""Runner: something that runs on its own event loop, in this thread or in another.

Knows: the loop's life, and how others wait for its start and ask for its end. Must not know: what runs on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar, cast

from .. import service_threads
from ..errors import EventServiceError
from ..log.background import get_logger
from .net.event_loop import new_event_loop
from .net.forking import abandon, tell_in_child
from .net.interrupts import Interrupts

log = get_logger("pyro_events.service")

T = TypeVar("T")
Self = TypeVar("Self", bound="Runner")


class Runner:
    """Base of what can be started and shut down; it starts once.

    Either call `start()`, which blocks, in a thread of yours, or use it as a context manager, which
    runs it in a thread of its own.
    """

    def __init__(self) -> None:
        self._uri: str | None = None
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        # Reentrant, because a signal handler may call `shutdown` in the thread that holds it.
        self._lock = threading.RLock()
        self._shut = False
        self._in_main_thread = False
        # The sockets of what runs, to be closed in a forked child.
        self._descriptors: Callable[[], list[int]] = list
        self._thread: threading.Thread | None = None

    @property
    def uri(self) -> str:
        """The URI of what runs, for clients. Raises EventServiceError before the start, and after the end."""
        if self._uri is None:
            raise EventServiceError("not running: call start() first")
        return self._uri

    def __repr__(self) -> str:
        if self._ended.is_set():
            state = "ended"
        elif self._uri is not None:
            state = f"running at {self._uri}"
        else:
            state = "not started" if self._loop is None else "starting"
        return f"<{type(self).__name__}, {state}>"

    @property
    def on_hangup(self) -> Callable[[], None] | None:
        """What a start script has SIGHUP do, in place of ending it; None for nothing else."""
        return None

    async def _run(self, announce: Callable[[], None]) -> None:
        """Come up, call `_is_ready`, stay until `_stopping` is set, and go down."""
        raise NotImplementedError

    def start(self, *, announce: Callable[[], None] = lambda: None) -> None:
        """Run until `shutdown`; blocks.

        Args:
            announce: is called on the loop when all is ready. By default nothing is.

        Raises:
            OSError: the host or port cannot be used.
            EventServiceError: this starter has been started before.
        """
        with self._lock:
            self._check_new()
            self._loop = loop = new_event_loop()
            self._stopping = asyncio.Event()
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        tell_in_child(self)
        service_threads.enter()
        interrupts = Interrupts(lambda: loop.call_soon_threadsafe(self._stop))
        try:
            main = loop.create_task(self._run(announce))
            with interrupts:
                loop.run_until_complete(main)
        except BaseException as error:
            self._error = error
            # Interrupted by a handler of the program's: end in order, unless it is interrupted once more.
            if not main.done() and interrupts.count < 2:
                self._stop()
                loop.run_until_complete(main)
            raise
        finally:
            service_threads.leave()
            self._uri = None
            self._started.set()
            with self._lock:
                self._shut = True
                loop.close()
            self._ended.set()

    def _check_new(self) -> None:
        if self._loop is not None:
            raise EventServiceError("this starter has been started before; make a new one")

    def _is_ready(self, announce: Callable[[], None]) -> None:
        """Tell waiting threads that it has started."""
        assert self._stopping is not None
        self._started.set()
        announce()
        if self._shut:
            self._stopping.set()

    def waitUntilStarted(self, timeout: float | None = None) -> bool:
        """Wait until it is ready.

        Args:
            timeout: seconds to wait at most. Default None: as long as it takes.

        Returns:
            Whether it is ready.

        Raises:
            Exception: the error that kept it from starting; see `start`.
        """
        self._started.wait(timeout)
        if self._error is not None:
            raise self._error
        return self._started.is_set()

    def shutdown(self) -> None:
        """Have it deliver what waits, and end; returns at once, from any thread and more than once.

        As a context manager, leaving the block waits for the end.
        """
        with self._lock:
            self._shut, was_shut = True, self._shut
            if self._loop is not None and not was_shut:
                self._loop.call_soon_threadsafe(self._stop)

    def forked(self) -> None:
        """In a forked child: it goes on in the parent. Here it has ended."""
        self._lock = threading.RLock()
        self._started, self._ended = threading.Event(), threading.Event()
        self._started.set()
        self._ended.set()
        self._uri, self._shut = None, True
        if self._loop is not None and not self._loop.is_closed():
            if self._in_main_thread:  # otherwise a signal for this child would wake the parent's loop
                signal.set_wakeup_fd(-1)
            abandon(self._loop, self._descriptors())

    def _stop(self) -> None:
        assert self._stopping is not None
        self._stopping.set()

    def __enter__(self: Self) -> Self:
        self._start_in_thread()
        return self

    def _start_in_thread(self) -> None:
        """Start in a separate thread, and return when it is ready. Raises what `start` raises."""
        self._check_new()
        self._thread = threading.Thread(target=self._start_quietly, name="pyro_events-service", daemon=True)
        self._thread.start()
        try:
            self.waitUntilStarted()
        except BaseException:
            self.shutdown()
            self._thread.join()
            raise

    def _start_quietly(self) -> None:
        """Start in a separate thread; `__enter__` raises the error."""
        try:
            self.start()
        except Exception as error:
            if self._started.is_set():
                log.debug("it ended: %s", error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        if self._thread is not None:
            self._thread.join()

    @staticmethod
    async def _blocking(work: Callable[[], T]) -> T:
        """Do blocking work in another thread than the loop's."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(cast(T, result))

        def body() -> None:
            result: T | None = None
            failure: BaseException | None = None
            try:
                result = work()
            except BaseException as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits any more
                loop.call_soon_threadsafe(settle, result, failure)

        # Not a pool: work that hangs must not keep the loop or the program from ending.
        threading.Thread(target=body, name="pyro_events-blocking", daemon=True).start()
        return await done
