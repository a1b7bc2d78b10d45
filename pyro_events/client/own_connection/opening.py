"""Opens a listener's own connection: one to the service, on which the roles are then swapped.

Knows: the call that swaps the roles, and what its answer means. Must not know: which addresses there are,
threads, or what becomes of the events.

It is a connection as any other until `attach` is answered: the same addresses, TLS and proof of the
passphrase. wire/own_connection.py draws the protocol.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import Pyro5.errors

from ...constants import MAX_MESSAGE
from ...errors import ServiceUnreachableError
from ...foreign_exceptions import is_foreign
from ...transport.failures import reason
from ...wire.frames import FrameReader
from ...wire.handshake.capabilities import INTEREST, OWN_CONNECTION, PeerInfo
from ...wire.own_connection import INTEREST as INTEREST_OPTION
from ...wire.own_connection import Attached, delivery_limits, packed_attach, read_attached
from ...wire.replies import read_reply
from ..connection.connection import Connection
from ..connection.opener import ConnectionOpener
from ..connection.times import ConnectTimes


@dataclass(frozen=True)
class OwnConnection:
    """A connection on which the service calls `events`.

    sock: blocking. reader: cuts what comes into frames; it may hold the first already. attached: the answer
    to `attach`. address: the service's URI.
    """

    sock: socket.socket
    reader: FrameReader
    attached: Attached
    address: str


def open_own_connection(
    opener: ConnectionOpener,
    options: dict[str, Any],
    times: ConnectTimes,
    quick: bool = False,
    deadline: float | None = None,
) -> OwnConnection:
    """Connect, shake hands and attach; all of that can be interrupted by `opener.close`.

    Args:
        opener: knows the addresses.
        options: of `attach`, from `attach_options`.
        times: how long connecting may take.
        quick: as for `ConnectionOpener.open`.
        deadline: end of all attempts, on the monotonic clock; None gives each address its own time.

    Raises:
        ServiceNotFoundError, AccessDeniedError: as `ConnectionOpener.open`.
        ServiceUnreachableError: too where the service is one that gives no such connection, or has not
            answered.
        Exception: the service's error, where it does not accept the options.
    """
    answers: list[Attached] = []
    connection = opener.open(
        quick, times, deadline, lambda connection, until: answers.append(_attach(connection, options, until))
    )
    reader = connection.reader
    announced = connection.announced
    reader.limits = delivery_limits(MAX_MESSAGE if announced is None else announced)
    return OwnConnection(connection.sock, reader, answers[-1], connection.address)


def check_capable(peer: PeerInfo, address: str, interest: bool = False) -> None:
    """Raise ServiceUnreachableError if a service gives no events over a connection of the listener's.

    interest: or does not tell over it who listens.
    """
    if OWN_CONNECTION in peer.capabilities and (not interest or INTEREST in peer.capabilities):
        return
    said = f"is of version {peer.version}" if peer.version else "runs in a stock Pyro5 daemon, or is older"
    remedy = "start it with pyro_events.es or EventServiceStarter of this version"
    if interest:
        text = f"does not tell publishers who listens: {remedy}"
    else:
        text = (
            f"sends no events over a connection that the listener has made: {remedy}, or use a Subscriber "
            "with callback=True, which it can connect to"
        )
    error = ServiceUnreachableError(f"the event service at {address} {said}, and {text}")
    error.temporary = False
    raise error


def _attach(connection: Connection, options: dict[str, Any], deadline: float) -> Attached:
    """Swap the roles. deadline: on the monotonic clock."""
    check_capable(connection.peer, connection.address, bool(options.get(INTEREST_OPTION)))
    try:
        frame = connection.last_call(packed_attach(options), deadline)
    except (OSError, Pyro5.errors.ProtocolError) as error:
        if is_foreign(error, OSError, Pyro5.errors.ProtocolError):
            raise
        raise _not_attached(connection, error) from None
    answer = read_reply(frame)
    try:
        return read_attached(answer)
    except Pyro5.errors.ProtocolError as error:
        if is_foreign(error, Pyro5.errors.ProtocolError):
            raise
        raise _not_attached(connection, error) from None


def _not_attached(connection: Connection, error: Exception) -> ServiceUnreachableError:
    return ServiceUnreachableError(
        f"the event service at {connection.address} did not take over the connection for events: "
        f"{reason(error)}"
    )
