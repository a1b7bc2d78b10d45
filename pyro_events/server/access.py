"""AccessControl: which clients may connect and who they are, and what the service proves to its subscribers.

Knows: the service's own identity and those of users, and the hosts that need not prove one. Must not know:
sockets, frames, or what accepted clients do.
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import Pyro5.errors

from ..broker.matching.rights import Rights
from ..transport.authentication import STOCK_HELLO
from ..wire.handshake.messages import Hello
from ..wire.handshake.passphrase import Identity
from ..wire.handshake.proofs import CALL_OPTION, NONCE_SIZE, CallbackProof, ServiceProof, is_proof
from .objects import Caller

# The identity of a user, None if there is no such user.
Users = Callable[[str], Identity | None]
# The rights of a user.
RightsOf = Callable[[str], Rights]


class Accepted(NamedTuple):
    """A client that is accepted. greeting: the answer to its handshake. proved: whether it has proved a
    passphrase. user: whose passphrase that was, "" for the service's own, and for none."""

    greeting: object
    proved: bool = False
    user: str = ""


class AccessControl:
    """Checks every client.

    With users, a client that names one must prove that user's passphrase. One that names none must prove the
    service's own; without that, it is accepted as it is.
    """

    def __init__(
        self,
        identity: Identity | None = None,
        stock: frozenset[str] = frozenset(),
        now: Callable[[], float] = time.time,
        users: Users | None = None,
        rights: RightsOf | None = None,
    ) -> None:
        """identity: the service's own. stock: IP addresses whose clients and subscribers need not prove
        anything. users: None if there are none. rights: None if everybody may do everything."""
        self._identity = identity
        self._stock = stock
        self._now = now
        self._users = users
        self._rights = rights
        self._gate = ServiceProof(self._identity_for, os.urandom(NONCE_SIZE), os.urandom(NONCE_SIZE))

    def replace_users(self, users: Users | None, rights: RightsOf | None = None) -> None:
        """From now on, clients are checked by these users. Those that are connected stay what they are."""
        self._users = users
        self._rights = rights

    def rights_of(self, user: str) -> Rights | None:
        """What a user may do, None for everything. user: "" for a client that names none."""
        return self._rights(user) if self._rights is not None else None

    def _identity_for(self, user: str) -> Identity | None:
        if not user:
            return self._identity
        return self._users(user) if self._users is not None else None

    def authenticate(self, host: str, hello: Hello) -> Accepted:
        """Check a client's handshake.

        Raises DeniedError or AgainError, whose text is all that the client may be told.
        """
        if not self._must_prove(host, hello.handshake):
            return Accepted(STOCK_HELLO)
        answer, user = self._gate.verify(hello.handshake, hello.object_id, self._now())
        return Accepted(answer, True, user)

    def _must_prove(self, host: str, handshake: object) -> bool:
        """Whether a client has to give a good proof; always one that offers a proof, if it can be judged."""
        if self._identity is None:
            return self._users is not None and is_proof(handshake, of_user=True)
        return is_proof(handshake) or not self._is_stock(host)

    def proof_for(self, caller: Caller, host: str, object_id: str, call: object) -> CallbackProof | None:
        """The proof to exchange with a subscriber at `host`, of the caller's user; None for none.

        call: the nonce of the subscribing call, None if it had none. Raises SecurityError or ValueError.
        """
        identity = self._identity_for(caller.user)
        if identity is None and caller.user:
            raise Pyro5.errors.SecurityError(f"the user {caller.user!r} is not known here any more")
        if identity is None or (call is None and self._is_stock(host)):
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
        return CallbackProof(identity, object_id, str(call), os.urandom(NONCE_SIZE))

    def may_change_names(self, caller: Caller) -> bool:
        """Whether a caller may change entries of the name server that runs beside.

        A stranger may look up only, where it is accepted for the sake of those rights that everybody has.
        """
        return caller.proved or self._identity is not None or self._users is None

    @staticmethod
    def owns(caller: Caller, user: str) -> bool:
        """Whether a caller may see and change what a user has subscribed. To others it does not exist."""
        return caller.user == user or (caller.rights is not None and caller.rights.admin)

    @staticmethod
    def check_rights(caller: Caller, host: str, subscribed_from: str) -> None:
        """Raise SecurityError unless a caller that owns a subscriber at `host` may change its subscriptions.

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
