"""Errors: what is raised for bytes that are not what they should be.

Knows: what those who catch such an error need to know. Must not know: how anything is read.

They are apart from the modules that raise them because those may be compiled, and a class that derives from
one of Pyro5, which mypy knows nothing of, may not.
"""

from __future__ import annotations

import enum
from typing import Protocol

import Pyro5.errors


class Header(Protocol):
    """The header of a frame that is not acceptable."""

    @property
    def type(self) -> int:
        """The kind of message."""

    @property
    def flags(self) -> int:
        """What is special about it."""

    @property
    def serializer_id(self) -> int:
        """The serializer of the frame."""

    @property
    def seq(self) -> int:
        """The number of the frame."""

    @property
    def payload(self) -> bytes | memoryview:
        """What it carries, packed; empty if that was not read."""


class FrameError(Pyro5.errors.ProtocolError):
    """Bytes that are not an acceptable frame. Nothing more can be read from their connection.

    header: the header, if there was one, so that its sender can be answered, else None.
    """

    def __init__(self, reason: str, header: Header | None = None) -> None:
        super().__init__(reason)
        self.header = header


class FrameTooLargeError(FrameError):
    """Its header says that it is larger than allowed."""


class TlsSpokenError(FrameError):
    """The other side uses TLS, and this side does not."""

    def __init__(self) -> None:
        advice = "Pyro5's setting SSL is on there and off here; set it on both sides, or on neither"
        super().__init__(f"not a Pyro message but one of TLS: {advice}")


class CallFailure(enum.Enum):
    """Why a call of `events` or `event` failed as a whole."""

    NO_OBJECT = "no object"  # the daemon does not have it any more
    NO_EVENT_CLASS = "no event class"  # the program has not imported pyro_events
    RUNS_NOTHING = "runs nothing"  # the method is a coroutine function or a generator
    RESULT_NOT_CARRIED = "result not carried"  # Pyro5's daemon sends this answer, and ends the connection
    OTHER = "other"


class CallFailedError(Pyro5.errors.ProtocolError):
    """A subscriber answered a call with an exception. failure: what that means for later calls."""

    def __init__(self, reason: str, failure: CallFailure) -> None:
        super().__init__(reason)
        self.failure = failure
