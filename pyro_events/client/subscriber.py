"""Subscriber: what a program derives from to be called back.

Knows: what a program may do with a subscriber. Must not know: frames and sockets, or how handlers get
their threads (inlet.py does).
"""

from __future__ import annotations

from typing import Any, cast

from Pyro5.server import expose

from ..background_log import get_logger
from ..broker.subjects import check_subjects, check_texts
from ..event import Event
from ..options import Overflow
from .daemon import SubscriberDaemon
from .inlet import Inlet
from .participant import Participant, Uninitialised, chosen_finder
from .subscriptions import NAME, PATTERN

log = get_logger("pyro_events.subscriber")


class Subscriber(Participant):
    """Derive from it and override `event`; no decorator is needed.

    Subscribing works from `__init__` on, in any thread, inside `event` too; events come when
    `listen` runs. Use it in a `with` statement, or call `close`.
    """

    __inlet: Inlet = cast("Inlet", Uninitialised("Subscriber"))
    __warned = False

    def __init__(self, ident: str | None = None, es_uri: object = None, *, esURI: object = None) -> None:
        """Find the event service and connect to it; the arguments are those of Publisher.

        With ident, nobody but a service that proves it reaches this object and its daemon.
        Raises ServiceNotFoundError (a NamingError), ServiceUnreachableError (a CommunicationError) or
        AccessDeniedError.
        """
        finder = chosen_finder(ident, es_uri, esURI)
        inlet = Inlet(finder, lambda: self.event, lambda reason: self.on_reconnect(reason))
        self.__inlet = inlet
        self._join("subscriber", inlet)
        try:
            inlet.announce(self)
        except BaseException:
            inlet.close()
            raise

    def event(self, event: Event) -> None:
        """Override this: it is called with every event, in threads of the daemon."""
        if not self.__warned:
            self.__warned = True
            log.warning("%s does not override event(): its events are ignored", type(self).__name__)

    def on_reconnect(self, reason: str) -> None:
        """Override this to hear that the service has been lost and found again.

        It is called before the first event that comes afterwards, whose `missed` is None: nobody knows
        how many were missed. All subscriptions are being made again. `seq` starts anew.
        """

    @expose  # type: ignore[untyped-decorator]
    def events(self, batch: Any) -> list[int]:
        """For the service: handle rows of [subject, time, seq, missed, payload].

        Returns the positions whose `event` raised.
        """
        return self.__inlet.crew.run(batch)

    def subscribe(
        self,
        subjects: Any,
        *,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | str | None = None,
    ) -> None:
        """Subscribe to one name or any iterable of names. Subscribing twice is harmless.

        The options bound this subscriber's backlog in the service, and say what happens to an event
        that finds it full; the last ones given hold for all its subscriptions.

        Raises TypeError or ValueError for a bad name or option, ServiceUnreachableError, and
        OutcomeUnknownError.
        """
        options = _options(backlog, backlog_bytes, overflow)
        self.__inlet.subscribe(NAME, check_subjects(subjects), options)

    def subscribeMatch(
        self,
        patterns: Any,
        *,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | str | None = None,
    ) -> None:
        """Subscribe to the subjects that match one regular expression or any of several.

        Matched from the start of the subject, whatever the case of letters. Options and errors as
        for `subscribe`; a bad pattern is a ValueError.
        """
        options = _options(backlog, backlog_bytes, overflow)
        self.__inlet.subscribe(PATTERN, check_texts(patterns), options)

    def unsubscribe(self, subjects: Any) -> None:
        """Remove names and patterns, in any mixture; what is not there is no error.

        Nothing published afterwards arrives by them; what was queued before still may.
        """
        self.__inlet.unsubscribe(check_texts(subjects))

    def listen(self) -> None:
        """Let events come, until `abort` or `close`. May be called again after `abort`.

        While it runs, a service that is lost is looked for, and subscribed to again.
        Raises EventServiceError when closed, and while another thread listens.
        """
        self.__inlet.listen()

    def abort(self) -> None:
        """End `listen`: no further event starts, and what is being handled is not waited for.

        Returns at once, from any thread, inside `event` too. The subscriptions stay.
        """
        self.__inlet.abort()

    def setThreading(self, threading: bool) -> None:
        """Whether an event may be handled while the previous one still is.

        It is on at first: events start in order, up to 16 handlers run at once. Off: strictly one
        by one.
        """
        self.__inlet.crew.set_threading(bool(threading))

    @property
    def daemon(self) -> SubscriberDaemon:
        """The Pyro5 daemon that the events come to; for GUI loops: `sockets`, `events`, `requestLoop`."""
        return self.__inlet.daemon


def _options(
    backlog: int | None, backlog_bytes: int | None, overflow: Overflow | str | None
) -> dict[str, Any]:
    """The options that were given, as the service takes them; it sets the bounds, so it judges them."""
    name = Overflow.parse(overflow).value if overflow is not None else None
    given = {"backlog": backlog, "backlog_bytes": backlog_bytes, "overflow": name}
    return {key: value for key, value in given.items() if value is not None}
