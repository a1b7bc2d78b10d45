"""The errors of pyro_events.

Pyro5.errors.PyroError
 └── EventServiceError                      base of all below
      ├── ServiceNotFoundError              no name server, or no event service in it (a NamingError)
      ├── ServiceExistsError                another live service has the name (a NamingError)
      ├── ServiceUnreachableError           it is registered, but does not answer (a CommunicationError)
      ├── AccessDeniedError                 a passphrase or a right is missing (a SecurityError)
      │    ├── NameServerDeniedError        it is the name server that demands it (a NamingError too)
      │    └── ClocksDifferError            it is right, but the two clocks are too far apart
      ├── OutcomeUnknownError               the connection broke during a call (a ConnectionClosedError)
      │    └── AnswerTimeoutError           the answer took longer than the call's timeout (a TimeoutError)
      ├── PipelineError                     not everything in a pipeline was published, and how much was
      │    └── PipelineOutcomeUnknownError  the same, with some unknown (an OutcomeUnknownError)
      ├── UnsupportedTypeError              a value that cannot be sent (a TypeError)
      ├── RemoteError                       stands for a published exception whose class is not known
      ├── PayloadError                      bytes that are not an encoded message (a ValueError)
      └── MessageTooLargeError              over the limit (Pyro5's error of that name, a ValueError)

Knows: Pyro5's error classes. Must not know: where each is raised.

AccessDeniedError is not a CommunicationError, after which programs try again for ever. A stock Pyro5 proxy
gets one, "rejected: denied", where it may not connect: it can rebuild only classes of Python and of Pyro5.
"""

from __future__ import annotations

import Pyro5.errors

__all__ = [
    "AccessDeniedError",
    "AnswerTimeoutError",
    "ClocksDifferError",
    "EventServiceError",
    "MessageTooLargeError",
    "NameServerDeniedError",
    "OutcomeUnknownError",
    "PayloadError",
    "PipelineError",
    "PipelineOutcomeUnknownError",
    "RemoteError",
    "ServiceExistsError",
    "ServiceNotFoundError",
    "ServiceUnreachableError",
    "UnsupportedTypeError",
]


class EventServiceError(Pyro5.errors.PyroError):
    """Base class of every error that pyro_events defines.

    Example:
        >>> try:
        ...     Publisher(ns_host="127.0.0.1", ns_port=1)
        ... except EventServiceError as error:
        ...     print("no events today:", type(error).__name__)
        no events today: ServiceNotFoundError
    """


class ServiceNotFoundError(EventServiceError, Pyro5.errors.NamingError):
    """No name server was found, or it knows no event service.

    Attributes:
        temporary: whether trying again later may help; False where only one of the two sides speaks TLS.

    Example:
        >>> try:
        ...     Publisher(ns_host="127.0.0.1", ns_port=1)
        ... except ServiceNotFoundError as error:
        ...     print(error.temporary)
        True
    """

    temporary = True


class ServiceExistsError(EventServiceError, Pyro5.errors.NamingError):
    """Another event service, which is alive, has the name.

    Example:
        >>> try:
        ...     EventServiceStarter(port=0).start()
        ... except ServiceExistsError:
        ...     print("use that one, or take its name with replace=True")
        use that one, or take its name with replace=True
    """


class ServiceUnreachableError(EventServiceError, Pyro5.errors.CommunicationError):
    """The event service's address is known, but no event service answers there.

    Attributes:
        temporary: whether trying again later may help; False where only one of the two sides speaks TLS.
        tls: whether it was TLS that failed.

    Example:
        >>> try:
        ...     Publisher(es_uri="127.0.0.1:1")
        ... except ServiceUnreachableError as error:
        ...     print(error.temporary, error.tls)
        True False
    """

    temporary = True
    tls = False


class AccessDeniedError(EventServiceError, Pyro5.errors.SecurityError):
    """A passphrase (`ident`) is missing or not accepted, or a user has no right to what it asked for.

    Attributes:
        of_call: whether the connection was accepted, and the service refused one call on it.

    Example:
        >>> with EventServiceStarter(port=0, use_ns=False, ident="secret") as guarded:
        ...     Publisher("another", guarded.uri)
        Traceback (most recent call last):
        pyro_events.errors.AccessDeniedError: denied
    """

    of_call = False


class NameServerDeniedError(AccessDeniedError, ServiceNotFoundError):
    """The name server and this program do not have the same passphrase, so no service was found.

    Attributes:
        temporary: False, because trying again does not help.

    Example:
        >>> with NameServerStarter("127.0.0.1", 0, ident="secret") as names:
        ...     port = int(names.uri.rpartition(":")[2])
        ...     Publisher(ns_host="127.0.0.1", ns_port=port)
        Traceback (most recent call last):
        pyro_events.errors.NameServerDeniedError: denied
    """

    temporary = False


