"""Passphrase: what is given as one, and the key that is made from it.

Knows: passphrases, users' names and keys. Must not know: what is proved with a key (proofs.py does), or where
a passphrase comes from.

MAC is HMAC-SHA256 (RFC 2104) with a key that scrypt (RFC 7914) makes from the passphrase, which itself is
never sent.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import Final

from ...secret import Passphrase, Secret

_TAG: Final = "PE1"
_SALT: Final = b"pyro_events/v1"


class Identity(Secret):
    """A passphrase, as the key for making proofs. The key itself is in no attribute."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)

    def mac(self, role: str, *parts: str) -> str:
        """The code over a role and its parts."""
        # With their lengths, so that two different lists of parts never give the same text.
        text = "".join([f"{len(part)}:{part}," for part in (_TAG, role, *parts)])
        code = self._keyed.copy()
        code.update(text.encode("utf-8", "surrogatepass"))
        return code.hexdigest()

    def matches(self, code: str, role: str, *parts: str) -> bool:
        """Whether `code` is the code over that, compared in constant time."""
        return hmac.compare_digest(code, self.mac(role, *parts))


# The types that a passphrase may have: plain, wrapped, or the identity made from it.
Ident = str | Passphrase | Identity | None


def sealed(ident: object) -> Passphrase | Identity | None:
    """Wrap what was given as a passphrase, whatever it is; never raises.

    Every function that takes a passphrase begins with `ident = sealed(ident)`, because some tracebacks show
    the variables of a function that raises.
    """
    return ident if ident is None or isinstance(ident, (Passphrase, Identity)) else Passphrase(ident)


@lru_cache(maxsize=16)
def _identity(passphrase: Passphrase) -> Identity:
    return Identity(
        hashlib.scrypt(
            passphrase.reveal().encode("utf-8", "surrogatepass"), salt=_SALT, n=2**14, r=8, p=1, dklen=32
        )
    )


def identity_of(ident: object) -> Identity | None:
    """The identity for a passphrase; None and an identity are returned as they are.

    Takes about 50 ms for a new passphrase, on purpose. Raises TypeError or ValueError for something that
    cannot be a passphrase.
    """
    ident = sealed(ident)
    if not isinstance(ident, Passphrase):
        return ident
    if not isinstance(ident.reveal(), str):
        raise TypeError(f"ident must be a passphrase, a str, not {type(ident.reveal()).__name__}")
    if not ident.reveal().strip():
        raise ValueError("ident is an empty passphrase; leave it out to use none")
    try:
        return _identity(ident)
    except BaseException as error:  # for example of a signal handler
        failure = error
    # Without the frames of the interrupted functions, which have the key in their variables.
    raise failure.with_traceback(None)
