"""The descriptor that is readable while an event can be taken: for select, and for the loops of windows.

Knows: how a descriptor becomes readable, and stops being so. Must not know: events, or who waits.

The socket of a stream cannot be used for that: it is readable when a ping comes, is not when events that have
come wait to be taken, and is another one after a reconnection.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class ReadySignal:
    """A pair of sockets; a byte lies in it while the signal is set."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._set = False
        self._lock = threading.RLock()

    def fileno(self) -> int:
        """The descriptor to wait for; -1 when closed."""
        return self._near.fileno()

    def update(self, ready: Callable[[], bool]) -> None:
        """Set or clear the signal. ready: says which; asked while no other thread changes the signal."""
        with self._lock:
            wanted = ready()
            if wanted == self._set:
                return
            self._set = wanted
            with contextlib.suppress(OSError):  # it is closed
                if wanted:
                    self._far.send(b"!")
                else:
                    self._near.recv(1)

    def close(self) -> None:
        """Release both sockets."""
        self._near.close()
        self._far.close()

    def forked(self) -> None:
        """In a forked child: the pair is the parent's; reading it here would clear it there."""
        self._lock = threading.RLock()
        self.close()
