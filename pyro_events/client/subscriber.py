"""Subscriber: the base class of a program's subscribers.

Knows: what a program may do with a subscriber. Must not know: frames and sockets, or how handlers get their
threads (receiver.py does).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

from Pyro5.core import URI
from Pyro5.server import expose

from ..event import Event
from ..wire.handshake.passphrase import Ident, sealed
from .base import ClientBase, Uninitialised, add_end, checked_wait, chosen_locator
from .constructors import cooperative
from .dispatch.handlers import check_class, check_own_handlers
from .event_functions import EventFunctions
from .publishing.entry import checked_timeout
from .pyro3_names import Pyro3Names
from .subscribe_methods import ChangesSubscriptions, SubscribeMethods, use_subscriptions
from .subscribing.function_subscriptions import FunctionSubscriptions
from .subscribing.receiver import Receiver
from .subscribing.ways.event_way import checked_callback

Self = TypeVar("Self", bound="Subscriber")


class Subscriber(EventFunctions, SubscribeMethods, Pyro3Names):
    """Derive from it and override `event`; no decorator is needed.

    Subscribing works from `__init__` on, in any thread, inside `event` too; events come when
    `listen` runs. Use it in a `with` statement, or call `close`.

    Example:
        >>> class Ticker(Subscriber):
        ...     def event(self, event):
        ...         print(event.subject, "=", event.msg)
        ...         self.abort()
        >>> with Ticker() as ticker, Publisher() as market:
        ...     ticker.subscribe("STOCKQUOTE.SUN")
        ...     market.publish("STOCKQUOTE.SUN", 22.44)
        ...     ticker.listen()
        1
        STOCKQUOTE.SUN = 22.44
    """

    __receiver: Receiver = cast("Receiver", Uninitialised("Subscriber"))
    _SubscribeMethods__subscriptions = cast(ChangesSubscriptions, Uninitialised("Subscriber"))

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
        callback: bool | None = None,
    ) -> None:
        """Find the event service and connect to it.

        With `ident`, nothing but a service that proves it reaches this object and its daemon.

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
            callback: how events come. True: the service connects to this object's daemon. False: this object
                makes a connection to the service, opens no port and has no daemon. Default None: the service
                connects, and where it cannot (NAT, a firewall, a container), this object does so itself
                within three seconds, and logs why.

        Raises:
            ServiceNotFoundError: there is no name server, or no service in it (a NamingError).
            ServiceUnreachableError: the service does not answer at its address (a CommunicationError). With
                callback=False, too, if it is one that needs the daemon.
            AccessDeniedError: the passphrase, or the user, is missing or wrong, at the name server or the
                service.
            TypeError, ValueError: an argument is not one of the above; the text says what to write. TypeError
                too where `event` or `on_reconnect` is a coroutine function or a generator, or the class has
                an attribute `events`.
        """
        ident = sealed(ident)
        check_class(type(self), Subscriber, _HANDLERS)
        check_own_handlers(self, _HANDLERS)
        locator = chosen_locator(ident, es_uri, esURI, name, ns_host, ns_port, user)
        receiver = Receiver(
            locator,
            lambda: self.event,
            lambda reason: self.on_reconnect(reason),
            checked_wait(wait),
            checked_callback(callback),
        )
        self.__receiver = receiver
        use_subscriptions(self, _CheckedSubscriptions(self, receiver.subscriptions))
        add_end(self, "subscriber", receiver)
        try:
            receiver.announce(self)
        except BaseException:
            receiver.close()
            raise

    def event(self, event: Event) -> None:
        """Override this: it is called with every event, in threads of its own.

        It must be a plain function, not a coroutine function or a generator. Unless it is overridden, it
        prints the event.

        Args:
            event: what was published.

        Raises:
            Exception: whatever yours raises is logged and counted; it loses this event and no other.
        """
        print(event)

    def on_reconnect(self, reason: str) -> None:
        """Override this to hear that the service has been lost and found again.

        It is called before the first event that comes afterwards, whose `missed` is None: nobody knows
        how many were missed. All subscriptions are being made again. `seq` starts from 1 again.

        Args:
            reason: why the service was lost.

        Raises:
            Exception: whatever yours raises is logged.
        """

    @expose  # type: ignore[untyped-decorator]
    def events(self, batch: Any) -> list[int]:
        """For the service: handle events.

        Args:
            batch: rows of [subject, time, seq, missed, payload].

        Returns:
            The positions of the rows whose `event` raised.

        Raises:
            TypeError, ValueError: it is not such a batch.
        """
        return self.__receiver.dispatcher.handle_rows(batch)

    def listen(self) -> None:
        """Let events come, until `abort` or `close`. May be called again after `abort`.

        While it runs, a service that is lost is looked for, and subscribed to again.

        Raises:
            EventServiceError: this subscriber is closed, or another thread listens.
        """
        self.__receiver.listen()

    def listen_in_background(self: Self) -> Self:
        """Run `listen` in a daemon thread, until `abort` or `close`; `close` waits for that thread.

        Returns:
            This subscriber, when events come; for a `with` statement.

        Raises:
            EventServiceError: as for `listen`.

        Example:
            >>> with Subscriber().listen_in_background() as ticker:
            ...     ticker.subscribe("STOCKQUOTE.SUN")
        """
        self.__receiver.listen_in_background(lambda: type(self).listen(self))
        return self

    def wait_until_connected(self, timeout: float | None = None) -> bool:
        """Wait until the service reaches this subscriber.

        It connects when there is a subscription, and is answered while `listen` runs, or the daemon's request
        loop. If it does not reach this subscriber, `statistics().unreachable` says why.

        Args:
            timeout: seconds to wait. Default None: until the service reaches it, or `close`.

        Returns:
            Whether the service reaches it.

        Raises:
            TypeError, ValueError: the timeout is not a number of seconds of at least 0.

        Example:
            >>> with Subscriber().listen_in_background() as ticker:
            ...     ticker.subscribe("STOCKQUOTE.SUN")
            ...     ticker.wait_until_connected(timeout=10)
            True
        """
        return self.__receiver.wait_until_connected(checked_timeout(timeout))

    def abort(self) -> None:
        """End `listen`: no further event starts, and what is being handled is not waited for.

        Returns at once, from any thread, inside `event` too. The subscriptions stay.
        """
        self.__receiver.abort()

    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if name != "events"]  # which is the service's


# The methods that a program overrides, or sets on the object.
_HANDLERS = ("event", "on_reconnect")


class _CheckedSubscriptions:
    """Subscribes only while the handlers, some of which may have been set on the object lately, can be
    used."""

    def __init__(self, subscriber: Subscriber, subscriptions: FunctionSubscriptions) -> None:
        self._subscriber = subscriber
        self._subscriptions = subscriptions

    def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> None:
        check_own_handlers(self._subscriber, _HANDLERS)
        self._subscriptions.subscribe(how, texts, options)

    def unsubscribe(self, texts: list[str]) -> None:
        self._subscriptions.unsubscribe(texts)
