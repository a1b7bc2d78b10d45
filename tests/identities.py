"""Some users, a service that has them, and the service's side of proofs; what tests of both sides use.

Knows: EventServiceStarter and proofs. Must not know: the file of permissions.
"""

from __future__ import annotations

import os
from typing import Any

from pyro_events import EventServiceStarter
from pyro_events.wire.handshake.passphrase import Identity, identity_of
from pyro_events.wire.handshake.proof_memory import ProofMemory
from pyro_events.wire.handshake.proofs import NONCE_SIZE, ServiceProof


def service_proof(
    *known: Identity, run: bytes | None = None, memory: ProofMemory | None = None
) -> ServiceProof:
    """Checks proofs of these identities; one without a user is the service's own. run, memory: fresh ones
    unless given."""
    found = {identity.user: identity for identity in known}
    return ServiceProof(found.get, run or os.urandom(NONCE_SIZE), os.urandom(NONCE_SIZE), memory)


SECRETS = {"alice": "alice's secret", "bob": "bob's secret", "Zoë 2": "the same", "dora": "the same"}


class UsersStarter(EventServiceStarter):
    """A service with the users of SECRETS."""

    def __init__(self, **options: Any) -> None:
        super().__init__("127.0.0.1", options.pop("port", 0), **options)
        self._users = {user: identity_of(secret, user) for user, secret in SECRETS.items()}.get


def as_user(user: str) -> dict[str, str]:
    """What a client of this user is made with."""
    return {"user": user, "ident": SECRETS[user]}
