"""EventStream: events that a program takes one by one, over its own connection.

Knows: what a program may do with a stream. Must not know: sockets, threads, or how a lost connection comes
back (stream/stream_receiver.py does).
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

from Pyro5.core import URI

from ..broker.matching.subjects import check_subjects, check_texts
from ..constants import LONGEST_WAIT
from ..errors import EventServiceError
from ..event import Event
from ..options import Overflow, OverflowName
from ..wire.handshake.passphrase import Ident, sealed
from .base import Uninitialised, checked_wait, chosen_locator
from .publishing.entry import checked_timeout
from .stream.event_source import NothingCameError
from .stream.stream_receiver import CLOSED, StreamReceiver
from .subscribe_methods import ChangesSubscriptions, SubscribeMethods, use_subscriptions
from .subscribing.call_options import given_options, of_the_subscriber
from .subscribing.subscriptions import NAME, PATTERN

if TYPE_CHECKING:  # imported when statistics are first asked for
    from .statistics import StreamStatistics

Self = TypeVar("Self", bound="EventStream")


class EventStream(SubscribeMethods):
    """Events of some subjects, which the program takes one by one; an iterator.

    For programs that cannot be called back, or do not want to be: behind NAT, in a container, in a notebook,
    or a script. The stream makes the connection. Order, `seq`, `missed`, backlogs and their policies are
    those of a Subscriber. An event counts as delivered when the program has taken it, so a slow program has a
    backlog at the service.

    When the service is lost, the stream finds it again by itself. `get` waits meanwhile, and the first event
    afterwards has `missed` None. Any thread may use a stream. Use it in a `with` statement, or call `close`.

    Example:
        >>> with EventStream("STOCKQUOTE.SUN", match="^NEWS[.]") as events, Publisher() as market:
        ...     market.publish(["STOCKQUOTE.SUN", "NEWS.TECH"], "up")
        ...     for event in events:
        ...         print(event.subject, event.msg)
        ...         if event.seq == 2:
        ...             break
        2
        STOCKQUOTE.SUN up
        NEWS.TECH up
    """

    __receiver: StreamReceiver | None = None
    _SubscribeMethods__subscriptions = cast(ChangesSubscriptions, Uninitialised("EventStream"))

    def __init__(
        self,
        subjects: str | Iterable[str] = (),
        *,
        match: str | Iterable[str] = (),
        es_uri: str | URI | None = None,
        ident: Ident = None,
        user: str | None = None,
        name: str | None = None,
        wait: float = 0.0,
        ns_host: str | None = None,
        ns_port: int | None = None,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | OverflowName | None = None,
        max_age: float | None = None,
        group: str | None = None,
        ahead: int | None = None,
        last: bool = False,
    ) -> None:
        """Find the event service, connect to it, and subscribe.

        Args:
            subjects: the names to subscribe to: one, or any iterable of them. Default (): none.
            match: one regular expression or any iterable of them, matched from the start of the subject.
                Default (): none.
            es_uri: where the service is: "host:port", "[::1]:9095", or a Pyro URI. Default None: what
                PYROEVENTS_ES_URI in the environment says; without it the name server is asked.
            ident: the passphrase of service and name server, which both sides prove to each other. Default
                None: they have none.
            user: whose passphrase `ident` is: a user of the service's permissions file. Default None: it is
                the service's own.
            name: what statistics and log of the service call this client, at most 100 printable characters.
                Default None: the script's name and process id.
            wait: seconds for which a service, or a name server, that is not there yet is tried again;
                `math.inf` for ever. Default 0: raise at once, within two seconds.
            ns_host: where the name server is. Default None: Pyro5's setting NS_HOST.
            ns_port: its port. Default None: Pyro5's setting NS_PORT.
            backlog: how many events the service keeps for this stream while it is slow. Default None: what
                the service does.
            backlog_bytes: how many bytes it keeps. Default None: what the service does.
            overflow: what happens when the backlog is full: "block", "drop-oldest", "drop-newest", "latest"
                or "disconnect". Default None: what the service does, usually "block".
            max_age: after how many seconds of waiting an event is dropped; `math.inf` for never. Default
                None: what the service does, usually never.
            group: the name of a group that shares its events, each of which goes to one member. Default None:
                the stream is in none.
            ahead: how many events a member may have unacknowledged, that is not taken yet; 1 for long jobs.
                Default None: up to two batches.
            last: whether the last retained event of each of these subjects comes first; not with a group.
                Default False.

        Raises:
            ServiceNotFoundError: there is no name server, or no service in it (a NamingError).
            ServiceUnreachableError: the service does not answer at its address, or is too old to send events
                over a connection that was made to it (a CommunicationError).
            AccessDeniedError: the passphrase, or the user, is missing or wrong, at the name server or the
                service; or the user has no right to a name or to the group.
            TypeError, ValueError: an argument is not one of the above; the text says what to write.
        """
        ident = sealed(ident)
        names, patterns = check_subjects(subjects), check_texts(match, "pattern")
        options = given_options(backlog, backlog_bytes, overflow, max_age, group, ahead, last)
        locator = chosen_locator(ident, es_uri, None, name, ns_host, ns_port, user)
        receiver = StreamReceiver(locator, of_the_subscriber(options), checked_wait(wait))
        try:
            receiver.subscribe_to([(NAME, names), (PATTERN, patterns)], options)
            receiver.start()
        except BaseException:
            receiver.close()
            raise
        self.__receiver = receiver
        use_subscriptions(self, receiver)

    def get(self, timeout: float | None = None) -> Event:
        """Take the next event, and wait for it if there is none.

        Args:
            timeout: seconds to wait; 0 takes only what has come. Default None: until there is one.

        Returns:
            The event.

        Raises:
            TimeoutError: none came in time.
            EventServiceError: the stream is closed, before or meanwhile.
            TypeError, ValueError: the timeout is not a number of seconds of at least 0.

        Example:
            >>> with EventStream("NEWS") as events:
            ...     events.get(timeout=0)
            Traceback (most recent call last):
            ...
            TimeoutError: no event came within 0 s
        """
        seconds = checked_timeout(timeout)
        endless = seconds is None or seconds >= LONGEST_WAIT
        deadline = None if endless or seconds is None else time.monotonic() + seconds
        try:
            row = self.__inside().source.take(deadline)
        except NothingCameError:
            raise TimeoutError(f"no event came within {seconds:g} s") from None
        if row is None:
            raise EventServiceError(CLOSED)
        return Event.from_payload(*row)

    def __iter__(self: Self) -> Self:
        return self

    def __next__(self) -> Event:
        row = self.__inside().source.take(None)
        if row is None:
            raise StopIteration
        return Event.from_payload(*row)

    def statistics(self) -> StreamStatistics:
        """What this stream has done so far.

        Returns:
            A frozen snapshot.

        Raises:
            EventServiceError: `__init__` has not been called.

        Example:
            >>> with EventStream("NEWS") as events:
            ...     events.statistics().subscriptions
            ('NEWS',)
        """
        return self.__inside().statistics()

    def fileno(self) -> int:
        """A descriptor that is readable while an event can be taken: for `select`, Qt or Tk.

        Returns:
            The descriptor. It is not the connection's, so do not read it; it stays the same after a
            reconnection.

        Raises:
            EventServiceError: the stream is closed.

        Example:
            >>> import select
            >>> with EventStream("NEWS") as events:
            ...     select.select([events], [], [], 0)
            ([], [], [])
        """
        receiver = self.__inside()
        if receiver.source.closed:
            raise EventServiceError(CLOSED)
        return receiver.descriptor()

    def close(self) -> None:
        """Unsubscribe and release the connection. Calling it again is harmless.

        A thread that waits for an event wakes: its `get` raises EventServiceError, and its loop ends.
        """
        if self.__receiver is not None:
            self.__receiver.close()

    def __inside(self) -> StreamReceiver:
        if self.__receiver is None:
            raise EventServiceError(
                "call EventStream.__init__ first, in the __init__ of the class derived from it"
            )
        return self.__receiver

    def __repr__(self) -> str:
        receiver = self.__receiver
        if receiver is None:
            return "<EventStream, not initialised>"
        found = receiver.statistics()
        state = "closed" if receiver.source.closed else "connected" if found.connected else "not connected"
        return f"<EventStream {found.name!r} of {found.address}, {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an EventStream can be neither copied nor pickled, because it has connections: make another one "
            "where you need it"
        )

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        receiver = self.__receiver
        if receiver and not receiver.source.closed and not sys.is_finalizing():  # then locks may stay held
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            receiver.close(wait=False)
