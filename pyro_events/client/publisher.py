"""Publisher: the class with which a program publishes.

Knows: what one publish means. Must not know: frames and sockets (publishing/sender.py does).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast, overload

from Pyro5.core import URI

from ..broker.matching.service_subjects import check_published_all
from ..codec.message import encode_shared
from ..constants import BACKGROUND_BYTES, BACKGROUND_EVENTS
from ..errors import EventServiceError
from ..options import Overflow
from ..wire.handshake.passphrase import Ident, sealed
from .base import NOT_GIVEN, ClientBase, Uninitialised, add_end, checked_wait, chosen_locator, either
from .constructors import cooperative
from .interest_methods import InterestMethods
from .publishing.entry import checked_entry, checked_timeout
from .publishing.pipeline import Pipeline
from .publishing.sender import Sender

if TYPE_CHECKING:  # imported with the first background publisher
    from .background.options import BackgroundPolicy
    from .background.publisher import BackgroundPublisher


class Publisher(InterestMethods):
    """Publishes events. Any thread may use it; it has one connection, and makes a new one when that broke.

    Use it in a `with` statement, or call `close`.

    Example:
        >>> with Publisher() as market:
        ...     market.publish("STOCKQUOTE.SUN", ("SUN", 22.44))
        ...     with market.pipeline() as fast:
        ...         for price in (22.45, 22.46):
        ...             fast.publish("STOCKQUOTE.SUN", ("SUN", price))
        0
    """

    __sender: Sender = cast("Sender", Uninitialised("Publisher"))

    @cooperative(abandon=ClientBase.close)
    def __init__(
        self,
        ident: Ident = None,
        es_uri: str | URI | None = None,
        *,
        esURI: str | URI | None = None,
        user: str | None = None,
        name: str | None = None,
        ns_host: str | None = None,
        ns_port: int | None = None,
        wait: float = 0.0,
    ) -> None:
        """Find the event service and connect to it.

        Args:
            ident: the passphrase of service and name server, which both sides prove to each other. Default
                None: they have none.
            es_uri: where the service is: "host:port", "[::1]:9095", or a Pyro URI. Default None: what
                PYROEVENTS_ES_URI in the environment says; without it the name server is asked.
            esURI: Pyro3's name for `es_uri`; None by default.
            user: whose passphrase `ident` is: a user of the service's permissions file. Default None: it is
                the service's own.
            name: what statistics and log of the service call this client, at most 100 printable characters.
                Default None: the script's name and process id.
            ns_host: where the name server is. Default None: Pyro5's setting NS_HOST.
            ns_port: its port. Default None: Pyro5's setting NS_PORT.
            wait: seconds for which a service, or a name server, that is not there yet is tried again;
                `math.inf` for ever. Default 0: raise at once, within two seconds. A wrong passphrase, or TLS
                on one side only, is not waited for.

        Raises:
            ServiceNotFoundError: there is no name server, or no service in it (a NamingError).
            ServiceUnreachableError: the service does not answer at its address (a CommunicationError).
            AccessDeniedError: the passphrase, or the user, is missing or wrong, at the name server or the
                service.
            TypeError, ValueError: an argument is not one of the above; the text says what to write.

        Example:
            >>> with Publisher(es_uri=es_uri, name="market", wait=30) as market:
            ...     market
            <Publisher 'market' of PYRO:Pyro.EventService@..., connected>
        """
        ident = sealed(ident)
        locator = chosen_locator(ident, es_uri, esURI, name, ns_host, ns_port, user)
        self.__sender = Sender(locator, checked_wait(wait))
        add_end(self, "publisher", self.__sender)

    @overload
    def publish(
        self,
        subjects: str | Iterable[str],
        message: object,
        *,
        timeout: float | None = None,
        retain: bool = False,
    ) -> int: ...
    @overload
    def publish(
        self,
        subjects: str | Iterable[str],
        *,
        msg: object,
        timeout: float | None = None,
        retain: bool = False,
    ) -> int: ...
    def publish(
        self,
        subjects: str | Iterable[str],
        message: object = NOT_GIVEN,
        *,
        msg: object = NOT_GIVEN,
        timeout: float | None = None,
        retain: bool = False,
    ) -> int:
        """Publish a message under one name, or one event for each of several.

        A full backlog blocks the call, if its subscriber's overflow policy is `block`. An exception of your
        own, such as that of a signal's handler, reaches you as it is; the event is published once or never.

        Args:
            subjects: one name or any iterable of names, each of 1 to 255 characters.
            message: any Python object that can be sent; instances of your classes once `register_class`
                knows them. No default.
            msg: Pyro3's name for `message`; no default.
            timeout: seconds that the call may take. Default None: as long as the service blocks it.
            retain: whether the service also keeps the event as the last value of its subjects, for those who
                subscribe later with `last=True`; until the next such event, `clear_retained`, or the end of
                the service. False by default.

        Returns:
            How many deliveries the service has queued: 0 when nobody listens.

        Raises:
            TypeError, ValueError: a subject or the message cannot be published, or the service keeps as many
                last values as it may. As with the next two, nothing was published.
            AccessDeniedError: the user has no right to publish a subject; nothing was.
            MessageTooLargeError: the message is over the service's limit, which is 16 MiB by default.
            ServiceUnreachableError, ServiceNotFoundError: the connection was lost, and there is no new one.
            AnswerTimeoutError: the timeout is over (also a TimeoutError). Unless the text says that nothing
                was sent, the service may still publish the event, in its place in this publisher's order.
            OutcomeUnknownError: the connection broke before the acknowledgement.
            EventServiceError: this publisher is closed.

        Example:
            >>> market.publish("STOCKQUOTE.SUN", ("SUN", 22.44), timeout=2.0)
            0
            >>> market.publish(["WEATHER.RAIN", "ALARMS"], {"millimetres": 12.5})
            0
        """
        if msg is not NOT_GIVEN or message is NOT_GIVEN:
            message = either("publish()", "message", message, "msg", msg)
        if timeout is not None:
            timeout = checked_timeout(timeout)
        sender, payload = self.__sender, encode_shared(message)
        if len(payload) > sender.connection.current.max_message:
            sender.connection.check_size(len(payload))
        entry, events, _ = checked_entry(subjects, payload, retain)
        return sender.publish(entry, events, timeout) if events else 0

    def clear_retained(self, subjects: str | Iterable[str]) -> int:
        """Forget the last values of some subjects, after what this publisher has published before.

        Args:
            subjects: one name or any iterable of names; upper and lower case do not matter.

        Returns:
            How many of them had a last value, of those that the user may subscribe to.

        Raises:
            TypeError, ValueError: a name cannot be used; nothing was forgotten.
            AccessDeniedError: the user has no right to publish a subject.
            EventServiceError: one of those that `publish` raises.

        Example:
            >>> market.publish("STOCKQUOTE.SUN", 22.44, retain=True)
            0
            >>> market.clear_retained(["STOCKQUOTE.SUN", "STOCKQUOTE.IBM"])
            1
        """
        return self.__sender.clear_retained(check_published_all(subjects))

    def pipeline(self) -> Pipeline:
        """A faster way to publish much: gathers events and is acknowledged in the background.

        Several may be in use at once, and `publish` beside them: what one publisher publishes stays in order.

        Returns:
            A new Pipeline, for a `with` statement.

        Raises:
            EventServiceError: `__init__` has not been called.

        Example:
            >>> with market.pipeline() as fast:
            ...     for number in range(1000):
            ...         fast.publish("NUMBERS", number)
        """
        return Pipeline(self.__sender)

    def background(
        self,
        limit: int = BACKGROUND_EVENTS,
        limit_bytes: int = BACKGROUND_BYTES,
        overflow: Overflow | BackgroundPolicy = Overflow.DROP_OLDEST,
    ) -> BackgroundPublisher:
        """A way to publish that never waits for the service: for instruments that must not stop.

        It has a connection and a thread of its own, and its queue is bounded. What it publishes stays in
        order; between it and what this publisher publishes in other ways there is none. It ends with this
        publisher. It may be made while the service is away.

        Args:
            limit: how many events may wait to be sent, each subject of a call counted; 10,000 by default.
            limit_bytes: how many bytes of memory they may take; 64 MiB by default. A larger event is taken if
                no other waits.
            overflow: what is dropped beyond that: "drop-oldest", the default, "drop-newest", or "latest",
                which always keeps the newest event of each subject only.

        Returns:
            A new BackgroundPublisher, for a `with` statement.

        Raises:
            ValueError: a limit is not a whole number of at least 1, or the policy is none of the three.
            EventServiceError: this publisher is closed, or `__init__` has not been called.

        Example:
            >>> with market.background(overflow="latest") as instrument:
            ...     instrument.publish("OVEN.TEMPERATURE", 210.5)
        """
        from .background.options import BackgroundOptions
        from .background.publisher import BackgroundPublisher

        options = BackgroundOptions(limit, limit_bytes, Overflow.parse(overflow))
        if self.__sender.closed:
            raise EventServiceError("this publisher is closed: make a new one")
        return BackgroundPublisher(self.__sender, options)
