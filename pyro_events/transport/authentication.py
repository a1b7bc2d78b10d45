"""ClientHandshake: what a client says first to an object that may require a passphrase.

Knows: the proofs, the clock, random numbers, and what the other side's answer means. Must not know: how
handshakes travel.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import Any, Final

from ..errors import AccessDeniedError, ClocksDifferError
from ..wire.handshake.passphrase import Identity
from ..wire.handshake.proof_memory import MAX_SKEW
from ..wire.handshake.proofs import DENIED, NONCE_SIZE, UNKNOWN_RUN, ClientProof

# The handshake data of every stock Pyro5 client.
STOCK_HELLO: Final = "hello"

# The runs of services that were met lately, by address: a client that knows the run of its service is
# accepted at the first attempt.
_runs: OrderedDict[tuple[str, str], str] = OrderedDict()
_MOST_RUNS: Final = 1_000


class ClientHandshake:
    """One attempt to be accepted. `hello` is the data to send."""

    def __init__(self, identity: Identity | None, object_id: str, where: str) -> None:
        """where: `host:port` of the object."""
        self._name = f"{object_id} at {where}"
        self._key = where, object_id
        self._now = time.time()
        self._proof: ClientProof | None = None
        self._user = identity.user if identity is not None else ""
        self.hello = STOCK_HELLO
        if identity is not None:
            run = _runs.get(self._key, UNKNOWN_RUN)
            self._proof = ClientProof(identity, object_id, run, self._now, os.urandom(NONCE_SIZE))
            self.hello = self._proof.hello

    def check(self, answer: Any) -> None:
        """The connection was accepted: raise AccessDeniedError unless the other side knows the passphrase
        too."""
        if self._proof is not None and not self._proof.accepts(answer):
            of, missing = "", "one (if the passphrase is a user's, give that user's name as user)"
            if self._user:
                of, missing = f" for the user {self._user!r}", "this user (--permissions)"
            raise AccessDeniedError(
                f"{self._name} does not prove that it knows the passphrase that was given as ident{of}: it "
                f"was started without {missing}, or it is not what it seems to be"
            )

    def may_retry(self, reason: Any, tried: bool) -> bool:
        """The connection was refused: whether to try once more, on a new connection.

        tried: whether this was the second attempt. Raises AccessDeniedError or ClocksDifferError if that was
        the reason, and returns False for any other reason.
        """
        again = self._proof.again(reason) if self._proof is not None else None
        if again is not None:
            ahead = again.time - self._now
            _runs[self._key] = again.run
            if len(_runs) > _MOST_RUNS:
                _runs.popitem(last=False)
            if tried or abs(ahead) > MAX_SKEW:
                way = "ahead of" if ahead > 0 else "behind"
                raise ClocksDifferError(
                    f"the clock of {self._name} is {abs(ahead):.1f} s {way} ours, or was set "
                    f"back while it ran; with ident at most {MAX_SKEW:g} s are allowed: set the clocks right",
                    ahead,
                )
            return True
        if reason != DENIED:
            return False
        raise AccessDeniedError(f"{self._name} {self._denied()}")

    def _denied(self) -> str:
        """What is wrong, as far as the other side tells, and what to do."""
        if self._proof is None:
            return "requires a passphrase: give it as ident, and if it is a user's, that user's name as user"
        if not self._user:
            return (
                "does not accept the passphrase that was given as ident: it is another one, or a user's, "
                "whose name has to be given as user"
            )
        return (
            f"does not accept the user {self._user!r} with the passphrase that was given as ident: one of "
            "the two is wrong, or it has no users: it was started without --permissions, or is too old for it"
        )
