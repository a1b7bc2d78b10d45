"""OwnDelivery: a delivery over a connection that the subscriber has made.

Knows: when such a connection begins to carry events. Must not know: how the subscriber asked for it
(own_connections.py), or how events are sent and acknowledged (Delivery does that).
"""

from __future__ import annotations

import asyncio
from typing import Final

from ....broker.accounting import Loss
from ....broker.backlog import Backlog
from ....options import ServiceOptions
from ....wire.own_connection import LISTENER_LIMITS, OBJECT_ID
from ...net.sockets import descriptor
from ..delivery import Delivery, State
from ..owner import DeliveryOwner


class _Nobody(asyncio.BufferedProtocol):
    """uvloop's transports keep the methods of their last protocol of this kind, and with them the client's
    connection, which is a KiB. So they get those of this one."""


_NOBODY: Final = _Nobody()


class OwnDelivery(Delivery):
    """The delivery to a listener over its own connection. known_as: the listener's id."""

    __slots__ = ("_id",)

    lingers = False  # the connection is the subscriber's

    def __init__(
        self,
        owner: DeliveryOwner[Delivery],
        backlog: Backlog,
        host: str,
        known_as: str,
        options: ServiceOptions,
        user: str = "",
    ) -> None:
        super().__init__(owner, backlog, (host, 0), OBJECT_ID, options, LISTENER_LIMITS, host, user)
        self._id = known_as

    @property
    def known_as(self) -> str:
        return self._id

    def take_over(self, transport: asyncio.Transport, clean: bool) -> None:
        """The roles are swapped. clean: the subscriber has sent nothing after it had asked for that."""
        self._transport = transport
        name = transport.get_extra_info("peername")
        # A Unix socket has no port, and those of all listeners on this machine must not be taken for one.
        port = name[1] if isinstance(name, tuple) else -descriptor(transport)
        self.address = (self.address[0], port)
        transport.set_protocol(_NOBODY)
        transport.set_protocol(self)
        if self.state is State.CLOSED:
            transport.abort()
        elif not clean:
            self.close(Loss.REFUSED, "sent more, instead of waiting until it is called")
        else:
            self.state = State.ACTIVE
            self.configured()
            self._owner.greeted(self)
            transport.resume_reading()
            self.flush()
            self._owner.acknowledged(self)

    def abandon(self) -> None:
        """The connection has ended before the roles were swapped."""
        self.close(Loss.GONE, "closed its connection")
