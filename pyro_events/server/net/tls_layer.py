"""TLS on the event loop: the layer between a TCP connection and the protocol that uses it.

Knows: how bytes are secured in memory. Must not know: frames, which peer is at the other end, or what it may
do.

The loops have TLS of their own. It is not used here for three reasons. A protocol is told of a connection
only after its handshake, so that until then it is not counted and has no time limit. The loops wait for the
other side's close_notify for up to 30 s. And asyncio's TLS keeps 256 KiB for each connection. Here all
connections receive into one buffer, and the memory that they hold otherwise is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import Any, Final, cast

from ...constants import KIB
from .tls_memory import COST, TlsMemory

# How many bytes go into one TLS record, and so are encrypted at a time.
_RECORD: Final = 16 * KIB


class TlsLayer(asyncio.Transport, asyncio.BufferedProtocol):
    """The TLS of one connection: the protocol of its TCP transport, and the transport of its protocol."""

    __slots__ = (
        "_closing",
        "_error",
        "_first",
        "_incoming",
        "_known",
        "_memory",
        "_outgoing",
        "_paused",
        "_protocol",
        "_raw",
        "_secured",
        "_silent",
        "_tls",
    )

    def __init__(
        self,
        protocol: asyncio.Protocol | asyncio.BufferedProtocol,
        context: ssl.SSLContext,
        memory: TlsMemory,
        name: str | None = None,
    ) -> None:
        """name: for a client, the name in the other side's certificate. Raises ValueError for an invalid
        name."""
        super().__init__()
        self._protocol = protocol
        self._memory = memory
        self._raw: asyncio.Transport
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, name is None, server_hostname=name)
        self._first = b""  # the first bytes that the other side has sent
        self._error: Exception | None = None  # why this side has ended the connection
        self._known = False  # the protocol has been told of the connection
        self._silent = False  # a failure of the handshake was reported, or this side ended it
        self._secured = self._paused = self._closing = False

    # What differs between the two sides

    def _begin(self) -> None:
        """The TCP connection has been made."""
        raise NotImplementedError

    def _ready(self) -> None:
        """The handshake is complete."""
        raise NotImplementedError

    def _refused(self, error: BaseException | None) -> None:
        """The handshake has failed, not because of this side. error: None if the connection was closed."""
        raise NotImplementedError

    # The protocol of the TCP transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do what asyncio.Transport does, but do not derive from it.
        self._raw = cast(asyncio.Transport, transport)
        self._memory.reserve(COST)
        self._begin()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._memory.received

    def buffer_updated(self, nbytes: int) -> None:
        data = self._memory.received[:nbytes]
        self._incoming.write(data)
        if not self._first:
            self._first = bytes(data[:1])
        if self._secured or self._shake():
            self._pump()

    def connection_lost(self, error: Exception | None) -> None:
        self._memory.reserve(-COST)
        self._closing = True
        if not self._secured:
            self._fail(error)
        if self._known:
            self._protocol.connection_lost(self._error or error)

    def pause_writing(self) -> None:
        if self._known:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._known:
            self._protocol.resume_writing()

    # TLS

    def _shake(self) -> bool:
        """Go on with the handshake. Returns whether it is complete."""
        if self._closing:
            return False
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()  # tells the other side the reason
            self._closing = True
            self._fail(error)
            self._raw.close()
            return False
        self._flush()
        self._secured = True
        self._ready()
        return True

    def _fail(self, error: BaseException | None) -> None:
        """The handshake fails; report it once."""
        if not self._silent:
            self._silent = True
            self._refused(error)

    def _pump(self) -> None:
        """Give the protocol what can be decrypted, as long as it reads."""
        protocol = self._protocol
        try:
            while not self._paused and not self._closing:
                if isinstance(protocol, asyncio.BufferedProtocol):
                    filled = self._decrypt(space := protocol.get_buffer(-1))
                    if filled:
                        protocol.buffer_updated(filled)
                else:
                    filled = self._decrypt(space := self._memory.space)
                    if filled:
                        protocol.data_received(space[:filled].tobytes())
                if not filled or not (self._incoming.pending or self._tls.pending()):
                    break
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._raw.close()
        except ssl.SSLError as error:
            # With TLS 1.3, a client's handshake is complete before the server has checked its certificate.
            self._error, self._closing = error, True
            self._raw.abort()
        else:
            self._flush()

    def _decrypt(self, space: Any) -> int:
        """Decrypt as much as fits into a buffer. Returns how many bytes that is."""
        filled = 0
        try:
            filled = cast(int, self._tls.read(len(space), space))
            while filled < len(space) and (self._incoming.pending or self._tls.pending()):
                filled += cast(int, self._tls.read(len(space) - filled, space[filled:]))
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            if not filled:
                raise
        return filled

    def _flush(self) -> None:
        """Send what has been encrypted."""
        if self._outgoing.pending:
            self._raw.write(self._outgoing.read())

    # The transport of the protocol

    def write(self, data: Any) -> None:
        """Send bytes. Bytes written before the handshake is complete, or after `close`, are dropped."""
        if self._closing or not self._secured:
            return
        try:
            sent = 0
            while sent < len(data):
                sent += self._tls.write(data[sent : sent + _RECORD] if len(data) > _RECORD else data)
                self._raw.write(self._outgoing.read())
        except ssl.SSLError as error:
            self._error, self._closing = error, True
            self._raw.abort()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        for data in list_of_data:
            self.write(data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes from now on to another protocol; reading is paused."""
        assert isinstance(protocol, (asyncio.Protocol, asyncio.BufferedProtocol))
        self._protocol = protocol

    def close(self) -> None:
        """Send what has been written and end the connection, without waiting for the other side's
        close_notify."""
        if self._closing:
            return
        self._closing = self._silent = True
        if not self._secured:
            self._raw.abort()
            return
        with contextlib.suppress(ssl.SSLError):  # says that it does not wait for an answer
            self._tls.unwrap()
        self._flush()
        self._raw.close()

    def abort(self) -> None:
        self._closing = self._silent = True
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        self._paused = True
        if not self._closing:
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if self._closing:
            return
        self._raw.resume_reading()
        if self._secured and (self._incoming.pending or self._tls.pending()):
            asyncio.get_running_loop().call_soon(self._pump)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls if name == "ssl_object" else self._raw.get_extra_info(name, default)
