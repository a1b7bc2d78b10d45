"""The log of pyro_events: one thread calls the program's logging handlers, and gets its lines from a queue.

Knows: the standard library's logging, and one queue for the whole program. Must not know: which modules log.

A program's logging handler may raise, block for ever, or publish. If the service's loop or a subscriber's
threads called it, they would do so too. So logging only puts a line into a bounded queue, which neither
raises nor waits. A full queue drops lines, and a later line says how many. Text that strangers may have
written (names, subjects, the texts of errors) is escaped and cut (line.py). With `about=`, lines of one kind
about the same thing are logged at most once a second (limits.py).

The thread ends when there is nothing to log, or after `flush`, and a new one starts with the next line. A
forked child starts with an empty queue: the parent logs what is in its own queue.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Hashable
from typing import Final

from .limits import LineLimiter
from .line import Line

# Lines that may wait. A program that logs more than its handlers can take is not read by anybody anyway.
MOST_WAITING: Final = 1000
INTERVAL: Final = 1.0
# How many kinds of lines, about different things, are told apart at a time.
MOST_KINDS: Final = 1000
IDLE: Final = 0.1
# Seconds that the end of the program waits for the handlers.
EXIT_TIMEOUT: Final = 1.0


class BackgroundLog:
    """The queue and its thread. The program has one, `background`; tests make their own.

    Args:
        interval: seconds between two lines of one kind about the same thing.
        idle: the thread ends after so many seconds without a line.
    """

    def __init__(self, interval: float = INTERVAL, idle: float = IDLE) -> None:
        self._interval = interval
        self._idle = idle
        self._reset()

    def _reset(self) -> None:
        # Implemented in C: a signal handler or a finalizer may put a line while the same thread does.
        self._queue: queue.SimpleQueue[Line | threading.Event] = queue.SimpleQueue()
        self._limiter: LineLimiter[Line] = LineLimiter(self._interval, MOST_KINDS)
        # Reentrant for the same reason. While it is held, nothing is called that belongs to others, and
        # nothing waits.
        self._limiting = threading.RLock()
        self._starting = threading.Lock()
        self._running = False
        self._thread_id: int | None = None
        self._dropped = self._dropped_told = 0
        self._complained = False

    def put(self, line: Line, about: Hashable = None) -> None:
        """Log a line later; never raises or waits. about: at most one line a second is logged about it."""
        if about is not None:
            with self._limiting:
                if not self._limiter.allows((line.text, about), line, time.monotonic()):
                    return
        if self._queue.qsize() >= MOST_WAITING:
            with self._limiting:
                self._dropped += 1
            return
        self._queue.put(line)
        self._start()

    def _start(self) -> None:
        """Make sure that the thread runs. Never waits: a thread that holds the lock is about to do the
        same."""
        if self._running or not self._starting.acquire(blocking=False):
            return
        try:
            if not self._running:
                thread = threading.Thread(target=self._run, name="pyro_events-log", daemon=True)
                self._running = True
                try:
                    thread.start()
                except RuntimeError:  # no more threads, or the program ends; `flush` logs the rest
                    self._running = False
        finally:
            self._starting.release()

    def _run(self) -> None:
        self._thread_id = threading.get_ident()
        while True:
            try:
                item = self._queue.get(timeout=self._pause())
            except queue.Empty:
                self._log_due()
                if self._may_end():
                    return
            else:
                self._take(item)
                self._log_due()
                if isinstance(item, threading.Event) and self._may_end():
                    return  # after `flush` there is seldom more to come

    def _pause(self) -> float:
        """Seconds to wait for the next line."""
        with self._limiting:
            due = self._limiter.next_due()
        return self._idle if due is None else max(0.0, due - time.monotonic())

    def _may_end(self) -> bool:
        """Whether the thread may end. A line that is put from now on starts another."""
        with self._limiting:
            if self._limiter.next_due() is not None:
                return False
        self._thread_id = None
        self._running = False
        if self._queue.empty() or not self._starting.acquire(blocking=False):
            return True
        try:
            if self._running:
                return True
            self._running = True
            self._thread_id = threading.get_ident()
            return False
        finally:
            self._starting.release()

    def _take(self, item: Line | threading.Event) -> None:
        if isinstance(item, threading.Event):
            item.set()
        else:
            self._log(item)

    def _log_due(self) -> None:
        """Log the lines that were held back until now, and the number of dropped lines."""
        with self._limiting:
            lines = self._limiter.due(time.monotonic())
        for line, count in lines:
            line.stands_for = count
            self._log(line)
        dropped = self._dropped
        if dropped > self._dropped_told:
            text = "%d lines of this log were dropped because its handlers did not keep up"
            missing, self._dropped_told = dropped - self._dropped_told, dropped
            logger = logging.getLogger("pyro_events")
            self._log(Line(logger, logging.WARNING, text, (missing,), None, sys._getframe()))

    def _log(self, line: Line) -> None:
        """Call the handlers. An exception of theirs is shown once and affects nothing else."""
        try:
            line.logger.handle(line.record())
        except BaseException as error:  # SystemExit too: it must not end this thread
            if not self._complained:
                self._complained = True
                with contextlib.suppress(Exception):
                    print("pyro_events: a logging handler of this program raised:", file=sys.stderr)
                    traceback.print_exception(type(error), error, error.__traceback__)

    def flush(self, timeout: float = EXIT_TIMEOUT, rest: bool = False) -> bool:
        """Wait until every line that was put before has been logged; False if that takes longer than
        `timeout`.

        Args:
            timeout: seconds to wait.
            rest: also log lines that are held back, without waiting for their time.
        """
        if threading.get_ident() == self._thread_id:
            return False  # a handler must not wait for itself
        if rest:
            with self._limiting:
                lines = self._limiter.rest()
            for line, count in lines:
                line.stands_for = count
                self._queue.put(line)
        logged = threading.Event()
        self._queue.put(logged)
        self._start()
        while not self._running and not self._queue.empty():
            # No thread can be started, because the interpreter ends; then this thread does it.
            with contextlib.suppress(queue.Empty):
                self._take(self._queue.get_nowait())
        return logged.wait(timeout)


background: Final = BackgroundLog()
atexit.register(background.flush, rest=True)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=background._reset)


class BackgroundLogger:
    """A logger whose lines go through the background log. Its methods never raise or wait.

    Example:
        log = get_logger("pyro_events.engine")
        log.warning("%s is slow: %d events wait for it", subscriber, waiting, about=subscriber)
    """

    def __init__(self, name: str, target: BackgroundLog = background) -> None:
        self._logger = logging.getLogger(name)
        self._target = target

    def log(
        self,
        level: int,
        text: str,
        *arguments: object,
        about: Hashable = None,
        error: BaseException | None = None,
        depth: int = 1,
    ) -> None:
        """Log a line.

        Args:
            level: as in `logging`.
            text: with % places for the arguments, which are formatted later.
            arguments: numbers, or anything that is shown as text, escaped and cut.
            about: what the line is about; lines with the same text about the same thing are logged at
                most once a second. None: no limit.
            error: an exception whose traceback is shown.
            depth: callers between this method and the place that the line is said to come from.
        """
        try:
            enabled = self._logger.isEnabledFor(level)
        except Exception:  # a logger class of the program's own; the thread will get the same error
            enabled = True
        if enabled:
            line = Line(self._logger, level, text, arguments, error, sys._getframe(depth))
            self._target.put(line, about)

    def debug(self, text: str, *arguments: object, about: Hashable = None) -> None:
        """Log something that helps to find a fault in pyro_events itself."""
        self.log(logging.DEBUG, text, *arguments, about=about, depth=2)

    def info(self, text: str, *arguments: object, about: Hashable = None) -> None:
        """Log something normal."""
        self.log(logging.INFO, text, *arguments, about=about, depth=2)

    def warning(
        self, text: str, *arguments: object, about: Hashable = None, error: BaseException | None = None
    ) -> None:
        """Log something that needs attention."""
        self.log(logging.WARNING, text, *arguments, about=about, error=error, depth=2)

    def error(
        self, text: str, *arguments: object, about: Hashable = None, error: BaseException | None = None
    ) -> None:
        """Log a failure."""
        self.log(logging.ERROR, text, *arguments, about=about, error=error, depth=2)

    def exception(self, text: str, *arguments: object, about: Hashable = None) -> None:
        """Log a failure, with the traceback of the exception that is being handled."""
        self.log(logging.ERROR, text, *arguments, about=about, error=sys.exc_info()[1], depth=2)


def get_logger(name: str) -> BackgroundLogger:
    """The logger of a module. Its lines reach the program's handlers as those of `logging` do."""
    return BackgroundLogger(name)
