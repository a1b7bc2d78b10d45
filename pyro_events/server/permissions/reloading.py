"""Reloading: reads a service's permissions from their file, and again when it is told to.

Knows: the file's path, and that reading it blocks. Must not know: what tells it to, or what a service does
with other permissions than before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Container
from functools import partial

from ...log.background import get_logger
from .permissions import Permissions, load_permissions

__all__ = ["ReadsPermissions", "ReloadedPermissions"]

log = get_logger("pyro_events.permissions")

# Does blocking work in another thread than the loop's.
Blocking = Callable[[Callable[[], Permissions]], Awaitable[Permissions]]


# Is given other permissions than before, and the users that are not there any more or have to prove another
# passphrase.
Apply = Callable[[Permissions, Container[str]], None]


class ReloadedPermissions:
    """The permissions of one service, None without a file.

    current: what holds now.
    """

    def __init__(self, path: str | os.PathLike[str] | None, blocking: Blocking) -> None:
        """Read the file; blocks. path: None for none. Raises ValueError for a file that cannot be used."""
        self._path = None if path is None else os.fspath(path)
        self._blocking = blocking
        self.current = None if self._path is None else load_permissions(self._path)
        self._wanted = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._apply: Apply = lambda permissions, gone: None
        self._reading: asyncio.Task[None] | None = None

    def begin(self, apply: Apply) -> None:
        """From now on, give `apply` what is read again. Runs on the loop, which also calls it."""
        self._apply = apply
        self._loop = asyncio.get_running_loop()
        self._read_if_wanted()

    def request(self) -> None:
        """Read the file again, off the loop; returns at once, from any thread and in a signal handler."""
        self._wanted = self._path is not None
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody needs permissions any more
                self._loop.call_soon_threadsafe(self._read_if_wanted)

    def end(self) -> None:
        """Read no more."""
        self._loop = None
        if self._reading is not None:
            self._reading.cancel()

    def _is_wanted(self) -> bool:
        return self._loop is not None

    def _read_if_wanted(self) -> None:
        if self._wanted and self._reading is None and self._loop is not None:
            self._reading = self._loop.create_task(self._read())

    async def _read(self) -> None:
        try:
            while self._wanted:  # once more if it was asked for meanwhile: the file may have changed
                self._wanted = False
                await self._read_once()
        finally:
            self._reading = None

    async def _read_once(self) -> None:
        assert self._path is not None and self.current is not None
        before = self.current
        try:
            self.current = await self._blocking(
                partial(load_permissions, self._path, before, self._is_wanted)
            )
        except ValueError as error:
            log.error("the permissions stay as they were, because their file cannot be used: %s", error)
            return
        self._apply(self.current, before.gone_after(self.current))
        log.info("the permissions were read again; there are %d users", len(self.current))


class ReadsPermissions:
    """Mixed into what runs with permissions. _permissions: those of what runs."""

    _permissions: ReloadedPermissions

    @property
    def on_hangup(self) -> Callable[[], None] | None:
        """What a start script has SIGHUP do: read the permissions again; None without permissions."""
        return None if self._permissions.current is None else self.reload_permissions

    def reload_permissions(self) -> None:
        """Read the file with the permissions again, as the start script does on SIGHUP.

        It returns at once; the file is read in another thread. Rights that were taken end when it has been
        read. A file that cannot be used changes nothing, and the log says what is wrong in it. Without
        permissions nothing happens. It may be called from any thread, and before the start.
        """
        self._permissions.request()
