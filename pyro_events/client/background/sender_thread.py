"""The thread that sends what a background publisher has queued.

Knows: when to send, when to try again, and when the thread ends. Must not know: which events are dropped
(queue.py), what is logged, how an event is written, or how a connection is made.

It sends up to four calls before the first is answered, each with as many events as there are. When nothing
waits any more it reads the answers, and looks into the queue again after each. So one event is sent at once,
and many are sent together.

The service refuses a call as a whole, also if only one event in it has a subject that the user may not
publish. If no later call was accepted, the other events are not lost: each entry is sent again by itself, in
order. Therefore one call at a time is sent until the first was accepted, and after one was refused.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from ...errors import EventServiceError, MessageTooLargeError
from ...wire.requests import packed_publish
from ..connection.connection import PendingReply
from ..forks import tell_in_child
from ..interruptions import WakeUp
from ..publishing.frames import WINDOW, count_events
from ..publishing.sender import Sender
from .accounts import Batch, Parts
from .options import BackgroundTimes
from .outcomes import Outcomes
from .shared_queue import SharedQueue


class SenderThread:
    """Sends until it is told to end.

    resting: whether the thread sleeps until it is woken. stopped: whether it was told to end now.
    """

    def __init__(self, sender: Sender, queue: SharedQueue, times: BackgroundTimes) -> None:
        self._sender = sender
        self._queue = queue
        self._times = times
        self.outcomes = Outcomes(queue, sender, sender.connection.name)
        self._end_by: float | None = None
        self.stopped = False
        self._reset()
        tell_in_child(self)

    def _reset(self) -> None:
        self._wake = WakeUp()
        self._thread: threading.Thread | None = None
        self._outstanding: deque[tuple[Batch, PendingReply]] = deque()
        self._pause = self._times.first_pause
        # How many calls may be unacknowledged.
        self._window = 1
        # Whether a call of several entries was ever refused; and those of which no later one was accepted.
        self._careful = False
        self._refused: list[tuple[Batch, Exception]] = []
        # Whether it has to look if the service is there.
        self._look = False
        self.resting = False

    def forked(self) -> None:
        """In a forked child: the parent sends what is queued."""
        self._queue.forked()
        self.outcomes.reset()
        self._reset()

    @property
    def current(self) -> bool:
        """Whether the calling thread is this one."""
        return self._thread is threading.current_thread()

    @property
    def started(self) -> bool:
        """Whether it was started."""
        return self._thread is not None

    def start(self) -> bool:
        """Make sure that it runs, and looks into the queue: an exception of the program's own may have ended
        `publish` before it did so. False if no thread can be started, as at the end of the interpreter."""
        if self.resting:
            self._wake.set()
        if self._thread is None:
            # Noted before it starts, so that a thread that interrupts itself does not start another one.
            self._thread = thread = threading.Thread(
                target=self._run, name="pyro_events-background", daemon=True
            )
            try:
                thread.start()
            except BaseException as error:
                if thread.ident is None:
                    self._thread = None
                if not isinstance(error, RuntimeError):
                    raise
        return self._thread is not None

    def wake(self, look: bool = False) -> None:
        """Something was queued. look: connect to the service if there is no connection."""
        if look:
            self._look = True
        self._wake.set()

    def finish(self, seconds: float) -> None:
        """Send what is queued, for so many seconds at most, and end. A call that was sent is waited for
        until it is answered, the connection breaks, or the publisher is closed."""
        self._end_by = time.monotonic() + seconds
        self._wake.set()

    def end(self) -> None:
        """End now. What waits is dropped; of what was sent and not acknowledged, the outcome is unknown."""
        self.stopped = True
        self._end_by = 0.0
        self._wake.set()
        self._sender.close()
        thread = self._thread
        if self._queue.entered:
            return  # when this thread goes on, the other one drops what waits
        if thread is not None and not self.current:
            thread.join(self._times.join)
        self.outcomes.ended()

    def _run(self) -> None:
        try:
            self._send_all()
        except BaseException as error:  # such as a MemoryError: nobody may go on queueing what nobody sends
            self.stopped = True
            self.outcomes.failed(error)
        self._sender.close()
        while self._outstanding:
            self._collect()
        self.outcomes.ended()

    def _send_all(self) -> None:
        self._reach()
        while self._end_by is None or time.monotonic() < self._end_by:
            if self.outcomes.away is not None and not self._reach():
                self._wake.wait(self._pause)
                self._pause = min(2 * self._pause, self._times.last_pause)
            elif len(self._outstanding) >= self._window:
                self._collect()
            elif (batch := self._queue.use(lambda queue: queue.take())) is not None:
                self._send(batch)
            elif self._outstanding:
                self._collect()
            elif self._end_by is not None:
                break
            else:
                self._rest()

    def _rest(self) -> None:
        """Sleep until something is queued."""
        self.outcomes.caught_up()
        self.resting = True
        # Looked at again, because a thread that has published since did not wake this one.
        if self._queue.empty and self._end_by is None and not self._look:
            self._wake.wait()
        self.resting = False
        if self._look:
            self._look = False
            self._reach()

    def _reach(self) -> bool:
        """Connect if there is no connection. Returns whether there is one."""
        try:
            self._sender.connection.connect(quick=True)
        except Exception as error:
            self._lose(error)
            return False
        self.outcomes.reached()
        self._pause = self._times.first_pause
        return True

    def _lose(self, error: Exception) -> None:
        """The service cannot be reached."""
        while self._outstanding:  # over a connection that has ended
            self._collect()
        if not self._sender.closed:
            self.outcomes.lost(error)

    def _send(self, batch: Batch) -> None:
        try:
            reply = self._sender.post(packed_publish(batch.entries))
        except MessageTooLargeError as error:
            self.outcomes.refused(batch, error)
        except EventServiceError as error:  # then nothing was sent
            self._queue.use(lambda queue: queue.take_back(batch))
            self._lose(error)
        except Exception as error:
            self.outcomes.unknown(batch, error)
        else:
            self._queue.use(lambda queue: queue.sent(batch))
            self._outstanding.append((batch, reply))

    def _collect(self) -> None:
        """Wait for the answer to the oldest call."""
        batch, reply = self._outstanding[0]
        try:
            queued = int(self._sender.connection.wait(reply))
        except Exception as error:
            if reply.answer is None:
                self._give_up()
                self.outcomes.unknown(batch, error)
            elif len(batch.entries) == 1:
                self.outcomes.refused(batch, error)
            else:
                self._window, self._careful = 1, True
                self._refused.append((batch, error))
        else:
            self._give_up()
            self.outcomes.acknowledged(batch, queued)
            if not self._careful:
                self._window = WINDOW
        self._outstanding.popleft()
        if not self._outstanding:
            for refused in self._refused:
                self._send_one_by_one(*refused)
            self._refused.clear()

    def _give_up(self) -> None:
        """Something was published, or may have been, that is later than what was refused."""
        for refused in self._refused:
            self.outcomes.refused(*refused)
        self._refused.clear()

    def _send_one_by_one(self, batch: Batch, refusal: Exception) -> None:
        """Send each entry of a batch that was refused again, and wait for each answer."""
        parts = Parts()
        for entry in batch.entries:
            try:
                reply = self._sender.post(packed_publish([entry]))
            except Exception as error:  # the service is away, and what is left stays refused
                if not self._sender.closed:
                    self.outcomes.lost(error)
                break
            try:
                queued = int(self._sender.connection.wait(reply))
            except Exception as error:
                refusal = error
                if reply.answer is None:
                    parts.unknown += count_events([entry])
            else:
                parts.published += count_events([entry])
                parts.queued += queued
        self.outcomes.divided(batch, parts, refusal)
