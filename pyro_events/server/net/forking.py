"""Forking: what becomes of an event loop of the parent in a forked child, where nobody runs it.

Knows: which descriptors a loop watches, and how to let go of them. Must not know: what the loop does.

The child shares every socket with its parent, and the loop's poller too. It must not close one by the loop,
which would take it out of the poller for both, nor shut one down, nor say good-bye by TLS. So each of its
descriptors becomes one of /dev/null: the socket is then the parent's alone, and the objects that still name
the descriptor in the child close nothing that it opens later.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import weakref
from collections.abc import Iterable
from typing import Any, Final, Protocol

from ...service_threads import is_service_thread


class LoopOwner(Protocol):
    """Who runs a loop in a thread."""

    def forked(self) -> None:
        """This is a forked child, and its thread is not there."""


_owners: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
# Loops that nobody runs. They are kept, because the end of one would touch the parent's poller.
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
    null = os.open(os.devnull, os.O_RDWR)
    try:
        for number in found - {null}:
            with contextlib.suppress(OSError):  # it is not open, so there is nothing to let go of
                os.fstat(number)
                os.dup2(null, number, inheritable=False)
    finally:
        os.close(null)


def _watched(loop: Any) -> set[int]:
    """A loop's poller, and what it watches, as Linux tells; elsewhere a poller is not shared."""
    get = getattr(loop, "_get_backend_id", None)
    selector = getattr(loop, "_selector", None)
    poller = get() if get is not None else getattr(selector, "fileno", lambda: -1)()
    try:
        with open(f"/proc/self/fdinfo/{poller}", encoding="ascii") as file:
            lines = [line.split() for line in file if line.startswith("tfd:")]
    except OSError:
        return set()
    return {poller, *(int(words[1]) for words in lines)}


def _accepted(found: Iterable[int]) -> set[int]:
    """What was accepted on the ports that are listened on, though nobody has been told of it yet."""
    ports = {address[1] for number in found if (address := _address(number, listening=True))}
    folder = "/dev/fd"
    if not ports or not os.path.isdir(folder):
        return set()
    numbers = [int(name) for name in os.listdir(folder)]
    return {number for number in numbers if (address := _address(number)) and address[1] in ports}


def _address(number: int, listening: bool = False) -> Any:
    """The own address of an internet socket; None for anything else, or if it does not listen but should."""
    try:
        sock = socket.socket(fileno=number)
    except OSError:
        return None
    try:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        if listening and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return None
        return sock.getsockname()
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
