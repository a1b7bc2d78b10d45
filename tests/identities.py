"""Some users, a service that has them, and the service's side of proofs; what tests of both sides use.

Knows: EventServiceStarter, proofs, and a file by which every user may do everything. Must not know: what
rights are.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pyro_events import EventServiceStarter
from pyro_events.options import ServiceOptions
from pyro_events.wire.handshake.passphrase import Identity
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


_EVERYTHING = 'publish = ["*"]\nsubscribe = ["*"]\nblock = true\n'


@contextlib.contextmanager
def users_file() -> Iterator[str]:
    """A file of permissions by which the users of SECRETS, and whoever is no user, may do everything."""
    users = [f'[users."{user}"]\nident = "{secret}"\n{_EVERYTHING}' for user, secret in SECRETS.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write("\n".join([f"[default]\n{_EVERYTHING}", *users]))
        file.flush()
        yield file.name


class UsersStarter(EventServiceStarter):
    """A service with the users of SECRETS."""

    def __init__(self, options: ServiceOptions | None = None, **settings: Any) -> None:
        with users_file() as file:
            wanted = replace(options or ServiceOptions(), permissions=file)
            super().__init__("127.0.0.1", settings.pop("port", 0), options=wanted, **settings)


def as_user(user: str) -> dict[str, str]:
    """What a client of this user is made with."""
    return {"user": user, "ident": SECRETS[user]}
