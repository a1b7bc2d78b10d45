"""Forking: what happens in a forked child to an event loop of the parent, which no thread runs there.

Knows: which descriptors a loop watches, and how to let go of them. Must not know: what the loop does.

The child shares every socket with its parent, and also the loop's poller. If the loop closed a socket in the
child, it would remove it from the poller for both. The child must also not shut a socket down, or end TLS. So
each of the descriptors is replaced by one of /dev/null: then only the parent has the socket, and objects in
the child that still have the descriptor's number close nothing that it opens later.
"""

from __future__ import annotations

import asyncio
import os
import socket
import weakref
from collections.abc import Iterable
from typing import Any, Final, Protocol

from ...service_threads import is_service_thread
from ...transport.sockets import let_go


class LoopOwner(Protocol):
    """An object that runs a loop in a thread."""

    def forked(self) -> None:
        """Called in a forked child, which does not have that thread."""


_owners: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
# Loops that no thread runs. They are kept, because their finalizers would touch the parent's poller.
_abandoned: Final[list[object]] = []


def tell_in_child(owner: LoopOwner) -> None:
    """Have `owner.forked` called in every forked child, but not in one that runs the loop itself."""
    _owners.add(owner)


def abandon(loop: asyncio.AbstractEventLoop | None, descriptors: Iterable[int]) -> None:
    """Let go of a parent's loop. descriptors: those of its sockets that its owner knows."""
    if loop is None or loop.is_closed():
        return
    _abandoned.append(loop)
    found = {number for number in descriptors if number >= 0} | _watched(loop)
    found |= _accepted(found)
    let_go(found)


def _watched(loop: Any) -> set[int]:
    """A loop's poller and the descriptors that it watches, from Linux's /proc; elsewhere a poller is not
    shared."""
    get = getattr(loop, "_get_backend_id", None)
    selector = getattr(loop, "_selector", None)
    poller = get() if get is not None else getattr(selector, "fileno", lambda: -1)()
    try:
        with open(f"/proc/self/fdinfo/{poller}", encoding="ascii") as file:
            lines = [line.split() for line in file if line.startswith("tfd:")]
    except OSError:
        return set()
    return {poller, *(int(words[1]) for words in lines if _is_same(words))}


def _is_same(words: list[str]) -> bool:
    """Whether a watched descriptor was opened before the fork.

    The poller is shared, and the parent goes on: what it has accepted since has a number that may be that of
    something else here. words: a line of /proc, such as "tfd: 19 events: 19 data: 13 pos:0 ino:9e40 sdev:9".
    """
    inodes = [int(word[4:], 16) for word in words if word.startswith("ino:")]
    try:
        return os.fstat(int(words[1])).st_ino in inodes
    except OSError:  # it is not open here
        return False


def _accepted(found: Iterable[int]) -> set[int]:
    """Connections that were accepted on the listening ports and paths, but not yet given to anybody."""
    ports = {address[1] for number in found if (address := _address(number, listening=True))}
    folder = "/dev/fd"
    if not ports or not os.path.isdir(folder):
        return set()
    numbers = [int(name) for name in os.listdir(folder)]
    return {number for number in numbers if (address := _address(number)) and address[1] in ports}


def _address(number: int, listening: bool = False) -> Any:
    """The local address of a socket, of a Unix socket its path twice; None if it has none, or if it must
    listen and does not."""
    try:
        sock = socket.socket(fileno=number)
    except OSError:
        return None
    try:
        if sock.family not in (socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_UNIX", None)):
            return None
        if listening and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return None
        name = sock.getsockname()
        return name if isinstance(name, tuple) else (name, name) if name else None
    except OSError:
        return None
    finally:
        sock.detach()


def _after_fork() -> None:
    if not is_service_thread():
        for owner in list(_owners):
            owner.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
