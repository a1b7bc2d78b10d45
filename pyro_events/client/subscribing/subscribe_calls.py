"""The calls by which the service is told of subscriptions: for which subscriber, with what options.

Knows: what stands for the subscriber in a call, and that it may have to connect first. Must not know: what is
subscribed, or when the service has to be told again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, Protocol

from ...constants import AGAIN_KEY, NAME_KEY, NOT_KNOWN
from ...errors import AccessDeniedError, EventServiceError
from ...log.background import get_logger
from ...wire.handshake.proofs import CALL_OPTION, NONCE_SIZE, CallbackCheck
from ...wire.own_connection import FALLS_BACK
from ..connection.reconnecting import ReconnectingConnection

log = get_logger("pyro_events.subscriber")

# What the log says where a right was lost while the service was away.
REFUSED_AGAIN: Final = "subscribed again, but %s: nothing will come of that"


class Way(Protocol):
    """The way by which the events come. own: over a connection that the subscriber makes."""

    own: bool

    @property
    def falls_back(self) -> bool:
        """Whether the subscriber will connect itself if the service cannot connect to it."""

    def attach(self, again: bool = False, quick: bool = False) -> dict[str, str]:
        """Make that connection, if there is none. again: the service does not know it. quick: do not try for
        long. Returns what stands for the subscriber in a call. May raise."""


class SubscribeCalls:
    """The calls for one subscriber.

    subscriber: what stands for it in a call; empty as long as it cannot be subscribed. way: None if the
    service connects to it, and can do nothing else. forgotten: called if the service does not know it, where
    something else connects it again and then sends every subscription; None if nothing does.
    """

    def __init__(self, connection: ReconnectingConnection, gate: CallbackCheck | None) -> None:
        """connection: for calls. gate: as for RemoteSubscriptions."""
        self._connection = connection
        self._gate = gate
        self.subscriber: dict[str, Any] = {}
        self.way: Way | None = None
        self.forgotten: Callable[[], object] | None = None

    @property
    def own(self) -> bool:
        """Whether the subscriber makes the connection for its events."""
        return self.way is not None and self.way.own

    @property
    def falls_back(self) -> bool:
        """Whether it will do so if the service cannot connect to it."""
        return self.way is not None and self.way.falls_back

    def options(self, anew: bool = False) -> dict[str, Any]:
        """The options of a call, except for those of the backlog. anew: the nonce that the service's proof to
        us must cover is for a new connection."""
        options: dict[str, Any] = {NAME_KEY: self._connection.name}
        if not self.own:
            if self.falls_back:
                options[FALLS_BACK] = True
            if self._gate is not None:
                options[CALL_OPTION] = self._gate.call(os.urandom(NONCE_SIZE), anew)
        return options

    def make(self, how: str, texts: list[str], options: dict[str, Any], timeout: float | None = None) -> None:
        """Subscribe to names or patterns. A subscriber that makes the connection for its events does that
        first, where there is none.

        timeout: for the service's answer, in seconds.
        """
        call, way, quick = self._connection.call, self.way, timeout is not None
        if way is not None and way.own:
            self.subscriber = way.attach(quick=quick)
            if call(how, texts, self.subscriber, options, timeout=timeout) != NOT_KNOWN:
                return
            # It was restarted, or has disconnected us; what else was subscribed is sent again later.
            self.subscriber = way.attach(again=True, quick=quick)
        if call(how, texts, self.subscriber, options, timeout=timeout) != NOT_KNOWN:
            return
        if self.forgotten is None:
            raise EventServiceError(
                "the event service disconnects this subscriber as soon as it has connected: its log says why"
            )
        self.forgotten()

    def make_again(self, how: str, texts: list[str], options: dict[str, Any], timeout: float) -> None:
        """The same for what was subscribed before. Where its user has lost the right to some of it, that
        stays subscribed, and nothing comes."""
        try:
            self.make(how, texts, options, timeout)
        except AccessDeniedError as error:
            if not error.of_call:
                raise
            log.warning(REFUSED_AGAIN, error, about=str(error))
            self.make(how, texts, {**options, AGAIN_KEY: True}, timeout)
