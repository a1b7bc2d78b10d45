"""Publisher: what a program uses to publish.

Knows: what one publish means. Must not know: frames and sockets (outbox.py does).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast, overload

from Pyro5.core import URI

from ..codec.message import encode_shared
from ..wire.passphrase import Ident, sealed
from .base import NOT_GIVEN, ClientBase, Uninitialised, add_end, checked_wait, chosen_finder, either
from .constructors import cooperative
from .publishing.entry import checked_entry, checked_timeout
from .publishing.pipeline import Pipeline
from .publishing.sender import Sender


class Publisher(ClientBase):
    """Publishes events. Any thread may use it; it has one connection, made anew when it broke.

    Use it in a `with` statement, or call `close`.
    """

    __sender: Sender = cast("Sender", Uninitialised("Publisher"))

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
        """Find the event service and connect to it.

        Args:
            ident: the passphrase of service and name server, if they have one; both must prove it too.
            es_uri: the service's address: `"host:port"`, `"[::1]:9095"`, or a Pyro URI, a str or Pyro5's.
                None: the name server is asked for it.
            esURI: the same in the original's spelling.
            name: what the service's statistics and log call this client, at most 100 printable characters;
                None is the script's name and process id.
            ns_host: where the name server is; None is Pyro5's setting NS_HOST.
            ns_port: its port; None is Pyro5's setting NS_PORT.
            wait: seconds for which a service, or a name server, that is not there yet is tried again; 0, the
                default, raises at once, which takes two seconds at most. A wrong passphrase, and a side that
                speaks TLS where the other does not, are not waited for.

        Raises:
            ServiceNotFoundError: no name server, or no service in it (a NamingError).
            ServiceUnreachableError: the service does not answer at its address (a CommunicationError).
            AccessDeniedError: the passphrase is missing, or wrong, at the name server or the service.
            TypeError, ValueError: an argument that cannot be; the text says what to write.

        Example:
            >>> Publisher(es_uri="lab-server:9095", wait=30)
        """
        ident = sealed(ident)
        locator = chosen_finder(ident, es_uri, esURI, name, ns_host, ns_port)
        self.__sender = Sender(locator, checked_wait(wait))
        add_end(self, "publisher", self.__sender)

    @overload
    def publish(
        self, subjects: str | Iterable[str], message: object, *, timeout: float | None = None
    ) -> int: ...
    @overload
    def publish(self, subjects: str | Iterable[str], *, msg: object, timeout: float | None = None) -> int: ...
    def publish(
        self,
        subjects: str | Iterable[str],
        message: object = NOT_GIVEN,
        *,
        msg: object = NOT_GIVEN,
        timeout: float | None = None,
    ) -> int:
        """Publish a message under one name, or one event for each of several.

        msg: Pyro3's name for `message`.

        Returns how many deliveries the service has queued: 0 when nobody listens. A full backlog
        holds the call up, as its subscriber's overflow policy says.

        timeout: seconds that the call may take; None, the default: as long as the service holds it up.
        When they are over, AnswerTimeoutError is raised, which is an OutcomeUnknownError and Python's
        TimeoutError. The service may still publish the event afterwards: it keeps its place in the order
        of what this publisher publishes.

        Raises TypeError or ValueError for a subject or message that cannot be published,
        MessageTooLargeError, ServiceUnreachableError (all: nothing was published), and
        OutcomeUnknownError when the connection broke before the acknowledgement. An exception of your
        own (a signal's handler's) reaches you as it is; the event is published once, or not at all.

        Example:
            market.publish("STOCKQUOTE.SUN", ("SUN", 22.44), timeout=2.0)
        """
        if msg is not NOT_GIVEN or message is NOT_GIVEN:
            message = either("publish()", "message", message, "msg", msg)
        if timeout is not None:
            timeout = checked_timeout(timeout)
        sender, payload = self.__sender, encode_shared(message)
        if len(payload) > sender.connection.current.max_message:
            sender.connection.check_size(len(payload))
        entry, events, _ = checked_entry(subjects, payload)
        return sender.publish(entry, events, timeout) if events else 0

    def pipeline(self) -> Pipeline:
        """A faster way to publish much: gathers events and is acknowledged in the background.

        Use it in a `with` statement. Several may be in use at once, and `publish` beside them: what
        this publisher publishes stays in order.
        """
        return Pipeline(self.__sender)
