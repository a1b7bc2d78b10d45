"""TurnReader: reads a connection that the service has made, when it is that connection's turn.

Knows: the transport, the scheduler, and how much may be read without a turn. Must not know: what a frame
means, or which peer has sent it.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final, cast

from ...transport.keepalive import AT_SERVICE, keep_alive
from ...wire.frames import FrameLimits, FrameReader
from ..net.sockets import descriptor
from .scheduler import Scheduler

# The size of a plain acknowledgement, or two, or an answer to a ping. So few bytes are read at once, because
# there are no more of these than the service has asked for.
_SMALL: Final = 128


class TurnReader(asyncio.Protocol):
    """Base of such a connection, which says whether it `is_open`, and how to `_take_in` frames."""

    __slots__ = ("_party", "_reader", "_resting", "_scheduler", "_transport")

    def __init__(self, scheduler: Scheduler, address: str, limits: FrameLimits) -> None:
        """address: the host whose turns these are. limits: on the first frames."""
        self._scheduler = scheduler
        self._party = scheduler.join(address, self._take_turn)
        self._resting = False  # it waits for its turn
        self._reader = FrameReader(limits)
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether frames may still be read."""
        raise NotImplementedError

    def _take_in(self) -> None:
        """Take the frames out of the reader, as long as the connection is open."""
        raise NotImplementedError

    def _connected(self, transport: asyncio.BaseTransport) -> asyncio.Transport:
        """The connection is made, with or without TLS."""
        # uvloop's transports do what asyncio.Transport does, but do not derive from it.
        self._transport = transport = cast(asyncio.Transport, transport)
        keep_alive(transport.get_extra_info("socket"), AT_SERVICE)
        return transport

    @property
    def descriptor(self) -> int:
        """Its file descriptor; -1 for none."""
        return descriptor(self._transport) if self._transport is not None else -1

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._resting:  # it sends more than the few bytes that are read at once
            if self._transport is not None:
                self._transport.pause_reading()
        elif len(data) <= _SMALL:
            self._take_in()  # at most one for each batch: unexpected frames end the connection
        elif self._scheduler.loaded:
            self._resting = True
            self._scheduler.wait(self._party)
        else:
            self._work()

    def _take_turn(self) -> None:
        """The turn has come."""
        self._resting = False
        if self.is_open:
            self._work()
        if self.is_open and self._transport is not None:
            self._transport.resume_reading()

    def _work(self) -> None:
        """Read what has come, and have its time counted."""
        began = monotonic()
        self._take_in()
        self._scheduler.used(self._party, monotonic() - began)

    def _restart(self, limits: FrameLimits) -> None:
        """Another connection will be made; forget what came over the last one."""
        self._transport = None
        self._reader = FrameReader(limits)

    def _abort(self) -> None:
        """End the connection at once, and take no further turns."""
        if self._transport is not None:
            self._transport.abort()
        self._scheduler.leave(self._party)
