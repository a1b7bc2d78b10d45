"""Control calls on an event loop: calls with an answer, over a connection that is there when it is needed.

Knows: how a call is made and what its outcome means. Must not know: what is called.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from ...errors import ServiceUnreachableError
from ...wire.requests import packed_call
from .calls import TOO_LATE, AwaitedCall, Loss, failure, value_of
from .current import CurrentConnection
from .waiting import result_by

# A connection that was not used for so many seconds is closed. A stream hardly ever needs it after its start,
# and a thousand streams would have a thousand of them.
IDLE: Final = 2.0


class ControlCalls:
    """The calls of one client. connection: for them alone."""

    def __init__(self, connection: CurrentConnection, idle: float = IDLE) -> None:
        """idle: seconds after which an unused connection is closed."""
        self.connection = connection
        self._idle = idle
        self._running = 0
        self._timer: asyncio.TimerHandle | None = None

    async def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        """Make a call and return its result, or raise the error in its reply.

        timeout: seconds for all of it; then AnswerTimeoutError.
        """
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        self._running += 1
        try:
            for _ in range(2):
                connection = self.connection.usable() or await self.connection.open(deadline)
                call = AwaitedCall(loop)
                connection.send(packed_call(method, *arguments), call)
                outcome = await result_by(call.outcome, deadline, TOO_LATE)
                if not isinstance(outcome, Loss):
                    return value_of(outcome)
                if outcome.sent:
                    raise failure(outcome, connection.address)
            raise ServiceUnreachableError(
                f"the event service at {self.connection.address} closes every connection"
            )
        finally:
            self._running -= 1
            self._release_later(loop)

    def _release_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if self.connection.closed else loop.call_later(self._idle, self._release)

    def _release(self) -> None:
        self._timer = None
        if not self._running:
            self.connection.release("it is not needed any more")

    def close(self) -> None:
        """Close the connection for good."""
        self.connection.close()
        if self._timer is not None:
            self._timer.cancel()
