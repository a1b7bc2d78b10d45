"""Permissions: which users there are, how each proves who it is, and what each may do.

Knows: users by name, their identities and rights. Must not know: what the file looks like (permissions_file
does), clients, subscribers, or what is done about something that is not allowed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Final, NamedTuple

from ...broker.matching.rights import Rights
from ...secret import Passphrase
from ...wire.handshake.passphrase import Identity, identity_of
from .permissions_file import read_permissions

__all__ = ["USER_GONE", "Permissions", "User", "load_permissions"]


# Why the clients and the subscribers of a user end that is not there any more.
USER_GONE: Final = "its user is not known any more, or has another passphrase"


class User(NamedTuple):
    """passphrase, identity: what it proves, and the key made from it. rights: what it may do."""

    passphrase: Passphrase
    identity: Identity
    rights: Rights


class Permissions:
    """All users, and the rights of clients that name none. It does not change: a file that has changed makes
    another one."""

    __slots__ = ("_default", "_users")

    def __init__(self, default: Rights, users: Mapping[str, User] = MappingProxyType({})) -> None:
        self._default = default
        self._users = dict(users)

    def __repr__(self) -> str:
        return f"<Permissions of {len(self._users)} users>"

    def identity_for(self, user: str) -> Identity | None:
        """The identity of a user, None if there is no such user."""
        known = self._users.get(user)
        return None if known is None else known.identity

    def rights_of(self, user: str) -> Rights:
        """The rights of a user; "" for a client that names none. A user that is not there has none."""
        if not user:
            return self._default
        known = self._users.get(user)
        return _NOTHING if known is None else known.rights

    def identity_with(self, user: str, passphrase: Passphrase) -> Identity | None:
        """The identity of a user if its passphrase is that one: it need not be made again."""
        known = self._users.get(user)
        return known.identity if known is not None and known.passphrase == passphrase else None

    def __len__(self) -> int:
        """How many users there are."""
        return len(self._users)

    def gone_after(self, later: Permissions) -> frozenset[str]:
        """The users that are not there any more later, or have to prove another passphrase then."""
        return frozenset(
            name for name, user in self._users.items() if later.identity_for(name) is not user.identity
        )

    def all_rights(self) -> list[Rights]:
        """The rights of everybody, some of them several times."""
        return [self._default, *(user.rights for user in self._users.values())]


_NOTHING = Rights()


def load_permissions(
    path: str, before: Permissions | None = None, wanted: Callable[[], bool] = lambda: True
) -> Permissions:
    """Read a file. Blocks: each passphrase that is new takes 50 ms of one processor.

    All keys are made now, and not when a user first comes: otherwise the time of an answer would tell whether
    there is such a user. before: what held so far; rights that stay the same are the same object, and so
    remember what they have judged. wanted: whether somebody still waits for the result, so that a program
    that ends does not wait for a thousand keys.

    Raises ValueError; the text is one line that says where in the file, and why. Raises RuntimeError if it is
    not wanted any more.
    """
    reading = read_permissions(path, again=before is not None)
    before = Permissions(_NOTHING) if before is None else before
    known = {rights: rights for rights in before.all_rights()}

    def interned(rights: Rights) -> Rights:
        return known.setdefault(rights, rights)

    def user(name: str) -> User:
        if not wanted():
            raise RuntimeError("the permissions are not wanted any more")
        passphrase, rights = reading.users[name]
        identity = before.identity_with(name, passphrase) or identity_of(passphrase, name)
        assert identity is not None
        return User(passphrase, identity, interned(rights))

    # scrypt lets other threads run.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "pyro_events-keys") as threads:
        users = dict(zip(reading.users, threads.map(user, reading.users), strict=True))
    return Permissions(interned(reading.default), users)
