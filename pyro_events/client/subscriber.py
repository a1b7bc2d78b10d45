"""Subscriber: what a program derives from to be called back.

Knows: what a program may do with a subscriber. Must not know: frames and sockets, or how handlers get
their threads (inlet.py does).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar, cast

from Pyro5.client import Proxy
from Pyro5.core import URI
from Pyro5.server import expose

from ..broker.matching.subjects import check_subjects, check_texts
from ..event import Event
from ..options import Overflow, OverflowName
from ..wire.passphrase import Ident, sealed
from .base import NOT_GIVEN, ClientBase, Uninitialised, add_end, checked_wait, chosen_finder, either
from .constructors import cooperative
from .daemon.daemon import SubscriberDaemon
from .dispatch.handlers import check_class, check_handler
from .subscribing.daemon_attribute import DaemonAttribute
from .subscribing.receiver import Receiver
from .subscribing.subscriptions import NAME, PATTERN

Self = TypeVar("Self", bound="Subscriber")


class Subscriber(ClientBase):
    """Derive from it and override `event`; no decorator is needed.

    Subscribing works from `__init__` on, in any thread, inside `event` too; events come when
    `listen` runs. Use it in a `with` statement, or call `close`.
    """

    __receiver: Receiver = cast("Receiver", Uninitialised("Subscriber"))

    @cooperative(abandon=ClientBase.close)
    def __init__(
        self,
        ident: Ident = None,
        es_uri: str | URI | None = None,
        *,
        esURI: str | URI | None = None,
        name: str | None = None,
        ns_host: str | None = None,
        ns_port: int | None = None,
        wait: float = 0.0,
    ) -> None:
        """Find the event service and connect to it; the arguments are those of Publisher.

        With ident, nobody but a service that proves it reaches this object and its daemon.
        Raises ServiceNotFoundError (a NamingError), ServiceUnreachableError (a CommunicationError),
        AccessDeniedError, and TypeError or ValueError for a bad argument. Raises TypeError for a class
        whose `event` or `on_reconnect` is a coroutine function or a generator, or which has an attribute
        `events`.
        """
        ident = sealed(ident)
        self.__check_class()
        locator = chosen_finder(ident, es_uri, esURI, name, ns_host, ns_port)
        receiver = Receiver(
            locator, lambda: self.event, lambda reason: self.on_reconnect(reason), checked_wait(wait)
        )
        self.__receiver = receiver
        add_end(self, "subscriber", receiver)
        try:
            receiver.announce(self)
        except BaseException:
            receiver.close()
            raise

    def __check_class(self) -> None:
        kind = type(self)
        if inspect.getattr_static(kind, "events") is not Subscriber.__dict__["events"]:
            raise TypeError(
                f"{kind.__name__}.events hides the method by which the service delivers events: give that "
                "attribute another name, or set it on the object instead of the class"
            )
        check_class(kind, _HANDLERS)
        self.__check_own_handlers()

    def __check_own_handlers(self) -> None:
        """Check the handlers that were set on the object, which may be after it was made."""
        own = vars(self)
        for name in _HANDLERS:
            if name in own:
                check_handler(f"{type(self).__name__}.{name}", own[name])

    def event(self, event: Event) -> None:
        """Override this: it is called with every event, in threads of the daemon.

        A plain function, not a coroutine function or a generator. Without one of your own, the event is
        printed.
        """
        print(event)

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
        return self.__receiver.dispatcher.run(batch)

    def subscribe(
        self,
        subjects: str | Iterable[str],
        *,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | OverflowName | None = None,
    ) -> None:
        """Subscribe to one name or any iterable of names. Subscribing twice is harmless.

        The options bound this subscriber's backlog in the service, and say what happens to an event
        that finds it full; the last ones given hold for all its subscriptions.

        Raises TypeError or ValueError for a bad name or option, ServiceUnreachableError, and
        OutcomeUnknownError.
        """
        self.__check_own_handlers()
        options = _options(backlog, backlog_bytes, overflow)
        self.__receiver.subscribe(NAME, check_subjects(subjects), options)

    def subscribeMatch(
        self,
        patterns: str | Iterable[str] = NOT_GIVEN,
        *,
        subjectPatterns: str | Iterable[str] = NOT_GIVEN,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | OverflowName | None = None,
    ) -> None:
        """Subscribe to the subjects that match one regular expression or any of several.

        Matched from the start of the subject, whatever the case of letters. Options and errors as
        for `subscribe`; a bad pattern is a ValueError. subjectPatterns: Pyro3's name for `patterns`.
        """
        patterns = either("subscribeMatch()", "patterns", patterns, "subjectPatterns", subjectPatterns)
        self.__check_own_handlers()
        options = _options(backlog, backlog_bytes, overflow)
        self.__receiver.subscribe(PATTERN, check_texts(patterns, "pattern"), options)

    def unsubscribe(self, subjects: str | Iterable[str]) -> None:
        """Remove names and patterns, in any mixture; what is not there is no error.

        Nothing published afterwards arrives by them; what was queued before still may.
        """
        self.__receiver.unsubscribe(check_texts(subjects))

    def listen(self) -> None:
        """Let events come, until `abort` or `close`. May be called again after `abort`.

        While it runs, a service that is lost is looked for, and subscribed to again.
        Raises EventServiceError when closed, and while another thread listens.
        """
        self.__receiver.listen()

    def listen_in_background(self: Self) -> Self:
        """Run `listen` in a daemon thread, and return this subscriber when events come.

        Ends with `abort`, or with `close`, which waits for the thread. For use in a `with` statement, as in
        `with Ticker().listen_in_background() as ticker:`.
        Raises EventServiceError as `listen` does.
        """
        self.__receiver.listen_in_background(lambda: type(self).listen(self))
        return self

    def abort(self) -> None:
        """End `listen`: no further event starts, and what is being handled is not waited for.

        Returns at once, from any thread, inside `event` too. The subscriptions stay.
        """
        self.__receiver.abort()

    @property
    def abortListen(self) -> bool:
        """Whether `abort` or `close` was called since `listen` began last; Pyro3's name.

        To set it to true is to call `abort`.
        """
        return self.__receiver.aborted

    @abortListen.setter
    def abortListen(self, value: object) -> None:
        if value:
            self.__receiver.abort()
        else:
            self.__receiver.aborted = False

    def setThreading(self, threading: bool | int = NOT_GIVEN, *, threaded: bool | int = NOT_GIVEN) -> None:
        """Whether an event may be handled while the previous one still is.

        It is on at first: events start in order, up to 16 handlers run at once. Off: strictly one
        by one. threaded: Pyro3's name for `threading`.
        """
        chosen = either("setThreading()", "threading", threading, "threaded", threaded)
        if not isinstance(chosen, int):
            raise TypeError(f"setThreading() needs True or False, not {type(chosen).__name__}")
        self.__receiver.dispatcher.set_threading(bool(chosen))

    daemon = DaemonAttribute(
        """The Pyro5 daemon that the events come to; for GUI loops: `sockets`, `events`, `requestLoop`.

        In a class that is also a threading.Thread it is the thread's attribute of that name. `getDaemon`
        returns the daemon in every class.
        """
    )

    def getDaemon(self) -> SubscriberDaemon:
        """The Pyro5 daemon that the events come to."""
        return self.__receiver.daemon

    def getProxy(self) -> Proxy:
        """A new Pyro5 proxy for this subscriber; Pyro3's name. It is of use to whoever holds no `ident`."""
        return self.__receiver.daemon.proxyFor(self)

    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if name != "events"]  # which is the service's


# The methods that a program overrides, or sets on the object.
_HANDLERS = ("event", "on_reconnect")


def _options(
    backlog: int | None, backlog_bytes: int | None, overflow: Overflow | OverflowName | None
) -> dict[str, Any]:
    """The options that were given, as the service takes them; it sets the bounds, so it judges them."""
    name = Overflow.parse(overflow).value if overflow is not None else None
    given = {"backlog": backlog, "backlog_bytes": backlog_bytes, "overflow": name}
    return {key: value for key, value in given.items() if value is not None}
