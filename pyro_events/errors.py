"""The errors of pyro_events.

Pyro5.errors.PyroError
 └── EventServiceError                      base of all below
      ├── ServiceNotFoundError              no name server, or no event service in it (a NamingError)
      ├── ServiceExistsError                another live service has the name (a NamingError)
      ├── ServiceUnreachableError           it is registered, but does not answer (a CommunicationError)
      ├── AccessDeniedError                 the passphrase is missing, or not accepted (a SecurityError)
      │    ├── NameServerDeniedError        it is the name server that demands it (a NamingError too)
      │    └── ClocksDifferError            it is right, but the two clocks are too far apart
      ├── OutcomeUnknownError               the connection broke during a call (a ConnectionClosedError)
      │    └── AnswerTimeoutError           the answer took longer than the call's timeout (a TimeoutError)
      ├── PipelineError                     not everything in a pipeline was published, and how much was
      │    └── PipelineOutcomeUnknownError  the same, with some unknown (an OutcomeUnknownError)
      ├── UnsupportedTypeError              a value that cannot be carried (a TypeError)
      ├── RemoteError                       stands for a published exception whose class is not known
      ├── PayloadError                      bytes that are no message of ours (a ValueError)
      └── MessageTooLargeError              over the limit (Pyro5's error of that name, a ValueError)

Knows: Pyro5's error classes. Must not know: who raises what.

AccessDeniedError is no CommunicationError: a program that tries again after one of those would try for
ever. A stock Pyro5 proxy does get a CommunicationError, "rejected: denied", because it knows no other.

What the service answers to a client is always an error class of Python or of Pyro5 itself, because
a stock client could not rebuild one of these.
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
    """Base class of every error that pyro_events defines."""


class ServiceNotFoundError(EventServiceError, Pyro5.errors.NamingError):
    """No name server was found, or it knows no event service.

    temporary: whether trying again later may help; False where one side speaks TLS and the other does not.
    """

    temporary = True


class ServiceExistsError(EventServiceError, Pyro5.errors.NamingError):
    """The name is taken by another event service that is alive."""


class ServiceUnreachableError(EventServiceError, Pyro5.errors.CommunicationError):
    """The event service's address is known, but nothing there answers as one.

    temporary: whether trying again later may help; False where one side speaks TLS and the other does not.
    tls: whether it was TLS that failed.
    """

    temporary = True
    tls = False


class AccessDeniedError(EventServiceError, Pyro5.errors.SecurityError):
    """One side demands a passphrase (`ident`) and the other has none, or another one."""


class NameServerDeniedError(AccessDeniedError, ServiceNotFoundError):
    """The name server, or the program, demands a passphrase that the other has not: no service was found."""

    temporary = False


class ClocksDifferError(AccessDeniedError):
    """The passphrase is right, but the clocks of the two sides differ by more than a proof of it allows.

    seconds: by how much the other clock is ahead of ours.
    """

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class OutcomeUnknownError(EventServiceError, Pyro5.errors.ConnectionClosedError):
    """The connection broke after a call was sent and before it was answered.

    The call may or may not have taken effect. It is not repeated, because it could then happen twice.
    """


class AnswerTimeoutError(OutcomeUnknownError, Pyro5.errors.TimeoutError, TimeoutError):
    """The answer did not come within the `timeout` of the call; it may have taken effect, or still will.

    It is Python's TimeoutError and Pyro5's as well.
    """


class PipelineError(EventServiceError, Pyro5.errors.CommunicationError):
    """Not everything that a pipeline accepted was published. `__cause__` is the first error.

    published, not_published, unknown, pending: what became of the events that the pipeline has accepted
    so far, one for each subject, since it was made. unknown: the connection broke before they were
    acknowledged. pending: they are buffered, or not acknowledged yet; 0 when `flush` or the end of the
    `with` block raises this.
    """

    published = not_published = unknown = pending = 0


class PipelineOutcomeUnknownError(PipelineError, OutcomeUnknownError):
    """A PipelineError with events of which nobody knows whether they were published."""


class UnsupportedTypeError(EventServiceError, TypeError):
    """A value in a message has a type that cannot be carried; the text says which, and where."""


class PayloadError(EventServiceError, ValueError):
    """Bytes that should be an encoded message are not, or name a class that is not known here."""


class RemoteError(EventServiceError):
    """An exception that was published and whose class is not registered, or not known in this program.

    Attributes:
        type_name: str, module and name of its class.
        text: str, what str() made of it.

    It is a value, as every message is: nothing raises it.
    """

    def __init__(self, type_name: str, text: str = "") -> None:
        super().__init__(type_name, text)

    @property
    def type_name(self) -> str:
        return str(self.args[0]) if self.args else ""

    @property
    def text(self) -> str:
        return str(self.args[1]) if len(self.args) > 1 else ""

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class MessageTooLargeError(EventServiceError, Pyro5.errors.MessageTooLargeError, ValueError):
    """A message is larger than the service accepts."""
