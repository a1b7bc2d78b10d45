"""What is published while a test runs, and waiting for it.

Knows: EventStream, and the service's accounts. Must not know: pytest, how a service is started, or what the
events are.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, TypeVar

import Pyro5.errors
from Pyro5.client import Proxy
from Pyro5.core import URI

from ..client.event_stream import EventStream
from ..client.publishing.entry import checked_timeout
from ..errors import EventServiceError
from ..event import Event
from ..foreign_exceptions import is_foreign
from ..options import Overflow, OverflowName
from ..transport.authenticated_proxy import IdentProxy
from ..wire.handshake.passphrase import Ident, identity_of, sealed
from .failure_text import failure_text

Self = TypeVar("Self", bound="EventCollector")

# What matches every subject: each has at least one character.
_EVERYTHING: Final = "."
# How long the service may take to say how many events are on their way, and after how long it is asked again.
_ANSWER: Final = 2.0
_ASK_AGAIN: Final = 0.01


class EventCollector:
    """Keeps the events of a stream, in their order, and waits for them; `collect` makes one.

    Use it in a `with` statement, or call `close`. A thread of its own takes the events, so they do not fill
    a backlog. It keeps every event that the service has accepted before `close`, and `events` can be looked
    at afterwards.

    Example:
        >>> with collect(match="^STOCKQUOTE[.]") as quotes, Publisher() as market:
        ...     for price in (22.44, 22.45, 22.46):
        ...         market.publish("STOCKQUOTE.SUN", price)
        ...     [event.msg for event in quotes.wait_for(2)]
        ...     [event.msg for event in quotes.wait_for(1)]
        1
        1
        1
        [22.44, 22.45]
        [22.46]
        >>> len(quotes.events)
        3
    """

    def __init__(self, stream: EventStream, ident: Ident = None, user: str | None = None) -> None:
        """Keep the events of a stream.

        Args:
            stream: the stream; nothing else takes events from it, and `close` closes it.
            ident: the stream's passphrase, for asking the service what is on its way. Default None: there is
                none.
            user: whose passphrase that is. Default None: it is the service's own.

        Raises:
            TypeError, ValueError: an argument is not one of the above.
        """
        self._closed = True
        self._identity = identity_of(sealed(ident), user)
        if not isinstance(stream, EventStream):
            raise TypeError(f"stream must be an EventStream, not {type(stream).__name__}")
        self._stream = stream
        self._events: list[Event] = []
        self._before = stream.statistics().taken
        self._returned = 0  # how many of them `wait_for` has returned
        self._came = threading.Condition()
        self._closed = False
        kept = (stream, self._events, self._came)
        self._thread = threading.Thread(target=_keep, args=kept, name="pyro_events-collect", daemon=True)
        self._thread.start()

    @property
    def events(self) -> list[Event]:
        """All events so far, also those that `wait_for` has returned.

        Whatever the service had accepted before is among them: an event is there as soon as the `publish` of
        its program has returned. So an empty list says that nothing was published. While the service cannot
        be reached, it is what has come.
        """
        if not self._closed:
            self._catch_up()
        with self._came:
            return list(self._events)

    def wait_for(self, n: int, timeout: float = 5.0) -> list[Event]:
        """The next `n` events.

        If more have come, they stay for the next call. If fewer have come, all of them do.

        Args:
            n: how many, at least 1.
            timeout: seconds to wait at most for all of them; 5 by default.

        Returns:
            The events, in their order.

        Raises:
            AssertionError: fewer have come; the text says which.
            EventServiceError: this collector is closed, and has not kept as many.
            TypeError, ValueError: an argument is not one of the above.

        Example:
            >>> with collect("NEWS") as news:
            ...     news.wait_for(1, timeout=0.1)
            Traceback (most recent call last):
            AssertionError: 1 event expected within 0.1 s, none came; subscribed to: NEWS
        """
        __tracebackhide__ = True  # pytest shows the test's line
        _check_number(n)
        seconds = checked_timeout(timeout)
        with self._came:
            last = self._returned + n
            self._came.wait_for(lambda: len(self._events) >= last or self._closed, seconds)
            events = self._events[self._returned : last]
            if len(events) == n:
                self._returned = last
                return events
        if self._closed:
            raise EventServiceError(f"this collector is closed; it has kept {len(events)} more, and not {n}")
        raise AssertionError(failure_text(n, timeout, events, self._stream.statistics()))

    def _catch_up(self) -> None:
        """Wait until what the service has accepted for this stream until now has been taken."""
        account = self._account()
        wanted = 0 if account is None else account["accepted"]
        while account is not None and account["delivered"] + sum(account["lost"].values()) < wanted:
            # There may be another account, if the stream has connected again meanwhile.
            if account["accepted"] < wanted:
                break
            with self._came:
                self._came.wait(_ASK_AGAIN)
            account = self._account()
        taken = self._stream.statistics().taken - self._before
        with self._came:  # the thread has taken them, but may not have kept the last one yet
            self._came.wait_for(lambda: len(self._events) >= taken or not self._thread.is_alive())

    def _account(self) -> dict[str, Any] | None:
        """What the service says of this stream; None if it cannot be asked, or does not know it."""
        found = self._stream.statistics()
        if found.address is None or not found.connected:
            return None
        own = f"OWN:{found.id}@"
        identity = self._identity
        try:
            with Proxy(found.address) if identity is None else IdentProxy(found.address, identity) as es:
                # Whatever Pyro5's settings are.
                es._pyroTimeout, es._pyroSerializer = _ANSWER, "serpent"
                subscribers: list[dict[str, Any]] = es.statistics()["subscribers"]
        except Pyro5.errors.PyroError as error:
            if is_foreign(error, Pyro5.errors.PyroError):
                raise
            return None
        return next((each for each in subscribers if each["subscriber"].startswith(own)), None)

    def close(self) -> None:
        """Unsubscribe and release the connection, and keep what has come. Calling it again is harmless."""
        try:
            if not self._closed:
                self._catch_up()
        finally:
            self._stream.close()
            self._thread.join()
            with self._came:
                self._closed = True
                self._came.notify_all()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {len(self._events)} events of {self._stream!r}>"

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
        if not self._closed and not sys.is_finalizing():  # then locks may stay held
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)


def _keep(stream: EventStream, events: list[Event], came: threading.Condition) -> None:
    """Keep what comes, until the stream is closed; in a thread of its own."""
    for event in stream:
        with came:
            events.append(event)
            came.notify_all()


def _kept(texts: str | Iterable[str]) -> str | tuple[str, ...]:
    """The same texts, which can be read more than once."""
    return texts if isinstance(texts, str) else tuple(texts)


def collect(
    subjects: str | Iterable[str] = (),
    match: str | Iterable[str] = (),
    es_uri: str | URI | None = None,
    *,
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
) -> EventCollector:
    """Subscribe, and keep what is published from now on.

    Args:
        subjects: one name or any iterable of names. Default (): none.
        match: one regular expression or any iterable of them. Default (): none. With neither names nor
            patterns, it is every event.
        es_uri: where the service is. Default None: as for EventStream, so that the fixture `event_service`
            needs nothing here.
        ident: as for EventStream; None by default.
        user: as for EventStream; None by default.
        name: as for EventStream; None by default.
        wait: as for EventStream; 0 by default.
        ns_host: as for EventStream; None by default.
        ns_port: as for EventStream; None by default.
        backlog: as for EventStream; None by default.
        backlog_bytes: as for EventStream; None by default.
        overflow: as for EventStream; None by default.
        max_age: as for EventStream; None by default.
        group: as for EventStream; None by default.
        ahead: as for EventStream; None by default.
        last: as for EventStream; False by default.

    Returns:
        What keeps the events, for a `with` statement.

    Raises:
        EventServiceError: as EventStream; there is no service, for example.
        TypeError, ValueError: an argument is not one of the above; the text says what to write.

    Example:
        >>> with collect() as everything, Publisher() as market:
        ...     market.publish(["STOCKQUOTE.SUN", "NEWS"], "up")
        ...     [event.subject for event in everything.wait_for(2)]
        2
        ['STOCKQUOTE.SUN', 'NEWS']
    """
    ident = sealed(ident)
    subjects, match = _kept(subjects), _kept(match)
    stream = EventStream(
        subjects,
        match=match if subjects or match else _EVERYTHING,
        es_uri=es_uri,
        ident=ident,
        user=user,
        name=name,
        wait=wait,
        ns_host=ns_host,
        ns_port=ns_port,
        backlog=backlog,
        backlog_bytes=backlog_bytes,
        overflow=overflow,
        max_age=max_age,
        group=group,
        ahead=ahead,
        last=last,
    )
    return EventCollector(stream, ident, user)


def _check_number(n: object) -> None:
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"n must be a number of events, an int, not {type(n).__name__}")
    if n < 1:
        raise ValueError(
            f"n={n} is not allowed: give 1 or more; to see that nothing more has come, look at `events`"
        )