class ClocksDifferError(AccessDeniedError):
    """The passphrase is right, but the clocks of the two sides differ by more than a proof of it allows.

    Attributes:
        seconds: how far the other clock is ahead of this one; negative if it is behind.

    Example:
        >>> try:
        ...     raise ClocksDifferError("the clocks differ", seconds=90.0)
        ... except AccessDeniedError as error:
        ...     print(f"set a clock: the other one is {error.seconds:g} s ahead")
        set a clock: the other one is 90 s ahead
    """

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        """Make the error.

        Args:
            message: what `str` returns.
            seconds: how far the other clock is ahead; 0 by default.
        """
        super().__init__(message)
        self.seconds = seconds


class OutcomeUnknownError(EventServiceError, Pyro5.errors.ConnectionClosedError):
    """The connection broke after a call was sent and before it was answered.

    It may or may not have taken effect. It is not repeated, because it could then take effect twice.

    Example:
        >>> def publish_at_least_once(subject, message):
        ...     try:
        ...         market.publish(subject, message)
        ...     except OutcomeUnknownError:
        ...         market.publish(subject, message)
    """


class AnswerTimeoutError(OutcomeUnknownError, Pyro5.errors.TimeoutError, TimeoutError):
    """The answer did not come within the `timeout` of the call; it may have taken effect, or still will.

    It is Python's TimeoutError and Pyro5's as well.

    Example:
        >>> ticker.subscribe("STOCKQUOTE.SUN", backlog=1)
        >>> market.publish("STOCKQUOTE.SUN", 22.44)
        1
        >>> try:
        ...     market.publish("STOCKQUOTE.SUN", 22.45, timeout=0.1)
        ... except TimeoutError as error:
        ...     print("its backlog is full:", type(error).__name__)
        its backlog is full: AnswerTimeoutError
    """


class PipelineError(EventServiceError, Pyro5.errors.CommunicationError):
    """Not everything that a pipeline accepted was published. `__cause__` is the first error.

    The numbers say what became of the events that the pipeline has accepted since it was made, one for each
    subject.

    Attributes:
        published: events that the service has acknowledged.
        not_published: events that were not published.
        unknown: events that were sent and not acknowledged, because the connection broke before that.
        pending: events that are buffered, or not acknowledged yet; 0 at the end of `flush` or the block.

    Example:
        >>> with EventServiceStarter(port=0, use_ns=False) as ended:
        ...     publisher = Publisher(es_uri=ended.uri)
        >>> try:
        ...     with publisher, publisher.pipeline() as fast:
        ...         fast.publish("STOCKQUOTE.SUN", 22.44)
        ... except PipelineError as error:
        ...     print(error.published, "of", error.published + error.not_published + error.unknown)
        0 of 1
    """

    published = not_published = unknown = pending = 0


class PipelineOutcomeUnknownError(PipelineError, OutcomeUnknownError):
    """A PipelineError with events of which nobody knows whether they were published.

    Example:
        >>> try:
        ...     with market.pipeline() as fast:
        ...         fast.publish("STOCKQUOTE.SUN", 22.44)
        ... except PipelineOutcomeUnknownError as error:
        ...     print(error.unknown)
    """


class UnsupportedTypeError(EventServiceError, TypeError):
    """A value in a message has a type that cannot be sent; the text says which, and where.

    Example:
        >>> try:
        ...     market.publish("STOCKQUOTE.SUN", {"price": object()})
        ... except TypeError as error:
        ...     print(str(error).partition(";")[0])
        cannot send <class 'object'> at message['price']
    """


class PayloadError(EventServiceError, ValueError):
    """Bytes that should be an encoded message are not, or name a class that is not known here.

    Example:
        >>> Event.from_payload("STOCKQUOTE.SUN", 0.0, 1, 0, b"not a message").msg
        Traceback (most recent call last):
        pyro_events.errors.PayloadError: this is not an encoded message
    """


class RemoteError(EventServiceError):
    """An exception that was published and whose class is not registered, or not known in this program.

    It is a value, as every message is: nothing raises it.

    Example:
        >>> class Overheated(Exception): ...
        >>> error = Event.from_dict(Event("OVEN", Overheated("210 degrees")).to_dict()).msg
        >>> error.type_name, error.text
        ('__main__.Overheated', '210 degrees')
    """

    def __init__(self, type_name: str, text: str = "") -> None:
        """Make one, as decoding a message does.

        Args:
            type_name: module and name of the exception's class.
            text: what `str` made of the exception; empty by default.
        """
        super().__init__(type_name, text)

    @property
    def type_name(self) -> str:
        """Module and name of the class of the exception that was published."""
        return str(self.args[0]) if self.args else ""

    @property
    def text(self) -> str:
        """What `str` made of the exception in the program that published it."""
        return str(self.args[1]) if len(self.args) > 1 else ""

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class MessageTooLargeError(EventServiceError, Pyro5.errors.MessageTooLargeError, ValueError):
    """A message is larger than the service accepts: 16 MiB, or what its `--max-message` says.

    Example:
        >>> market.publish("CAMERA", bytes(20 * 1024 * 1024))
        Traceback (most recent call last):
        pyro_events.errors.MessageTooLargeError: a message of 20,971,525 bytes is over the limit
    """
