"""The vigil: whether a service that says nothing is still there, and still knows us.

Knows: how often it is asked, and how long an answer is waited for. Must not know: connections, what is
subscribed, or what follows from the answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from ...constants import HEARTBEAT_ANSWER, HEARTBEAT_TRIES
from ...log.background import get_logger
from .reconnect_queue import backoff
from .target import ReconnectTarget, SubscriptionStatus

log = get_logger("pyro_events.subscriber")

# Seconds after which an answer is overdue: the connection may be busy repeating what was sent long ago.
_OVERDUE: Final = 1.0


class HeartbeatProbe:
    """Asks for one subscriber."""

    def __init__(self, kept: ReconnectTarget, changed: threading.Condition, idle: Callable[[], bool]) -> None:
        """changed: notified when there may be something else to do. idle: whether there is not."""
        self._kept = kept
        self._changed = changed
        self._idle = idle
        # Since when an answer has been waited for.
        self._since: float | None = None

    @property
    def waiting(self) -> bool:
        """Whether an answer is being waited for."""
        return self._since is not None

    @property
    def overdue(self) -> bool:
        """Whether it has been for so long that it had better be asked for on another connection."""
        since = self._since
        return since is not None and time.monotonic() - since > _OVERDUE

    def ask_once(self) -> SubscriptionStatus | None:
        """How we stand with the service; None if it does not answer."""
        self._since = time.monotonic()
        try:
            return self._kept.ask(HEARTBEAT_ANSWER)
        except Exception as error:  # no answer, or no connection: whatever it is, it is no sign of life
            log.debug("no sign of life of the event service: %s", error)
            return None
        finally:
            self._since = None

    def ask(self) -> SubscriptionStatus | None:
        """The same, but ask several times; None also if there is something else to do meanwhile."""
        end = time.monotonic() + HEARTBEAT_TRIES * HEARTBEAT_ANSWER
        while (standing := self.ask_once()) is None:
            with self._changed:
                if self._idle() and time.monotonic() < end:
                    self._changed.wait(backoff(2))
                if not self._idle() or time.monotonic() >= end:
                    return None
        return standing
