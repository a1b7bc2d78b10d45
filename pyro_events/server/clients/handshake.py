"""Handshake: how a client is accepted, and the answer to bytes that cannot be accepted.

Knows: the first frame, its answers, and which frames may come before and after it. Must not know: sockets,
calls and their results, or how a passphrase is proved (AccessControl does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import Pyro5.errors
from Pyro5.core import DAEMON_NAME

from ... import constants as c
from ...client_name import checked_client_name
from ...log.background import get_logger
from ...options import ServiceOptions
from ...wire.frames import (
    CONNECT,
    INVOKE,
    ONEWAY,
    PING,
    SERIALIZERS,
    Frame,
    FrameError,
    FrameLimits,
    FrameTooLargeError,
)
from ...wire.handshake.capabilities import OURS
from ...wire.handshake.messages import Hello, read_connect, write_connect_fail, write_connect_ok
from ...wire.handshake.proofs import AgainError
from ...wire.handshake.unix_offer import UnixOffer
from ...wire.replies import write_error
from ..access import AccessControl
from ..objects import Caller, RemoteObject, remote_names

log = get_logger("pyro_events.connection")


def call_limits(options: ServiceOptions) -> FrameLimits:
    """The limits for frames of a client that was accepted."""
    largest = options.max_message + c.MAX_STOCK_CALL
    return FrameLimits(frozenset({INVOKE, PING}), c.MAX_STOCK_CALL, largest)


def accept_hello(
    frame: Frame,
    peer: str,
    access: AccessControl,
    objects: Mapping[str, RemoteObject],
    max_message: int,
    introduce: Callable[[Hello], tuple[str, UnixOffer]],
) -> tuple[Caller | None, bytes]:
    """Judge the first frame of a connection. Returns the client's identity, None if it is refused, and the
    answer.

    introduce: says which host the client counts for, and what is said to it of the Unix socket; or raises a
    PyroError.
    """
    try:
        hello = read_connect(frame)
        peer, offer = introduce(hello)
        # First, so that a stranger does not even learn which objects there are.
        accepted = access.authenticate(peer, hello)
        served = objects.get(hello.object_id)
        if served is None:
            raise Pyro5.errors.DaemonError(f"there is no object {hello.object_id!r} here")
        called = _name_of(hello)
    except Pyro5.errors.PyroError as error:
        if not isinstance(error, AgainError):
            log.info("a client from %s was refused: %s", peer, error, about=peer)
        return None, write_connect_fail(frame.serializer_id, frame.seq, str(error))
    answer = write_connect_ok(
        frame.serializer_id, frame.seq, accepted.greeting, remote_names(served), max_message, OURS, offer
    )
    if accepted.proved:
        # A proof is for one object: somebody who passes on what a client proves to the name server must not
        # reach the service with it. Pyro5's proxies ask the daemon what an object can do.
        named = (hello.object_id, DAEMON_NAME)
        objects = {name: objects[name] for name in named if name in objects}
    user, rights = accepted.user, access.rights_of(accepted.user)
    return Caller(peer, frame.serializer_id, accepted.proved, objects, called, user, rights), answer


def _name_of(hello: Hello) -> str:
    """What a client calls itself, "" if it does not say. Raises ProtocolError for an invalid name."""
    if hello.name is None:
        return ""
    try:
        return checked_client_name(hello.name)
    except (TypeError, ValueError) as error:
        raise Pyro5.errors.ProtocolError(str(error)) from None


def error_reply(error: FrameError, inside: bool) -> bytes | None:
    """The answer to bytes that are not an acceptable frame, None if there is no way to answer.

    inside: whether the client was accepted.
    """
    header = error.header
    if header is None or header.serializer_id not in SERIALIZERS:
        return None
    if header.type == CONNECT:
        return write_connect_fail(header.serializer_id, header.seq, str(error))
    if not inside or header.flags & ONEWAY:
        return None
    too_large = isinstance(error, FrameTooLargeError)
    kind = Pyro5.errors.MessageTooLargeError if too_large else Pyro5.errors.ProtocolError
    return write_error(header.serializer_id, header.seq, kind(str(error)))
