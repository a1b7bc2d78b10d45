"""Publisher: what a program uses to publish.

Knows: what one publish means. Must not know: frames and sockets (outbox.py does).
"""

from __future__ import annotations

from typing import Any, cast

from ..codec import encode_shared
from .entries import checked_entry
from .outbox import Outbox
from .participant import Participant, Uninitialised, chosen_finder
from .pipeline import Pipeline


class Publisher(Participant):
    """Publishes events. Any thread may use it; it has one connection, made anew when it broke.

    Use it in a `with` statement, or call `close`.
    """

    __outbox: Outbox = cast("Outbox", Uninitialised("Publisher"))

    def __init__(self, ident: str | None = None, es_uri: object = None, *, esURI: object = None) -> None:
        """Find the event service and connect to it.

        ident: the passphrase of service and name server, if they have one; both must prove it too.
        es_uri: the service's address, a str or a Pyro5 URI; without one the name server is asked, as
        Pyro5's config says. esURI: the same in the original's spelling.
        Raises ServiceNotFoundError (a NamingError), ServiceUnreachableError (a CommunicationError) or
        AccessDeniedError.
        """
        self.__outbox = Outbox(chosen_finder(ident, es_uri, esURI))
        self._join("publisher", self.__outbox)

    def publish(self, subjects: Any, message: object) -> int:
        """Publish a message under one name, or one event for each of several.

        Returns how many deliveries the service has queued: 0 when nobody listens. A full backlog
        holds the call up, as its subscriber's overflow policy says.

        Raises TypeError or ValueError for a subject or message that cannot be published,
        MessageTooLargeError, ServiceUnreachableError (all: nothing was published), and
        OutcomeUnknownError when the connection broke before the acknowledgement.
        """
        entry, events, _ = checked_entry(subjects, encode_shared(message))
        return self.__outbox.publish(entry, events) if events else 0

    def pipeline(self) -> Pipeline:
        """A faster way to publish much: gathers events and is acknowledged in the background.

        Use it in a `with` statement. Several may be in use at once, and `publish` beside them: what
        this publisher publishes stays in order.
        """
        return Pipeline(self.__outbox)
