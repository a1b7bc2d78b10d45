"""Forking: in a forked child, tells objects of the parent to release what they have open.

Knows: when Python has forked. Must not know: what is released.
"""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class Forkable(Protocol):
    """An object with a socket, a lock or a thread, none of which a forked child may use."""

    def forked(self) -> None:
        """This is a forked child: release what belongs to the parent, without sending anything."""


_known: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()


def tell_in_child(forkable: Forkable) -> None:
    """Have `forkable.forked` called in every forked child, as long as the object lives."""
    _known.add(forkable)


def _after_fork() -> None:
    for forkable in list(_known):
        forkable.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
