"""Explanations: why a subscriber gets no events, or was disconnected, in words.

Knows: what the log and the subscriber are told. Must not know: connections, what is done about it, or when.
"""

from __future__ import annotations

import logging

import Pyro5.errors

from ...broker.backlog import Backlog
from ...client_name import described
from ...log.background import get_logger
from ...wire.event_answers import CallFailedError, CallFailure
from ...wire.frames import CONNECT_FAIL, FrameError

log = get_logger("pyro_events.delivery")


def obstacle(address: tuple[str, int], greeting: bool, seconds: float) -> str:
    """Why a subscriber that subscribed so many seconds ago gets no events. greeting: it is connected."""
    host, port = address
    if greeting:
        return f"the daemon at {host}:{port} has not answered the handshake for {seconds:.0f} s"
    return f"there is no answer from {host}:{port}, which has been tried for {seconds:.0f} s"


def log_end(backlog: Backlog, explanation: str, lost: int, quiet: bool, known: bool) -> None:
    """Log why a subscriber was disconnected. lost: how many events were lost by that. quiet: it is no reason
    to warn anybody. known: the log has said so before."""
    level = logging.DEBUG if known else logging.INFO if quiet else logging.WARNING
    name = described(backlog.name, backlog.subscriber)
    log.log(level, "%s %s; disconnected, %d events lost", name, explanation, lost, about=name)


def parting_words(explanation: str, lost: int) -> str:
    """What a subscriber is told when it comes back. lost: how many events its disconnection cost."""
    if not lost:
        return explanation
    return f"{explanation and f'{explanation}; '}{lost} events that waited for it were lost"


def unanswered(patience: float) -> str:
    """What the log says of a subscriber whose daemon has not answered the handshake."""
    return f"did not answer within {patience:g} s; it must call listen() or run its daemon's request loop"


def lost(error: Exception | None, greeting: bool, secured: bool) -> str:
    """What the log says of a subscriber that has closed the connection.

    greeting: it had not answered the handshake yet. secured: the connection used TLS.
    """
    text = f"closed its connection{f' ({error})' if error else ''}"
    if greeting and not secured:  # a peer with TLS closes a connection without it, often without a message
        text += " instead of answering; if its program speaks TLS (Pyro5's SSL), the service has to"
    return text


def refused(error: Pyro5.errors.ProtocolError) -> str:
    """What the log says of a subscriber whose answer makes it impossible to deliver."""
    failure = error.failure if isinstance(error, CallFailedError) else CallFailure.OTHER
    if failure is CallFailure.NO_EVENT_CLASS:
        return f"runs a program that must import pyro_events to know events ({error})"
    if failure is CallFailure.RUNS_NOTHING:
        return (
            "has an `event` that is a coroutine function or a generator, so that calling it runs nothing; "
            f"make it a plain function ({error})"
        )
    return f"cannot be delivered to: {error}"


def no_answer(error: FrameError) -> str:
    """What the log says of a subscriber that sent bytes that are not an acceptable frame."""
    header = error.header
    if header is not None and header.type == CONNECT_FAIL:
        return (
            "has a daemon that refused the connection; perhaps all its threads are in use: raise "
            "Pyro5's THREADPOOL_SIZE there, or use the daemon of a pyro_events.Subscriber"
        )
    return f"sent an invalid frame ({error})"
