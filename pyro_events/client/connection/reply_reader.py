"""Receives replies: one thread at a time reads from the connection, for itself and for the other threads.

Knows: which thread may receive, and that a reply may come before the one that is waited for. Must not know:
what was called, how a connection is made, or which thread sends.

An exception that ends receiving in the middle leaves a connection that is `dead`, because a reply may be half
read. Code that runs in the middle of the reading thread (interruptions.py) finds `reading` set.
"""

from __future__ import annotations

import threading
import time

from ..interruptions import owned, within
from .connection import Connection, PendingReply


class ReplyReader:
    """lock: held by the thread that reads; a thread that also needs the sending lock takes this one first.
    reading: whether a thread is at work while it holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.reading = False

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of reading."""
        return owned(self.lock)

    def settle(self, reply: PendingReply, deadline: float | None) -> None:
        """Receive until a call has its reply, or will have none, or until the deadline (monotonic clock)."""
        if deadline is None:
            with self.lock:
                self.receive(reply, None)
        else:
            within(self.lock, deadline - time.monotonic(), lambda: self.receive(reply, deadline))

    def receive(self, reply: PendingReply, deadline: float | None) -> None:
        """The same; `lock` is held."""
        connection = reply.connection
        self.reading = True
        try:
            while reply.answer is None and reply.lost is None:
                if connection.dead:
                    reply.lost = connection.reason or "another call was interrupted"
                elif deadline is None or connection.readable(max(0.0, deadline - time.monotonic())):
                    connection.receive()
                else:
                    break
        except BaseException:
            # A reply may be half read; no other must be taken for it.
            connection.dead = True
            self.reading = False
            connection.fail("receiving was interrupted")
            raise
        self.reading = False

    def close(self, connection: Connection, seconds: float = 0.0) -> None:
        """Close a failed connection, unless another thread goes on reading from it for longer than the time
        limit.

        In that case, the thread closes it when it wakes.
        """
        within(self.lock, seconds, connection.close)
