"""The threads of this process that run the loop of an event service.

Knows: their ids. Must not know: what runs on them, or who calls the service.

A call to the service that is made in such a thread would wait for itself: only the waiting thread could
answer it. The garbage collector may run a `__del__` there that publishes.
"""

from __future__ import annotations

import os
import threading
from typing import Final

from .errors import EventServiceError

# Their ids. Check this before calling anything here: it is empty in most programs.
running: Final[set[int]] = set()


def enter() -> None:
    """The calling thread runs a service from now on."""
    running.add(threading.get_ident())


def leave() -> None:
    """The calling thread no longer runs a service."""
    running.discard(threading.get_ident())


def is_service_thread() -> bool:
    """Whether the calling thread runs a service."""
    return bool(running) and threading.get_ident() in running


def refuse_in_service_thread() -> None:
    """Raise EventServiceError if a call to a service would wait for itself."""
    if running and threading.get_ident() in running:
        raise EventServiceError(
            "this call was made in the thread that runs the event service of this program, where it would "
            "wait for itself for ever (in a __del__ that the garbage collector ran there, or in a handler): "
            "make it in another thread"
        )


def _after_fork() -> None:
    running.intersection_update({threading.get_ident()})


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
