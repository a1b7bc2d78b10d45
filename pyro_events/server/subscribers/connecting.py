"""Contact: reaching a subscriber and greeting it, and in words why that came to nothing.

Knows: how a link is connected to, what a subscriber's greeting must show, and what the log says of one
that cannot be delivered to. Must not know: events, backlogs, or when a link is made again.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import Pyro5.errors

from ...wire.event_answers import CallFailedError, CallFailure
from ...wire.frames import CONNECT_FAIL, Frame, FrameError
from ...wire.handshake import read_connect_fail, read_connect_ok
from ...wire.passphrase import CallbackProof
from ..net.tls_connections import OutgoingTls


class Unreachable(NamedTuple):
    """Why a subscriber cannot be connected to. tls: the reason is TLS, and will stay so."""

    reason: str
    tls: bool = False


async def connected(
    protocol: asyncio.Protocol,
    address: tuple[str, int],
    layer: OutgoingTls | None,
    patience: float,
) -> Unreachable | None:
    """Connect a protocol to a subscriber's daemon; returns why that cannot be done, or nothing.

    layer: secures it. patience: seconds in all.
    """
    host, port = address
    try:
        # A daemon that does not run yet answers TLS no sooner than the greeting.
        refusal = await asyncio.wait_for(_made(protocol, address, layer), patience)
    except asyncio.TimeoutError:
        return Unreachable(f"could not be reached within {patience:g} s")
    except OSError as error:
        return Unreachable(
            f"cannot be connected to at {host}:{port} ({error}); its daemon must listen on the "
            "address from which it subscribed"
        )
    if refusal:
        return Unreachable(f"cannot be connected to at {host}:{port} over TLS: {refusal}", tls=True)
    return None


async def _made(protocol: asyncio.Protocol, address: tuple[str, int], layer: OutgoingTls | None) -> str:
    """Make a connection; returns why TLS failed, or nothing. Raises OSError."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: layer or protocol, *address)
    if layer is None:
        return ""
    try:
        return await layer.secured
    except asyncio.CancelledError:
        transport.abort()
        raise


def takes_event_only(frame: Frame, proof: CallbackProof | None) -> bool:
    """Read the answer to our greeting: whether the object has no `events`, only `event`.

    proof: what the greeting carried, and the answer must match. Raises ProtocolError for one that
    cannot be delivered to.
    """
    if frame.type == CONNECT_FAIL:
        reason = f"its daemon refused the connection: {read_connect_fail(frame)}"
        raise Pyro5.errors.ProtocolError(reason[:300])
    welcome = read_connect_ok(frame)
    if welcome.methods is None:
        raise Pyro5.errors.ProtocolError("its daemon did not say what the object can do")
    if proof is not None and not proof.accepts(welcome.handshake):
        raise Pyro5.errors.ProtocolError("it does not prove that it knows the passphrase")
    if welcome.methods.isdisjoint(("event", "events")):
        raise Pyro5.errors.ProtocolError("its object exposes neither `event` nor `events`")
    return "events" not in welcome.methods


def unanswered(patience: float) -> str:
    """What the log says of a subscriber whose daemon has left our greeting unanswered."""
    return f"did not answer within {patience:g} s; it must call listen() or run its daemon's request loop"


def lost(error: Exception | None, greeting: bool, secured: bool) -> str:
    """What the log says of a subscriber whose connection has ended by itself.

    greeting: it had not answered yet. secured: the connection used TLS.
    """
    text = f"closed its connection{f' ({error})' if error else ''}"
    if greeting and not secured:  # which TLS does with what is none, often without a word
        text += " instead of answering; if its program speaks TLS (Pyro5's SSL), the service has to"
    return text


def refused(error: Pyro5.errors.ProtocolError) -> str:
    """What the log says of a subscriber that answered what makes it impossible to deliver."""
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
    """What the log says of a subscriber that sent bytes which are no acceptable frame."""
    header = error.header
    if header is not None and header.type == CONNECT_FAIL:
        return (
            "has a daemon that refused the connection; perhaps all its threads are in use: raise "
            "Pyro5's THREADPOOL_SIZE there, or use the daemon of a pyro_events.Subscriber"
        )
    return f"sent an invalid frame ({error})"
