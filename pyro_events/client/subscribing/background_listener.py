"""The background listener: one thread that runs a subscriber's `listen`.

Knows: the thread, and whether it has begun to listen. Must not know: what listening is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

# How long to wait for the program's own `listen` if that does not call ours, in seconds.
START_TIMEOUT: Final = 5.0


class BackgroundListener:
    """Runs `listen` in a daemon thread, which calls `begun` when it listens."""

    def __init__(self, listen: Callable[[], object]) -> None:
        self._listen = listen
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pyro_events-listen", daemon=True)

    def start(self) -> None:
        """Return when it listens. Raises what `listen` raises before that.

        What `listen` raises later goes to `threading.excepthook`, as from any thread.
        """
        self._thread.start()
        self._ready.wait(START_TIMEOUT)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        try:
            self._listen()
        except BaseException as error:
            if self._ready.is_set():
                raise
            self._error = error
        finally:
            self._ready.set()

    def begun(self) -> None:
        """It listens now."""
        self._ready.set()

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread, at most so many seconds; not in the thread itself."""
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join(timeout)
