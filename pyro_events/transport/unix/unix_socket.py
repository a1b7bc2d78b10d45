"""The Unix socket of a service on the same machine: whether a client uses it, and how it connects there.

Knows: what the service has said of it over TCP, whose the file is, and what has failed lately. Must not know:
the handshake, threads, event loops. Both kinds of clients use it.

It is only faster: whatever is wrong with it, a client goes on with TCP, and does not try that path again for
a while.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import time
from typing import Final

import Pyro5.errors

from ...constants import UNIX_AUTO, UNIX_OFF, UNIX_SOCKET_VARIABLE
from ...errors import AccessDeniedError, ServiceUnreachableError
from ...foreign_exceptions import is_foreign
from ...log.background import get_logger
from ...wire.handshake.unix_offer import UnixOffer
from ..addresses import is_same_machine, unmapped
from ..sockets import is_unix

log = get_logger("pyro_events.connection")

# How many seconds connecting and the handshake there may take, at most, and for how long a path is not tried
# again.
PATIENCE: Final = 0.5
PAUSE: Final = 60.0
# What may go wrong there; and what goes wrong when it has an answer, and that is no.
REFUSED: Final = (ServiceUnreachableError, AccessDeniedError)
NO_UNIX_SOCKET: Final = (OSError, Pyro5.errors.ProtocolError, *REFUSED)

# When to try again where it has failed, by path.
_failed: dict[str, float] = {}
_MOST_FAILED: Final = 100
# Values of the variable that the log has warned of.
_warned: set[str] = set()


def worth_trying(offer: UnixOffer, sock: socket.socket) -> bool:
    """Whether to connect to what a service has offered on a socket: a TCP socket, or it is not worthwhile.

    Not if the service sees another address of ours than we do: then something is between the two, and the
    path may mean another file here. Nor if it is on another machine: it would only have us connect to a
    program of its choice.
    """
    if not offer.path or _switched_off():
        return False
    if not hasattr(socket, "AF_UNIX") or _failed.get(offer.path, 0.0) > time.monotonic():
        return False
    if is_unix(sock):
        return False
    host, port = sock.getsockname()[:2]
    try:
        remote = sock.getpeername()[0]
    except OSError as error:  # the service has ended the connection
        if is_foreign(error, OSError):
            raise
        return False
    return (unmapped(host), port) == offer.seen and is_same_machine(host, remote)


def _switched_off() -> bool:
    value = os.environ.get(UNIX_SOCKET_VARIABLE, "")
    known = value.lower() in ("", UNIX_AUTO, UNIX_OFF) or os.path.isabs(value)  # a path is for services
    if not known and value not in _warned:
        _warned.add(value)
        log.warning(
            "%s is %r, which means nothing: set it to %s to use TCP alone, or unset it",
            *(UNIX_SOCKET_VARIABLE, value, UNIX_OFF),
        )
    return value.lower() == UNIX_OFF


def patience(left: float) -> float:
    """How many seconds connecting and the handshake there may take. left: until there must be a connection;
    half of it is for TCP, which is used if nothing answers there."""
    return min(PATIENCE, left / 2)


def check_file(path: str) -> None:
    """Raise OSError unless a file is a socket of this user, or of root: nobody else may pretend to be the
    service."""
    found = os.lstat(path)
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError("it is not a socket")
    _check_owner(found.st_uid)


def check_listener(sock: socket.socket) -> None:
    """Raise OSError unless a program of this user, or of root, listens where a socket is connected to, as far
    as the platform tells: the file may have been replaced."""
    if hasattr(socket, "SO_PEERCRED"):
        _, user, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        _check_owner(user)


def _check_owner(user: int) -> None:
    if user not in (os.geteuid(), 0):
        raise OSError(f"it belongs to another user ({user})")


def note_failure(path: str, why: object) -> None:
    """Connecting to a path has failed, or its handshake."""
    log.debug("the Unix socket %s is not used, but TCP: %s", path, why)
    if len(_failed) >= _MOST_FAILED:
        _failed.clear()
    _failed[path] = time.monotonic() + PAUSE
