"""Remote subscriptions: what the service has been told of one subscriber, and is to be told again.

Knows: what is subscribed with which options, the link for control calls, and on which of its connections
the service was told. Must not know: the daemon, handlers, or when the service has to be told again.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import Any, Final

import Pyro5.errors

from ...broker.matching.subjects import compile_pattern
from ...constants import MAX_SUBJECT, NAME_KEY, NOT_KNOWN
from ...errors import AccessDeniedError, AnswerTimeoutError
from ...log.background import get_logger
from ...wire.passphrase import CALL_OPTION, NONCE_SIZE, CallbackCheck
from ..connection.reconnecting import ReconnectingConnection
from ..interruptions import owned, within
from ..reconnect.events import Answered, SubscriptionStatus
from .subscriptions import PATTERN, Subscriptions, pieces

log = get_logger("pyro_events.subscriber")

# Unsubscribing when closing is a courtesy: the service would find out by itself.
_FAREWELL: Final = 1.0
# How long the service is given to answer a subscription that is made again, or taken back.
ANSWER: Final = 5.0


class RemoteSubscriptions:
    """What one subscriber is subscribed to. `ended`: for good."""

    def __init__(
        self, connection: ReconnectingConnection, gate: CallbackCheck | None, patience: float = ANSWER
    ) -> None:
        """gate: admits the service to the subscriber's daemon, by a nonce of the call that asks for it.
        patience: seconds that the service is given to answer a subscription that is made again."""
        self._connection = connection
        self._patience = patience
        self._gate = gate
        # How the service is told who subscribes.
        self.subscriber: dict[str, Any] = {}
        self.ended = False
        self._told_on = 0
        # Guarded by `_lock`, as the options are.
        self._record = Subscriptions()
        self._options: dict[str, Any] = {}
        self._lock = threading.RLock()
        # Held while calls are made that change subscriptions: to subscribe again to what was on the record
        # before a call to unsubscribe must not follow that call.
        self._calling = threading.RLock()

    def __bool__(self) -> bool:
        return bool(self._record) and not self.ended

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return owned(self._lock) or owned(self._calling)

    def texts(self) -> tuple[str, ...]:
        """All names and patterns."""
        with self._lock:
            return self._record.texts()

    def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> None:
        """Subscribe to names or patterns, and remember that. When it raises, nothing has changed."""
        calls = list(pieces(texts))
        if how == PATTERN:
            for text in texts:
                # The service judges patterns; but one of several calls must not fail when others have
                # been made, and what is much too long does not even fit into a call.
                if len(calls) > 1 or len(text) > MAX_SUBJECT:
                    compile_pattern(text)
        with self._calling:
            told_on = self._subscribe_in_pieces(how, calls, options)
            with self._lock:
                # A connection made since the first subscription, or between two pieces, may be to a service
                # that knows only the later ones.
                if not self._record:
                    self._told_on = told_on
                self._record.add(how, texts)
                self._options.update(options)

    def _subscribe_in_pieces(self, how: str, calls: list[list[str]], options: dict[str, Any]) -> int:
        """Make the calls; returns which connection the first was made on."""
        told_on, proof = 0, self._with_call({NAME_KEY: self._connection.name})
        done: list[str] = []
        try:
            for number, some in enumerate(calls, 1):
                # The options with the last: if it fails, they have not changed.
                wishes = {**proof, **options} if number == len(calls) else proof
                self._connection.call(how, some, self.subscriber, wishes)
                if number == 1:
                    told_on = self._connection.current.reconnects
                done += some
        except BaseException:
            self._take_back(done)
            raise
        return told_on

    def _take_back(self, texts: list[str]) -> None:
        """Unsubscribe from what was not subscribed before, as far as that is possible."""
        with self._lock:
            texts = self._record.unknown(texts)
        try:
            for some in pieces(texts):
                self._connection.call("unsubscribe", some, self.subscriber, timeout=self._patience)
        except Exception as error:  # the error that we are in the middle of is the one to be raised
            log.debug("taking back a part of a subscription failed: %s", error)

    def _with_call(self, options: dict[str, Any], anew: bool = False) -> dict[str, Any]:
        """Options with the nonce that the service's proof to us must cover."""
        if self._gate is None:
            return options
        return {**options, CALL_OPTION: self._gate.call(os.urandom(NONCE_SIZE), anew)}

    def unsubscribe(self, texts: list[str]) -> None:
        """Unsubscribe from names and patterns."""
        with self._lock:
            self._record.discard(texts)
        with self._calling:
            # Nothing longer can have been subscribed.
            for some in pieces([text for text in texts if len(text) <= MAX_SUBJECT]):
                self._connection.call("unsubscribe", some, self.subscriber)

    def reach(self) -> None:
        """Connect, if need be."""
        self._connection.connect(quick=True)

    def ask(self, timeout: float) -> Answered:
        """What the service knows about us; a call that changes nothing."""
        self.reach()
        on = self._connection.current.reconnects
        try:
            standing = self._connection.call("statistics", {"subscriber": self.subscriber}, timeout=timeout)
        except AccessDeniedError:
            raise
        except Pyro5.errors.SecurityError:  # we have another address than when we subscribed
            return Answered(SubscriptionStatus.UNKNOWN)
        count, state, why = standing["subscriptions"], standing["state"], str(standing["why"])
        if count == NOT_KNOWN:
            return Answered(SubscriptionStatus.UNKNOWN, why)
        # It may be another connection than the one that we subscribed on; or the service knows only what the
        # program has subscribed to since it forgot us.
        complete = on == self._told_on and count >= len(self._record)
        status = SubscriptionStatus.KNOWN if complete else SubscriptionStatus.UNSURE
        return Answered(status, why, connected=state == "active", silent=state == "greeting")

    def again(self, anew: bool) -> None:
        """Tell the service of every subscription, as if for the first time. anew: it has no connection
        to us, whatever it may believe."""
        with self._lock:
            calls, proof = self._record.calls(), self._with_call({NAME_KEY: self._connection.name}, anew=True)
        told: list[int] = []
        for how, texts in calls:
            options = {**proof, "anew": True} if anew and not told else proof
            if not within(self._calling, self._patience, partial(self._tell, how, texts, options, told)):
                self._connection.drop("a call of the program's is not answered")
                raise AnswerTimeoutError("another call to the event service is not answered")
        if told:  # a later connection may be to a service that knows only the later ones
            self._told_on = told[0]

    def _tell(self, how: str, texts: list[str], options: dict[str, Any], told: list[int]) -> None:
        """Subscribe again to those of the texts that are still on the record; `_calling` is held.

        told: gets the number of the connection that it was done on.
        """
        with self._lock:
            texts = self._record.known(how, texts)
            options = {**self._options, **options}
        if not texts or self.ended:
            return
        try:
            self._connection.call(how, texts, self.subscriber, options, timeout=self._patience)
        except Pyro5.errors.TimeoutError:
            self._connection.drop("it did not answer")
            raise
        told.append(self._connection.current.reconnects)

    def end(self) -> list[str] | None:
        """Forget everything, for good; returns what there was to unsubscribe from, None the next time."""
        with self._lock:
            ended, self.ended = self.ended, True
            names = list(self._record.texts())
            self._record.clear()
        return None if ended else names

    def unsubscribe_all(self, names: list[str]) -> None:
        """Unsubscribe from what `end` returned, if that is possible at once."""
        try:
            for some in pieces(names):
                if self._connection.current.connected:
                    self._connection.call("unsubscribe", some, self.subscriber, timeout=_FAREWELL)
        except (Pyro5.errors.PyroError, OSError) as error:
            log.debug("unsubscribing at the end failed: %s", error)

    def disown(self) -> None:
        """In a forked child: it is the parent that is subscribed."""
        self._lock, self._calling = threading.RLock(), threading.RLock()
        self.end()
