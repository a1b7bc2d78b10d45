"""The descriptor that is readable while an event can be taken: for select, and for the loops of windows.

Knows: how a descriptor becomes readable, and stops being so. Must not know: events, or who waits.

The socket of a stream cannot be used for that: it is readable when a ping comes, is not when events that have
come wait to be taken, and is another one after a reconnection.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Final

from ...foreign_exceptions import is_foreign

# More bytes than ever lie in it.
_ALL: Final = 64


class ReadySignal:
    """A pair of sockets; a byte lies in it while the signal is set."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._set: bool | None = False
        self._lock = threading.RLock()

    def fileno(self) -> int:
        """The descriptor to wait for; -1 when closed."""
        return self._near.fileno()

    def update(self, ready: Callable[[], bool]) -> None:
        """Set or clear the signal. ready: says which; asked while no other thread changes the signal."""
        with self._lock:
            # Once more afterwards, because a signal's handler may have taken the event meanwhile.
            while (wanted := ready()) != self._set:
                # Not known, if an exception of the program's own ends this in the middle.
                self._set = None
                try:
                    if wanted:
                        self._far.send(b"!")
                    else:
                        self._near.recv(_ALL)
                except OSError as error:  # it is closed, or nothing lies in it
                    if is_foreign(error, OSError):
                        raise
                self._set = wanted

    def close(self) -> None:
        """Release both sockets."""
        self._near.close()
        self._far.close()

    def forked(self) -> None:
        """In a forked child: the pair is the parent's; reading it here would clear it there."""
        self._lock = threading.RLock()
        self.close()
