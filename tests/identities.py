"""The service's side of proofs, for some identities; what tests of both sides use."""

from __future__ import annotations

import os

from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proofs import NONCE_SIZE, ServiceProof


def service_proof(*known: Identity, run: bytes | None = None) -> ServiceProof:
    """Checks proofs of these identities; one without a user is the service's own. run: a fresh one unless
    given."""
    found = {identity.user: identity for identity in known}
    return ServiceProof(found.get, run or os.urandom(NONCE_SIZE), os.urandom(NONCE_SIZE))
