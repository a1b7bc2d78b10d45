"""The outcome of a call: its result, the service's error, or what is known when no reply came.

Knows: the states of a PendingReply. Must not know: sockets, threads, or what the call means.
"""

from __future__ import annotations

from typing import Any

from ...errors import AnswerTimeoutError, MessageTooLargeError, OutcomeUnknownError
from ...wire.replies import read_reply
from .connection import PendingReply


def outcome(reply: PendingReply, in_time: bool = True) -> Any:
    """The result of a call that has its reply, or will have none.

    in_time: whether the caller's time is not over yet.

    Raises:
        Exception: the error in the service's reply.
        OutcomeUnknownError: the connection broke; AnswerTimeoutError if that was noticed too late.
    """
    answer = reply.answer
    if answer is not None:
        return answer if isinstance(answer, int) else read_reply(answer)
    if not in_time:
        raise answered_too_late(reply.connection.address, f" ({reply.lost})")
    raise broken(reply.connection.address, reply.lost)


def broken(address: str, lost: str | None) -> OutcomeUnknownError:
    """The error for a call that was sent on a connection that broke. lost: why it broke."""
    return OutcomeUnknownError(
        f"the connection to the event service at {address} broke before it had answered ({lost}); whether "
        "the call has taken effect is unknown, and it was not repeated"
    )


def answered_too_late(address: str, more: str = "") -> AnswerTimeoutError:
    """The error for a call that was sent and whose reply did not come in time."""
    return AnswerTimeoutError(
        f"the event service at {address} did not answer within the time given{more}; "
        "whether the call has taken effect, or still will, is unknown"
    )


def not_sent_in_time(address: str | None) -> AnswerTimeoutError:
    """The error for a call that could not be sent in time."""
    return AnswerTimeoutError(
        f"the call could not be sent to the event service at {address} within the time given; it was not made"
    )


def too_large(size: int, most: int, address: str | None) -> MessageTooLargeError:
    """The error for a message that is too large for the service.

    size, most: bytes of the message, and the service's limit.
    """
    return MessageTooLargeError(
        f"the message takes {size:,} bytes, and the limit of the event service at {address} is {most:,} "
        "(its option --max-message): publish it in parts, or publish where it can be fetched"
    )
