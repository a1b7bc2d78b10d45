"""Calls that were sent and have no reply yet, as the connection that sent them sees them.

Knows: what may become of a call. Must not know: the connection, or what the call means.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple, Protocol

from ...client.connection.outcome import answered_too_late, broken
from ...errors import OutcomeUnknownError
from ...wire.frames import Frame
from ...wire.replies import read_reply
from .waiting import set_once

# The reply to a call: its frame, or only the number in it if it contains nothing else.
Reply = Frame | int


class PendingCall(Protocol):
    """A call that waits for its reply; exactly one of the two methods is called, once.

    seq: the number of its frame, which the connection sets.
    """

    seq: int

    def answered(self, reply: Reply) -> None:
        """The reply has come."""

    def lost(self, loss: Loss) -> None:
        """There will be no reply."""


class Loss(NamedTuple):
    """Why a call has no reply. sent: whether it may have been made; False if it certainly was not.

    reason: why the connection ended; "" if it has not, and only the time was over.
    """

    reason: str
    sent: bool = True


TOO_LATE: Final = Loss("")


def value_of(reply: Reply) -> Any:
    """The value in a reply. Raises the error in it, or FrameError if it cannot be read."""
    return reply if isinstance(reply, int) else read_reply(reply)


def failure(loss: Loss, address: str) -> OutcomeUnknownError:
    """The error for a call that may have been made, and has no reply."""
    return answered_too_late(address) if loss is TOO_LATE else broken(address, loss.reason)


class AwaitedCall:
    """A call whose caller waits for `outcome`. A caller that has been cancelled does not mind the reply."""

    __slots__ = ("outcome", "seq")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seq = 0
        # Never an exception, which asyncio would report if nobody waited for it any more.
        self.outcome: asyncio.Future[Reply | Loss] = loop.create_future()

    def answered(self, reply: Reply) -> None:
        """The reply has come."""
        if not self.outcome.done():
            self.outcome.set_result(reply)

    def lost(self, loss: Loss) -> None:
        """There will be no reply."""
        set_once(self.outcome, loss)
