"""AccessControl: which clients may connect, and what the service proves to its subscribers.

Knows: the passphrase's identity, and the hosts that need not prove it. Must not know: sockets, frames, or
what accepted clients do.
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable

import Pyro5.errors

from ..transport.authentication import STOCK_HELLO
from ..wire.handshake.messages import Hello
from ..wire.handshake.passphrase import Identity
from ..wire.handshake.proofs import CALL_OPTION, NONCE_SIZE, CallbackProof, ServiceProof
from .objects import Caller


class AccessControl:
    """Checks every client. Without an identity, all are accepted."""

    def __init__(
        self,
        identity: Identity | None = None,
        stock: frozenset[str] = frozenset(),
        now: Callable[[], float] = time.time,
    ) -> None:
        """stock: IP addresses whose clients and subscribers need not prove anything."""
        self._identity = identity
        self._stock = stock
        self._now = now
        self._gate = ServiceProof(identity, os.urandom(NONCE_SIZE)) if identity is not None else None

    def authenticate(self, host: str, hello: Hello) -> tuple[object, bool]:
        """The answer to a client's handshake, and whether the client has proved the passphrase.

        Raises DeniedError or AgainError, whose text is all that the client may be told.
        """
        if self._gate is None or (self._is_stock(host) and not _is_proof(hello.handshake)):
            return STOCK_HELLO, False
        return self._gate.verify(hello.handshake, hello.object_id, self._now()), True

    def proof_for(self, caller: Caller, host: str, object_id: str, call: object) -> CallbackProof | None:
        """The proof to exchange with a subscriber at `host`; None for none.

        call: the nonce of the subscribing call, None if it had none. Raises SecurityError or ValueError.
        """
        if self._identity is None or (call is None and self._is_stock(host)):
            return None
        if call is not None and not caller.proved:
            # The nonce may be another subscriber's: a client that overheard it would get the proof that the
            # service gives to that subscriber.
            raise Pyro5.errors.SecurityError(
                f"the option {CALL_OPTION} is accepted only from a caller that has proved the passphrase: "
                "subscribe with pyro_events.Subscriber and its ident, or leave the option out"
            )
        if call is None:
            raise Pyro5.errors.SecurityError(
                "a plain Pyro object cannot prove the passphrase: subscribe with pyro_events.Subscriber "
                "and its ident, or start the service with --allow-stock for that object's host"
            )
        return CallbackProof(self._identity, object_id, str(call), os.urandom(NONCE_SIZE))

    @staticmethod
    def check_rights(caller: Caller, host: str, subscribed_from: str) -> None:
        """Raise SecurityError unless a caller may change the subscriptions of a subscriber at `host`.

        subscribed_from: the host of the call that subscribed it.
        """
        if not caller.proved and caller.host not in (host, subscribed_from):
            raise Pyro5.errors.SecurityError(
                f"the subscriptions of a subscriber at {host} can be changed only from there, or by a client "
                "that has proved the passphrase"
            )

    def _is_stock(self, host: str) -> bool:
        if not self._stock:
            return False
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        # The address of an IPv4 client at an IPv6 socket.
        mapped = getattr(address, "ipv4_mapped", None)
        return str(mapped or address) in self._stock


def _is_proof(handshake: object) -> bool:
    """Whether a client offers a proof; then the proof must be right."""
    return isinstance(handshake, str) and handshake.startswith("PE")
