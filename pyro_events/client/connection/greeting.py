"""Greeting: a client's first message to the service, what the answer means, and what no answer means.

Knows: the messages, the proofs in them, and the texts of failures. Must not know: sockets, or how often is
tried. Both kinds of clients use it, those that block and those on an event loop.
"""

from __future__ import annotations

import ssl
from typing import Final

import Pyro5.core

from ...constants import MAX_REPLY
from ...errors import ServiceUnreachableError
from ...log.line import escaped
from ...transport.addresses import UNIX
from ...transport.authentication import ClientHandshake
from ...transport.failures import Trouble, reason
from ...wire.frames import CONNECT_FAIL, MSGPACK, RESULT, Frame, FrameLimits, TlsSpokenError
from ...wire.handshake.capabilities import OURS
from ...wire.handshake.messages import (
    Welcome,
    answer_limits,
    read_connect_fail,
    read_connect_ok,
    write_connect,
)
from ...wire.handshake.passphrase import Identity

# How many characters of a refusal are shown.
_LONGEST_REASON: Final = 1000

GREETING_LIMITS: Final = answer_limits(frozenset({MSGPACK}))
# The largest reply is the statistics of a service with thousands of subscribers.
REPLY_LIMITS: Final = FrameLimits(types=frozenset({RESULT}), size=MAX_REPLY, serializers=frozenset({MSGPACK}))


class Greeting:
    """One attempt to be accepted by a service. hello: the message to send."""

    def __init__(self, identity: Identity | None, uri: Pyro5.core.URI, name: str, ticket: str = "") -> None:
        """identity: proves the passphrase, which the service must prove too. uri: of the service. name: ours,
        for the service. ticket: at the Unix socket, what the service has given us over TCP."""
        self._address = str(uri)
        self._handshake = ClientHandshake(identity, uri.object, uri.location)
        self.hello = write_connect(uri.object, self._handshake.hello, name=name, peer=OURS, ticket=ticket)

    def accepted(self, answer: Frame, tried: bool) -> Welcome | None:
        """What the service says when it accepts us. None if it wants a second attempt, on a new connection.

        tried: whether this is the second attempt.

        Raises:
            ServiceUnreachableError: it refuses the connection, or is not an event service.
            AccessDeniedError: one side does not accept the other's proof.
            ProtocolError: the answer cannot be read.
        """
        if answer.type == CONNECT_FAIL:
            refusal = read_connect_fail(answer)
            if self._handshake.may_retry(refusal, tried):
                return None
            # It may be any program, and this is shown on a terminal.
            why = escaped(refusal, _LONGEST_REASON)
            raise ServiceUnreachableError(
                f"the event service at {self._address} refused the connection: {why}"
            )
        welcome = read_connect_ok(answer)
        self._handshake.check(welcome.handshake)
        if welcome.methods is not None and "publish_encoded" not in welcome.methods:
            raise ServiceUnreachableError(f"the object at {self._address} is not an event service")
        return welcome


def host_of(uri: Pyro5.core.URI) -> str:
    """The host of an address, `./u:path` for a Unix domain socket."""
    return UNIX + uri.sockname if uri.sockname else str(uri.host)


def shown(uri: Pyro5.core.URI, secured: bool) -> str:
    """An address in error texts. secured: whether this side uses TLS."""
    return f"{uri.location} (over TLS)" if secured else str(uri.location)


def unreachable(uri: Pyro5.core.URI, secured: bool, error: OSError) -> ServiceUnreachableError:
    """The error for a service to which no connection could be made."""
    return ServiceUnreachableError(
        f"the event service at {shown(uri, secured)} cannot be reached: {reason(error)}"
    )


def no_answer(
    uri: Pyro5.core.URI, secured: bool, error: Exception, trouble: Trouble | None
) -> ServiceUnreachableError:
    """The error for a peer that accepts connections and has not answered as an event service.

    trouble: if TLS is the reason.
    """
    if trouble is not None:
        text = trouble.text
    elif isinstance(error, TimeoutError):
        text = "no answer in time, although it accepts connections; it may hang, or be another program"
    else:
        text = reason(error)
    failure = ServiceUnreachableError(
        f"what listens at {shown(uri, secured)} does not answer as an event service: {text}"
    )
    failure.temporary = trouble is None or not trouble.certain
    failure.tls = not failure.temporary or isinstance(error, (ssl.SSLError, TlsSpokenError))
    return failure
