"""What is published while a test runs, and waiting for it.

Knows: EventStream, the service's accounts, and how a failure is told. Must not know: pytest, or how a service
is started.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, TypeVar

import Pyro5.errors
from Pyro5.client import Proxy
from Pyro5.core import URI

from ..client.event_stream import EventStream
from ..client.publishing.entry import checked_timeout
from ..client.statistics import StreamStatistics
from ..codec.brief import brief
from ..event import Event
from ..foreign_exceptions import is_foreign
from ..options import Overflow, OverflowName
from ..transport.authenticated_proxy import IdentProxy
from ..wire.handshake.passphrase import Ident, identity_of, sealed

Self = TypeVar("Self", bound="EventCollector")

# What matches every subject: each has at least one character.
_EVERYTHING: Final = "."
# A failure shows the first events only.
_SHOWN: Final = 20
# How long the service may take to say how many events are on their way, and after how long it is asked again.
_ANSWER: Final = 2.0
_ASK_AGAIN: Final = 0.01


class EventCollector:
    """Keeps the events of a stream, in their order, and waits for them; `collect` makes one.

    Use it in a `with` statement, or call `close`, and in one thread. It keeps every event that the service
    has accepted before `close`, so `events` can be looked at afterwards.

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

    def __init__(self, stream: EventStream, ident: Ident = None) -> None:
        """Keep the events of a stream.

        Args:
            stream: the stream; nothing else takes events from it, and `close` closes it.
            ident: the stream's passphrase, for asking the service what is on its way. Default None: there is
                none.

        Raises:
            TypeError, ValueError: an argument is not one of the above.
        """
        self._identity = identity_of(sealed(ident))
        if not isinstance(stream, EventStream):
            raise TypeError(f"stream must be an EventStream, not {type(stream).__name__}")
        self._stream = stream
        self._events: list[Event] = []
        self._taken = 0  # how many of them `wait_for` has returned
        self._closed = False

    @property
    def events(self) -> list[Event]:
        """All events so far, also those that `wait_for` has returned.

        Whatever the service had accepted before is among them: an event is there as soon as the `publish` of
        its program has returned. So an empty list says that nothing was published. While the service cannot
        be reached, it is what has come.
        """
        if not self._closed:
            self._take_all()
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
        until = math.inf if seconds is None else time.monotonic() + seconds
        last = self._taken + n
        while len(self._events) < last:
            if not self._take_one(max(0.0, until - time.monotonic())):
                came = self._events[self._taken :]
                raise AssertionError(_failure(n, timeout, came, self._stream.statistics()))
        events = self._events[self._taken : last]
        self._taken = last
        return events

    def _take_all(self) -> None:
        """Take what the service has accepted for this stream until now."""
        self._take_what_came()
        account = self._account()
        wanted = 0 if account is None else account["accepted"]
        while account is not None and account["delivered"] + sum(account["lost"].values()) < wanted:
            # There may be another account, if the stream has connected again meanwhile.
            if account["accepted"] < wanted:
                return
            self._take_one(_ASK_AGAIN)
            self._take_what_came()
            account = self._account()

    def _take_what_came(self) -> None:
        while self._take_one(0.0):
            pass

    def _account(self) -> dict[str, Any] | None:
        """What the service says of this stream; None if it cannot be asked, or does not know it."""
        found = self._stream.statistics()
        if found.address is None or not found.connected:
            return None
        own = f"OWN:{found.id}@"
        identity = self._identity
        try:
            with Proxy(found.address) if identity is None else IdentProxy(found.address, identity) as es:
                es._pyroTimeout = _ANSWER
                subscribers: list[dict[str, Any]] = es.statistics()["subscribers"]
        except Pyro5.errors.PyroError as error:
            if is_foreign(error, Pyro5.errors.PyroError):
                raise
            return None
        return next((each for each in subscribers if each["subscriber"].startswith(own)), None)

    def _take_one(self, timeout: float) -> bool:
        """Whether an event came in time; it is kept."""
        try:
            self._events.append(self._stream.get(timeout))
        except TimeoutError as error:
            if is_foreign(error, TimeoutError):
                raise
            return False
        return True

    def close(self) -> None:
        """Unsubscribe and release the connection, and keep what has come. Calling it again is harmless."""
        try:
            if not self._closed:
                self._take_all()
        finally:
            self._closed = True
            self._stream.close()

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


def collect(
    subjects: str | Iterable[str] = (),
    match: str | Iterable[str] = (),
    es_uri: str | URI | None = None,
    *,
    ident: Ident = None,
    name: str | None = None,
    wait: float = 0.0,
    ns_host: str | None = None,
    ns_port: int | None = None,
    backlog: int | None = None,
    backlog_bytes: int | None = None,
    overflow: Overflow | OverflowName | None = None,
) -> EventCollector:
    """Subscribe, and keep what is published from now on.

    Args:
        subjects: one name or any iterable of names. Default (): none.
        match: one regular expression or any iterable of them. Default (): none. With neither names nor
            patterns, it is every event.
        es_uri: where the service is. Default None: as for EventStream, so that the fixture `event_service`
            needs nothing here.
        ident: as for EventStream; None by default.
        name: as for EventStream; None by default.
        wait: as for EventStream; 0 by default.
        ns_host: as for EventStream; None by default.
        ns_port: as for EventStream; None by default.
        backlog: as for EventStream; None by default.
        backlog_bytes: as for EventStream; None by default.
        overflow: as for EventStream; None by default.

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
    subjects = subjects if isinstance(subjects, str) else tuple(subjects)
    match = match if isinstance(match, str) else tuple(match)
    stream = EventStream(
        subjects,
        match=match if subjects or match else _EVERYTHING,
        es_uri=es_uri,
        ident=ident,
        name=name,
        wait=wait,
        ns_host=ns_host,
        ns_port=ns_port,
        backlog=backlog,
        backlog_bytes=backlog_bytes,
        overflow=overflow,
    )
    return EventCollector(stream, ident)


def _check_number(n: object) -> None:
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"n must be a number of events, an int, not {type(n).__name__}")
    if n < 1:
        raise ValueError(
            f"n={n} is not allowed: give 1 or more; to see that nothing more has come, look at `events`"
        )


def _failure(n: int, timeout: float, came: Sequence[Event], stream: StreamStatistics) -> str:
    """What came instead of `n` events."""
    text = f"{n} event{'s' if n > 1 else ''} expected within {timeout:g} s, {len(came) or 'none'} came"
    text += f"; subscribed to: {', '.join(stream.subscriptions)}"
    if not stream.connected:
        text += f"; the connection to {stream.address} is lost"
    lines = [text, *(f"  {_shown(event)}" for event in came[:_SHOWN])]
    if len(came) > _SHOWN:
        lines.append(f"  and {len(came) - _SHOWN} more")
    return "\n".join(lines)


def _shown(event: Event) -> str:
    """One event in a line."""
    try:
        value = event.plain()
        # A text in quotes, so that "1" and 1 do not look alike.
        message = repr(brief(value)) if isinstance(value, str) else " ".join(brief(value).split())
    except Exception as error:  # not a message, or the program's own class cannot be shown
        message = f"<{type(error).__name__}: {error}>"
    if event.missed != 0:
        message += f" (missed before it: {'nobody knows' if event.missed is None else event.missed})"
    return f"{event.subject}: {message}"
