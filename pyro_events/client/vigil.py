"""The vigil: whether a service that says nothing is still there.

Knows: how often it is asked for a sign of life, and how long it is waited for. Must not know: connections,
what is subscribed, or what follows from there being none.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ..constants import HEARTBEAT_ANSWER, HEARTBEAT_TRIES
from .kept import Kept
from .outage import delay_after

log = logging.getLogger("pyro_events.subscriber")


class Vigil:
    """Asks for one subscriber, when nothing has come for a while. asking: whether it does so now."""

    def __init__(self, kept: Kept, changed: threading.Condition, idle: Callable[[], bool]) -> None:
        """changed: notified when there may be something else to do. idle: whether there is not."""
        self._kept = kept
        self._changed = changed
        self._idle = idle
        self.asking = self._cut_short = False

    def cut_short(self) -> None:
        """Ask no further; `changed` is held."""
        self._cut_short = True
        self._changed.notify_all()

    def ask(self) -> bool | None:
        """Ask, several times if need be. None: there was no sign of life, or it is not waited for any
        more; else whether it came over another connection than that of the last subscription."""
        with self._changed:
            self.asking, self._cut_short = True, False
        try:
            return self._answer()
        finally:
            self.asking = False

    def _answer(self) -> bool | None:
        end = time.monotonic() + HEARTBEAT_TRIES * HEARTBEAT_ANSWER
        while self._kept.wanted():
            try:
                return self._kept.ask(HEARTBEAT_ANSWER)
            except Exception as error:  # no answer, or no connection: whatever it is, it is no sign of life
                log.debug("no sign of life of the event service: %s", error)
            with self._changed:
                if self._may_go_on(end):
                    self._changed.wait(delay_after(2))
                if not self._may_go_on(end):
                    return None
        return False

    def _may_go_on(self, end: float) -> bool:
        return self._idle() and not self._cut_short and time.monotonic() < end
