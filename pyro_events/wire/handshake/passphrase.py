"""Passphrase: what is given as one, and the key that is made from it.

Knows: passphrases, users' names and keys. Must not know: what is proved with a key (proofs.py does), or where
a passphrase comes from.

scrypt (RFC 7914) makes the key. A user's name is a part of the salt, so that two users with equal passphrases
have different keys, and none has the key of the service's own passphrase.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ...secret import Passphrase, Secret

# What proofs begin with, and what each code covers: the passphrase is the service's own, or a user's.
OWN_TAG: Final = "PE1"
USER_TAG: Final = "PE2"
# The most characters of a user's name.
MAX_USER: Final = 100

_SALT: Final = b"pyro_events/v1"
_USER_SALT: Final = b"pyro_events/v1/user/"


class Identity(Secret):
    """A passphrase, as the key for making proofs. The key itself is in no attribute.

    user: whose passphrase it is, "" for the service's own. tag: USER_TAG or OWN_TAG, accordingly.
    """

    __slots__ = ("_keyed", "tag", "user")

    def __init__(self, key: bytes, user: str = "") -> None:
        # Imported with the first passphrase, as below: most programs have none.
        import hashlib
        import hmac

        self._keyed = hmac.new(key, digestmod=hashlib.sha256)
        self.user = user
        self.tag = USER_TAG if user else OWN_TAG

    def mac(self, role: str, *parts: str) -> str:
        """The code over a role and its parts."""
        # With their lengths, so that two different lists of parts never give the same text.
        text = "".join([f"{len(part)}:{part}," for part in (self.tag, role, *parts)])
        code = self._keyed.copy()
        code.update(text.encode("utf-8", "surrogatepass"))
        return code.hexdigest()

    def matches(self, code: str, role: str, *parts: str) -> bool:
        """Whether `code` is the code over that, compared in constant time."""
        import hmac

        return hmac.compare_digest(code, self.mac(role, *parts))

    def is_same(self, other: Identity | None) -> bool:
        """Whether another identity proves the same: the same user with the same passphrase."""
        return other is not None and self.user == other.user and self.matches(other.mac("same"), "same")


# The types that a passphrase may have: plain, wrapped, or the identity made from it.
Ident = str | Passphrase | Identity | None


def sealed(ident: object) -> Passphrase | Identity | None:
    """Wrap what was given as a passphrase, whatever it is; never raises.

    Every function that takes a passphrase begins with `ident = sealed(ident)`, because some tracebacks show
    the variables of a function that raises.
    """
    return ident if ident is None or isinstance(ident, (Passphrase, Identity)) else Passphrase(ident)


def checked_user(user: object) -> str:
    """`user`, if it can be a user's name: 1 to MAX_USER printable characters. Names are compared exactly.

    Raises TypeError or ValueError.
    """
    if not isinstance(user, str):
        raise TypeError(f"user must be a str, not {type(user).__name__}")
    if not user:
        raise ValueError("user is empty; leave it out for the service's own passphrase")
    if len(user) > MAX_USER:
        raise ValueError(f"user is {len(user)} characters long; the limit is {MAX_USER}")
    if not user.isprintable():
        raise ValueError(f"user {user!r} contains characters that cannot be printed")
    return user


# As many as a service may have users: reading their file again costs only what is new in it.
@lru_cache(maxsize=1024)
def _identity(passphrase: Passphrase, user: str) -> Identity:
    import hashlib

    return Identity(
        hashlib.scrypt(
            passphrase.reveal().encode("utf-8", "surrogatepass"),
            salt=_USER_SALT + user.encode() if user else _SALT,
            n=2**14,
            r=8,
            p=1,
            dklen=32,
        ),
        user,
    )


def identity_of(ident: object, user: str | None = None) -> Identity | None:
    """The identity for a passphrase, of a user if there is one; None and an identity are returned as they
    are.

    Takes about 50 ms for a new passphrase, on purpose. Raises TypeError or ValueError for something that
    cannot be a passphrase or a user's name, and for a user without a passphrase.
    """
    ident = sealed(ident)
    name = "" if user is None else checked_user(user)
    if ident is None and name:
        raise ValueError(f"user={name!r} needs a passphrase: give the user's as ident")
    if not isinstance(ident, Passphrase):
        if ident is not None and name not in ("", ident.user):
            raise ValueError(f"ident is the identity of {ident.user!r} already, not of user={name!r}")
        return ident
    if not isinstance(ident.reveal(), str):
        raise TypeError(f"ident must be a passphrase, a str, not {type(ident.reveal()).__name__}")
    if not ident.reveal().strip():
        raise ValueError("ident is an empty passphrase; leave it out to use none")
    try:
        return _identity(ident, name)
    except BaseException as error:  # for example of a signal handler
        failure = error
    # Without the frames of the interrupted functions, which have the key in their variables.
    raise failure.with_traceback(None)
