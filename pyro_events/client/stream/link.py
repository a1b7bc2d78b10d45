"""One own connection of a stream: its socket, its inbox, and the lock of the thread that reads.

Knows: how bytes get from the socket into the inbox, and acknowledgements back. Must not know: which thread
reads, what follows from the end of the connection, or the service's address.

Any thread may take events out of the inbox; the one that holds `lock` reads the socket and writes to it. A
batch whose events were all taken is acknowledged by the thread that asks for the next event, or by `settle`.
If another thread holds the lock then, that one does it, because it calls `settle` afterwards.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Final

import Pyro5.errors

from ...errors import EventServiceError
from ...foreign_exceptions import is_foreign
from ...transport.tls_socket import TlsSocket
from ..interruptions import owned, within
from .inbox import EventInbox

# How many bytes are received at once, as on the other connections.
RECEIVE_SIZE: Final = 64 * 1024
# How long the service may take to receive an acknowledgement. It reads them at once, and hardly any are under
# way.
_SENDING: Final = 5.0
# How often a look receives: a service that never stops sending must not keep the thread that looks.
_AT_ONCE: Final = 64
# A record of TLS that has begun is waited for so long, in a call that must not wait.
_LITTLE: Final = 0.001


class StreamLink:
    """The connection.

    dead: whether it cannot be used any more. reason: why.
    """

    def __init__(self, sock: socket.socket, inbox: EventInbox) -> None:
        """sock: connected, and the roles on it are swapped; it belongs to this object from now on."""
        self.inbox = inbox
        self.dead = False
        self.reason = ""
        self.lock = threading.RLock()
        self._sock = sock
        self._plain = not isinstance(sock, TlsSocket)
        self._poller = select.poll() if hasattr(select, "poll") else None
        if self._poller is not None:
            self._poller.register(sock, select.POLLIN)
        sock.settimeout(_SENDING)

    def start(self) -> None:
        """Read what has come with the answer to `attach`; before any other thread knows this connection."""
        try:
            self._send(self.inbox.feed(b""))
        except Pyro5.errors.ProtocolError as error:
            self.fail(str(error))

    def fetch(self, deadline: float | None) -> bool:
        """Wait until an event can be taken, or the connection has ended. False if the deadline comes first.

        deadline: on the monotonic clock; None for none. Raises EventServiceError in the middle of itself.
        """
        if owned(self.lock):
            raise EventServiceError(
                "this thread is waiting for an event of this stream already: something that runs in the "
                "middle of that (a signal handler, a __del__) must not wait for another one"
            )
        found: list[bool] = []
        patience = threading.TIMEOUT_MAX if deadline is None else deadline - time.monotonic()
        within(self.lock, patience, lambda: found.append(self._fetch(deadline)))
        self.settle()
        return bool(found) and found[0]

    def _fetch(self, deadline: float | None) -> bool:
        inbox = self.inbox
        while not self.dead:
            if inbox.finished:
                self._acknowledge()
            if inbox.rows:
                return True
            left = None if deadline is None else deadline - time.monotonic()
            if not self._receive(left) and deadline is not None and time.monotonic() >= deadline:
                return False
        return True

    def look(self) -> bool:
        """Receive what has come, without waiting. False if another thread is reading."""
        looked = not owned(self.lock) and within(self.lock, 0.0, self._look)
        self.settle()
        return looked

    def _look(self) -> None:
        for _ in range(_AT_ONCE):
            if self.dead or not self._receive(0.0):
                return

    def settle(self) -> None:
        """Acknowledge the batch whose events were all taken, unless the thread with the lock does."""
        while self.inbox.finished and not self.dead and not owned(self.lock):
            if not within(self.lock, 0.0, self._acknowledge):
                return

    def _acknowledge(self) -> None:
        try:
            self._send(self.inbox.acknowledge())
        except BaseException:
            # The inbox may have gone on to the next batch: the service would wait for ever.
            self.fail("acknowledging was interrupted")
            raise

    def _send(self, data: bytes) -> None:
        if not data or self.dead:
            return
        try:
            if not self._plain:
                self._sock.settimeout(_SENDING)  # receiving has changed it
            self._sock.sendall(data)
        except OSError as error:
            self.fail(f"sending failed: {error}")
            if is_foreign(error, OSError):
                raise
        except BaseException:
            self.fail("sending was interrupted")
            raise

    def _receive(self, patience: float | None) -> bool:
        """Receive once, bytes or the end. False if nothing comes within `patience` seconds, or with TLS
        nothing whole.

        An exception of the program's own is passed on; if bytes may be missing then, the connection has
        ended.
        """
        if not self._readable(patience):
            return False
        try:
            if not self._plain:
                self._sock.settimeout(_LITTLE if patience is None else max(_LITTLE, min(patience, _SENDING)))
            self._take_in()
        except (OSError, Pyro5.errors.ProtocolError) as error:
            if isinstance(error, TimeoutError) and not self._plain and not is_foreign(error, TimeoutError):
                return False  # a part of a record of TLS has come
            self.fail(str(error))
            if is_foreign(error, OSError, Pyro5.errors.ProtocolError):
                raise
        except BaseException:
            self.fail("receiving was interrupted")
            raise
        return True

    def _take_in(self) -> None:
        inbox, space = self.inbox, self.inbox.space() if self._plain else None
        if space is not None:
            count = self._sock.recv_into(space)
            inbox.filled(count)
            ended, data = not count, b""
        else:
            data = self._sock.recv(RECEIVE_SIZE)
            ended = not data
        if ended:
            self.fail("the service closed the connection")
        else:
            self._send(inbox.feed(data))

    def _readable(self, patience: float | None) -> bool:
        if self._poller is not None:
            return bool(self._poller.poll(None if patience is None else max(0.0, patience) * 1000))
        return bool(select.select([self._sock], [], [], None if patience is None else max(0.0, patience))[0])

    def fileno(self) -> int:
        """The descriptor of the socket; -1 when it is closed."""
        return self._sock.fileno()

    def fail(self, reason: str) -> None:
        """It cannot be used any more; a thread that waits for it wakes."""
        self.reason = self.reason or reason
        self.dead = True
        self._shut_down(socket.SHUT_RDWR)

    def stop_reading(self) -> None:
        """A thread that waits for it wakes, and finds the end. If none waits, the service does not notice."""
        self.reason = self.reason or "the stream is closed"
        self.dead = True
        # Over a Unix socket, the service's next write would fail, before it is told that nothing is wanted.
        if owned(self.lock) or not within(self.lock, 0.0, _nothing):
            self._shut_down(socket.SHUT_RD)

    def _shut_down(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError as error:  # it has ended already
            if is_foreign(error, OSError):
                raise

    def close(self, patience: float) -> None:
        """Release the socket, when no thread reads it any more; after `patience` seconds in any case."""
        self.fail("it was closed")
        if not within(self.lock, patience, self._sock.close):
            self._sock.close()

    def forked(self) -> None:
        """In a forked child: release the parent's socket without a word."""
        self.dead = True
        self.lock = threading.RLock()
        self._sock.close()


def _nothing() -> None:
    """What is done with a lock that only has to be free."""
