"""Remote subscriptions: what the service was told about one subscriber, so that it can be told again.

Knows: what is subscribed with which options, the connection for control calls, and on which of these the
service was told. Must not know: the daemon, handlers, or when the service has to be told again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import Pyro5.errors

from ...broker.matching.patterns import compile_pattern
from ...constants import LAST_KEY, MAX_SUBJECT, NOT_KNOWN
from ...errors import AccessDeniedError, AnswerTimeoutError
from ...log.background import get_logger
from ...wire.handshake.proofs import CallbackCheck
from ...wire.own_connection import KEY
from ...wire.requests import pieces
from ..connection.reconnecting import ReconnectingConnection
from ..interruptions import owned, within
from ..reconnect.events import Answered, SubscriptionStatus
from .call_options import LAST_AGAIN, of_every_call, of_the_subscriber
from .subscribe_calls import SubscribeCalls
from .subscriptions import PATTERN, Call, Subscriptions, calls_for

log = get_logger("pyro_events.subscriber")

# Unsubscribing when closing is a courtesy: the service would notice by itself.
_CLOSE_TIMEOUT: Final = 1.0
# How long the service may take to answer a subscription that is made again or undone.
ANSWER: Final = 5.0


class RemoteSubscriptions:
    """The subscriptions of one subscriber at the service. `ended`: for good."""

    def __init__(
        self, connection: ReconnectingConnection, gate: CallbackCheck | None, patience: float = ANSWER
    ) -> None:
        """gate: checks the service's proof to the subscriber's daemon, which covers a nonce of the
        subscribing call. patience: seconds for the service to answer a subscription that is made again."""
        self._connection = connection
        self._patience = patience
        self.calls = SubscribeCalls(connection, gate)
        self.ended = False
        self._told_on = 0
        self._record = Subscriptions()
        self._options: dict[str, Any] = {}
        # Held while calls are made that change subscriptions, so that the record and the service hear of them
        # in the same order: to subscribe again to what was on the record before a call to unsubscribe must
        # not follow that call. The record needs no lock of its own, in which a signal's handler that
        # subscribes could be, and wait for a thread that waits for that lock.
        self._calling = threading.RLock()

    def __bool__(self) -> bool:
        return bool(self._record) and not self.ended

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return owned(self._calling)

    def texts(self) -> tuple[str, ...]:
        """All names and patterns."""
        return self._record.texts()

    @property
    def changing(self) -> threading.RLock:
        """To be held by a thread that changes something together with the subscriptions."""
        return self._calling

    def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> None:
        """Subscribe to names or patterns, and remember that. If it raises, nothing has changed."""
        self.subscribe_to([(how, texts)], options)

    def subscribe_to(self, wanted: list[tuple[str, list[str]]], options: dict[str, Any]) -> None:
        """Subscribe to names and to patterns, and remember that. If it raises, nothing has changed."""
        calls = calls_for(wanted, LAST_KEY in options)
        for text in [text for how, texts in wanted if how == PATTERN for text in texts]:
            # The service checks patterns. But one of several calls must not fail after others were made, and
            # a text that is much too long does not even fit into a call.
            if len(calls) > 1 or len(text) > MAX_SUBJECT:
                compile_pattern(text)
        with self._calling:
            if not self._record:
                # The service forgets who has no subscription left, and its group and other options too.
                options = {**self._options, **options}
            told_on = self._subscribe_in_pieces(calls, options)
            # A connection made since the first subscription, or between two pieces, may be to a service that
            # knows only the later ones.
            if not self._record:
                self._told_on = told_on
            for how, texts in wanted:
                self._record.add(how, texts, LAST_KEY in options)
            self._options.update(of_the_subscriber(options))

    def _subscribe_in_pieces(self, calls: list[Call], options: dict[str, Any]) -> int:
        """Make the calls. Returns the connection of the first one."""
        told_on, proof = 0, {**self.calls.options(), **of_every_call(options)}
        done: list[str] = []
        try:
            for number, call in enumerate(calls, 1):
                # The other options with the last piece: if it fails, they have not changed.
                wishes = {**proof, **options} if number == len(calls) else proof
                self.calls.make(call.how, call.texts, {**wishes, **call.options})
                if number == 1:
                    told_on = self._connection.current.reconnects
                done += [*call.texts, *call.match]
        except BaseException:
            self._take_back(done)
            raise
        return told_on

    def _take_back(self, texts: list[str]) -> None:
        """Unsubscribe from what was not subscribed before, as far as that is possible."""
        try:
            for some in pieces(self._record.unknown(texts)):
                self._connection.call("unsubscribe", some, self.calls.subscriber, timeout=self._patience)
        except Exception as error:  # the error that is being handled is the one to raise
            log.debug("taking back a part of a subscription failed: %s", error)

    def unsubscribe(self, texts: list[str]) -> None:
        """Unsubscribe from names and patterns."""
        # At once, so that they are not subscribed to again meanwhile; and once more when it is our turn,
        # because another thread may have subscribed to them.
        self._record.discard(texts)
        with self._calling:
            self._record.discard(texts)
            self._call_unsubscribe(texts)

    def unsubscribe_from(self, names: list[str], patterns: list[str]) -> None:
        """Unsubscribe from names, and from patterns, that nobody here wants any more."""
        with self._calling:
            self._record.discard(names, patterns=False)
            self._record.discard(patterns, names=False)
            # The service would end the pattern that has the text of a name too, and the name of a pattern.
            # Where the other one is still wanted, it keeps both: what it sends in vain nobody gets here.
            self._call_unsubscribe(self._record.unknown([*names, *patterns]))

    def _call_unsubscribe(self, texts: list[str]) -> None:
        if self.calls.own and not self.calls.subscriber:  # it has never subscribed to anything
            return
        # Nothing longer can have been subscribed.
        for some in pieces([text for text in texts if len(text) <= MAX_SUBJECT]):
            self._connection.call("unsubscribe", some, self.calls.subscriber)

    def discard(self, texts: list[str]) -> None:
        """Make sure that names and patterns are not subscribed to again, before `unsubscribe` ends them."""
        self._record.discard(texts)

    def recorded(self, how: str, last: bool) -> list[str]:
        """The names or the patterns that are subscribed, those whose last values come too or the others."""
        return self._record.recorded(how, last)

    def remember_last(self, names: frozenset[str], patterns: frozenset[str]) -> None:
        """From now on, the last values of these names, folded, and patterns come too when they are subscribed
        again, and of no others."""
        self._record.remember_last(names, patterns)

    def reach(self) -> None:
        """Connect, if necessary."""
        self._connection.connect(quick=True)

    def ask(self, timeout: float) -> Answered:
        """What the service knows about us, by a call that changes nothing."""
        self.reach()
        on = self._connection.current.reconnects
        answers: list[tuple[tuple[int, str, str], int]] = []

        def ask() -> None:
            answers.append((self._standing(timeout), len(self._record)))

        try:
            # Between calls that change subscriptions: what the service knows is compared with the record.
            self._in_turn(ask, timeout)
        except AccessDeniedError as error:
            if not error.of_call:
                raise
            # Our address is another one than when we subscribed.
            return Answered(SubscriptionStatus.UNKNOWN, falls_back=self.calls.falls_back)
        (((count, state, why), recorded),) = answers
        if count == NOT_KNOWN:
            return Answered(SubscriptionStatus.UNKNOWN, why, falls_back=self.calls.falls_back)
        # It may be another connection than the one on which we subscribed; or the service knows only what was
        # subscribed since it forgot us. A key is known only to the service that was told of it.
        same_service = on == self._told_on or KEY in self.calls.subscriber
        complete = same_service and count >= recorded
        status = SubscriptionStatus.KNOWN if complete else SubscriptionStatus.UNSURE
        return Answered(
            status,
            why,
            connected=state == "active",
            silent=state == "greeting",
            unreachable=state == "unreachable",
            falls_back=self.calls.falls_back,
        )

    def _standing(self, timeout: float) -> tuple[int, str, str]:
        """How many subscriptions the service has of us, the state of its connection to us, and why we get no
        events."""
        call = self._connection.call
        try:
            standing = call("statistics", {"subscriber": self.calls.subscriber}, timeout=timeout)
        except TypeError:  # of a service of version 0.1, whose `statistics` takes no argument
            return call("unsubscribe", [], self.calls.subscriber, timeout=timeout), "", ""
        return standing["subscriptions"], standing["state"], str(standing["why"])

    def resubscribe(self, anew: bool) -> None:
        """Tell the service of every subscription, as if for the first time. anew: it has no connection
        to us, whatever it may believe."""
        proof = self.calls.options(anew=True)
        later: list[Call] = []

        def tell_first() -> None:
            # The service forgets what it has heard before a call with `anew`. So the record is read only now:
            # what the program has subscribed to is on it, and what it subscribes to later follows this call.
            calls = self._record.calls()
            if calls and not self.ended:
                # An own connection is made again by us, if there is none.
                self._tell(calls[0], {**proof, "anew": True} if anew and not self.calls.own else proof)
                # A later connection may be to a service that knows only the later ones.
                self._told_on = self._connection.current.reconnects
                later.extend(calls[1:])

        self._in_turn(tell_first, self._patience)
        for call in later:
            self._in_turn(partial(self._tell_what_is_left, call, proof), self._patience)

    def _in_turn(self, call: Callable[[], None], seconds: float) -> None:
        """Make a call when the program makes none. Raises AnswerTimeoutError if it waits longer for that."""
        if not within(self._calling, seconds, call):
            self._connection.drop("a call of the program's is not answered")
            raise AnswerTimeoutError("another call to the event service is not answered")

    def _tell_what_is_left(self, call: Call, proof: dict[str, Any]) -> None:
        """Subscribe again to those of the texts that the program has not unsubscribed from meanwhile."""
        call = self._record.known(call)
        if (call.texts or call.match) and not self.ended:
            self._tell(call, proof)

    def _tell(self, call: Call, proof: dict[str, Any]) -> None:
        """Subscribe again; `_calling` is held."""
        options = {**self._options, **proof, **(LAST_AGAIN if call.last else {}), **call.options}
        try:
            self.calls.make_again(call.how, call.texts, options, self._patience)
        except Pyro5.errors.TimeoutError:
            self._connection.drop("it did not answer")
            raise

    def end(self) -> list[str] | None:
        """Forget everything, for good; returns what there was to unsubscribe from, None the next time."""
        ended, self.ended = self.ended, True
        names = list(self._record.texts())
        self._record.clear()
        return None if ended else names

    def unsubscribe_all(self, names: list[str]) -> None:
        """Unsubscribe from what `end` returned, if that is possible at once."""
        try:
            for some in pieces(names):
                if self._connection.current.connected:
                    self._connection.call("unsubscribe", some, self.calls.subscriber, timeout=_CLOSE_TIMEOUT)
        except (Pyro5.errors.PyroError, OSError) as error:
            log.debug("unsubscribing at the end failed: %s", error)

    def disown(self) -> None:
        """In a forked child: it is the parent that is subscribed."""
        self._calling = threading.RLock()
        self.end()
