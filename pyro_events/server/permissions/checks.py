"""Checks: refuses what the rights of a caller do not allow.

Knows: how a caller is told. Must not know: where rights come from, or what is done after the check.

Without permissions callers have no rights that could be missing: `rights` is None, and everything is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import Pyro5.errors

from ...broker.matching.rights import Rights

__all__ = ["check_group", "check_names", "check_publish"]


class HasRights(Protocol):
    """user: who calls, "" for a client that names none. rights: what it may do, None for everything."""

    @property
    def user(self) -> str:
        """Who calls."""

    @property
    def rights(self) -> Rights | None:
        """What that user may do."""


def check_publish(caller: HasRights, subjects: Iterable[str]) -> None:
    """Raise SecurityError unless a caller may publish all of these subjects."""
    rights = caller.rights
    if rights is None:
        return
    for subject in subjects:
        if not rights.may_publish(subject):
            raise Pyro5.errors.SecurityError(f"{_shown(caller)} may not publish the subject {subject!r}")


def check_names(caller: HasRights, names: Iterable[str]) -> None:
    """Raise SecurityError unless a caller may get the events of all of these names."""
    rights = caller.rights
    if rights is None:
        return
    for name in names:
        if not rights.may_receive(name):
            raise Pyro5.errors.SecurityError(f"{_shown(caller)} may not subscribe to the subject {name!r}")


def check_group(caller: HasRights, group: str) -> None:
    """Raise SecurityError unless a caller's subscribers may join a group; "" is none."""
    if group and caller.rights is not None and not caller.rights.may_join(group):
        raise Pyro5.errors.SecurityError(f"{_shown(caller)} may not join the group {group!r}")


def _shown(caller: HasRights) -> str:
    return f"user {caller.user!r}" if caller.user else "a client that names no user (user=)"
