"""What a subscriber has in place of a daemon if nobody may connect to it: a loop that only waits.

Knows: when `listen` runs. Must not know: connections, subscriptions, or what happens to an event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from Pyro5 import config

from ....errors import EventServiceError
from ...daemon.handshake import ConnectionListener
from ...dispatch.dispatcher import Dispatcher
from ...interruptions import WakeUp


class NoPort:
    """The loop of one subscriber. It has no uri, no location and no connections.

    running: whether it runs.
    """

    uri = location = ""
    connections = 0
    entered = False

    def __init__(self, resume: Callable[[], object]) -> None:
        """resume: lets events start."""
        self._resume = resume
        self._begun: Callable[[], object] = lambda: None
        self._stopping = False
        self._wake = WakeUp()
        self.running = self.closed = False

    @property
    def daemon(self) -> NoReturn:
        """There is none. Raises EventServiceError."""
        raise EventServiceError(
            "this subscriber has no Pyro5 daemon, because it was made with callback=False and opens no port; "
            "leave callback out to have one"
        )

    def announce(
        self, subscriber: object, dispatcher: Dispatcher, listener: ConnectionListener
    ) -> dict[str, Any]:
        """Returns nothing that could stand in a call: there is no proxy."""
        return {}

    def when_begun(self, begun: Callable[[], object]) -> None:
        """Call `begun` when `run` has begun."""
        self._begun = begun

    def run(self) -> None:
        """Let events start, and wait until `stop` or `close`."""
        self._stopping = False
        self._resume()
        self.running = True
        self._begun()
        try:
            while not (self._stopping or self.closed):
                self._wake.wait(config.POLLTIMEOUT)  # so that Windows can interrupt it
        finally:
            self.running = False

    def stop(self) -> None:
        """End `run` at once; any thread and a signal handler may call it."""
        self._stopping = True
        self._wake.set()

    def knock(self) -> None:
        """Nothing waits for sockets here."""

    def close(self) -> None:
        """End `run`, for good."""
        self.closed = True
        self._wake.set()

    def disown(self) -> None:
        """In a forked child: the thread that waits is the parent's."""
        self.closed = True
