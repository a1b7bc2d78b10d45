"""TLS on a blocking socket, which two threads may use at once.

Knows: how bytes are secured in memory. Must not know: settings, frames, or which peer is connected.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

# How many bytes go into one TLS record, and so are encrypted at a time.
_RECORD: Final = 16 * 1024


class TlsSocket(socket.socket):
    """A connected socket with TLS, which one thread may read while another one writes.

    Python's own SSL socket does not promise that. This one encrypts in memory, under a lock that is never
    held while anything waits. `recv` returns everything that can be decrypted, so that `poll` on the socket
    always shows whether there is more to read.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, *, server_hostname: str | None = None
    ) -> None:
        """Takes over `sock`. Call `handshake` next.

        server_hostname: for a client, the name that the certificate must have; None for a server. Raises
        ValueError for an invalid name.
        """
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname is None, server_hostname=server_hostname
        )
        # The first bytes that the other side has sent, for `failure_of`.
        self.first = b""
        self._state = threading.Lock()
        self._writing = threading.Lock()
        timeout = sock.gettimeout()
        super().__init__(fileno=sock.detach())
        self.settimeout(timeout)

    def handshake(self, deadline: float) -> None:
        """Do the handshake, until `deadline` on the monotonic clock.

        Raises OSError, of which ssl.SSLError and TimeoutError are subclasses. The socket's timeout has
        changed afterwards.
        """
        done = False
        while not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # tells the other side the reason
                    super().sendall(self._outgoing.read())
                raise
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the TLS handshake took too long")
            self.settimeout(left)
            super().sendall(self._outgoing.read())
            if not done:
                data = super().recv(_RECORD)
                self.first = self.first or data[:1]
                self._take(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """The bytes that have come, b"" at the end. size: how many are read from the network at a time.

        The timeout is for the whole call, and may have changed afterwards. Raises OSError.
        """
        timeout = self.gettimeout()
        deadline = None if timeout is None else time.monotonic() + timeout
        while (data := self._decrypted()) is None:
            if deadline is not None:
                self.settimeout(max(deadline - time.monotonic(), 0.001))
            self._take(super().recv(size))
        return data

    def _take(self, data: bytes) -> None:
        with self._state:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _decrypted(self) -> bytes | None:
        """All that can be decrypted now, b"" at the end, None if there is nothing yet."""
        parts: list[bytes] = []
        with self._state:
            try:
                while part := self._tls.read(_RECORD):
                    parts.append(part)
            except ssl.SSLWantReadError:
                return b"".join(parts) if parts else None
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                pass  # Pyro5 never ends TLS properly; the reader of frames notices one that was cut short
        return b"".join(parts)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it. Raises OSError."""
        rest = memoryview(data)
        with self._writing:
            while rest:
                with self._state:
                    written = self._tls.write(rest[:_RECORD])
                    secured = self._outgoing.read()
                rest = rest[written:]
                super().sendall(secured)

    def send(self, data: Any, flags: int = 0) -> int:
        """As `sendall`; a record is never sent in part."""
        self.sendall(data)
        return len(data)

    def sendmsg(self, buffers: Iterable[Any], *_: Any) -> int:
        """As `sendall`, for each of the buffers."""
        pieces = list(buffers)
        for piece in pieces:
            self.sendall(piece)
        return sum(map(len, pieces))

    def getpeercert(self) -> Any:
        """The other side's certificate, for a Pyro5 daemon's `validateHandshake`."""
        return self._tls.getpeercert()
