"""Accepting connections: the transport of a subscriber's daemon.

Knows: the listening socket and Pyro5's interface of a transport server. Must not know: what is said
on a connection; `accept` never reads from one, and each gets a thread of its own.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from Pyro5 import config, socketutil

from ...log.background import get_logger
from ...transport.keepalive import FROM_SERVICE, keep_alive

log = get_logger("pyro_events.daemon")

# Connections that may wait to be accepted while the program does not listen yet; Pyro5's own figure.
_BACKLOG: Final = 100
# What can wait without a descriptor of its own, since there is none left.
_WAITER: Final = getattr(selectors, "PollSelector", selectors.SelectSelector)


@dataclass(frozen=True)
class AcceptIntervals:
    """How often the loop does what it is not woken for.

    condition: seconds between two looks at whether the loop's condition still holds.
    recovery: seconds for which nothing is accepted when descriptors or memory are used up; the loop would
    spin otherwise.
    """

    condition: float = 0.1
    recovery: float = 0.1


DEFAULT_INTERVALS: Final = AcceptIntervals()


class AcceptLoop:
    """Accepts connections and gives each to `serve`, in a thread of its own.

    It stands where Pyro5's thread server would: the same attributes and methods, but its loop ends at
    once when it is told to, and no client can end or delay it.
    """

    def __init__(
        self,
        daemon: Any,
        host: str,
        port: int,
        serve: Callable[[socket.socket], None],
        intervals: AcceptIntervals = DEFAULT_INTERVALS,
    ) -> None:
        """serve: called in a thread for each connection, which it must close. Raises OSError."""
        self.daemon = daemon
        self._serve = serve
        self._intervals = intervals
        self.sock: socket.socket | None = _listening_socket(host, port)
        location = self.sock.getsockname()
        shown = f"[{host}]" if ":" in host else host
        self.locationStr = f"{shown}:{location[1]}"
        self._selector = selectors.DefaultSelector()
        self._wake_sender, self._wake_receiver = socket.socketpair()
        self._wake_sender.setblocking(False)
        self._selector.register(self.sock, selectors.EVENT_READ)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        self._stopping = False
        # Called when a loop has started, so that a `stop` from then on ends it.
        self.begun: Callable[[], object] = lambda: None
        self._loop_thread: threading.Thread | None = None
        self._left = threading.Event()
        self._left.set()
        self._closing = threading.RLock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self.locationStr}>"

    @property
    def sockets(self) -> list[socket.socket]:
        """For an external event loop: the connections have threads, so this is the only one."""
        return [self.sock] if self.sock is not None else []

    @property
    def selector(self) -> Any:
        """There is none to multiplex with."""
        raise TypeError("a subscriber's daemon has no multiplexing selector")

    def combine_loop(self, server: Any) -> None:
        """Refused, as by Pyro5's thread server."""
        raise TypeError("you can't use the loop combiner on a subscriber's daemon")

    def begin(self) -> None:
        """A loop is about to start; a `stop` from now on ends it."""
        self._stopping = False

    def loop(self, loopCondition: Callable[[], bool] | None = None) -> None:
        """Accept until `stop`, `close` or a false condition. An exception such as KeyboardInterrupt
        passes through."""
        self._loop_thread = threading.current_thread()
        self._left.clear()
        self.begun()
        wait = self._intervals.condition if loopCondition is not None else None
        housekeeping = time.monotonic() + config.POLLTIMEOUT
        try:
            while not self._stopping and self.sock is not None:
                if loopCondition is not None and not loopCondition():
                    break
                self._step(wait if wait is not None else config.POLLTIMEOUT)
                if time.monotonic() >= housekeeping:
                    self.daemon._housekeeping()
                    housekeeping = time.monotonic() + config.POLLTIMEOUT
        finally:
            # In this order: a signal's handler that closes in the middle of the first must not wait for it.
            self._left.set()
            self._loop_thread = None

    def wait(self, timeout: float | None) -> None:
        """Accept what connects within `timeout` seconds; return once something did, or `stop` was called."""
        self.begun()
        if self.sock is not None:
            self._step(timeout)

    def _step(self, timeout: float | None) -> None:
        try:
            ready = self._selector.select(timeout)
        except (OSError, ValueError):
            if self.sock is None:  # closed by a signal's handler, in this very thread
                return
            raise
        for key, _ in ready:
            if key.fileobj is self._wake_receiver:
                self._wake_receiver.recv(4096)
            elif not self._stopping:
                self._accept()

    def events(self, eventsockets: Any) -> None:
        """For an external event loop: accept what waits."""
        if self.sock in eventsockets:
            self._accept()

    def _accept(self) -> None:
        """Accept all connections that wait; never raises."""
        while self.sock is not None:
            try:
                sock, _ = self.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if self._stopping or self.sock is None:
                    return
                log.warning("cannot accept connections for the moment: %s", error, about="accept")
                self._pause()
                return
            try:
                sock.setblocking(True)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                keep_alive(sock, FROM_SERVICE)
            except OSError:  # it has been reset already
                sock.close()
                continue
            thread = threading.Thread(
                target=self._serve, args=(sock,), name="pyro_events-subscriber", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                log.warning("a connection was refused: %s", error, about="accept")
                sock.close()

    def _pause(self) -> None:
        """Wait until descriptors may be free again, or until told to stop."""
        with _WAITER() as selector:
            selector.register(self._wake_receiver, selectors.EVENT_READ)
            selector.select(self._intervals.recovery)

    def stop(self) -> None:
        """Let the loop end, at once; callable from any thread and from a signal's handler."""
        self._stopping = True
        self.wakeup()

    def wakeup(self) -> None:
        """Let the loop go round once."""
        with contextlib.suppress(OSError):  # full of such calls already, or closed
            self._wake_sender.send(b"!")

    def shutdown(self) -> None:
        """Pyro5's name for ending all."""
        self.close()

    def close(self) -> None:
        """Stop the loop and release the sockets; does not wait when the loop's own thread calls."""
        self.stop()
        if self._loop_thread is not threading.current_thread():
            self._left.wait(1.0)
        with self._closing:
            sock, self.sock = self.sock, None
            if sock is not None:
                self._selector.close()
                sock.close()
                self._wake_sender.close()
                self._wake_receiver.close()

    def disown(self) -> None:
        """In a forked child: release the sockets, which are the parent's to use, without touching them."""
        sock, self.sock = self.sock, None
        self._selector.close()
        if sock is not None:
            sock.close()
        self._wake_sender.close()
        self._wake_receiver.close()


def _listening_socket(host: str, port: int) -> socket.socket:
    """A non-blocking socket that listens. The one place where a daemon's socket is made."""
    address = socketutil.get_ip_address(host)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    sock = socket.create_server((str(address), port), family=family, backlog=_BACKLOG)
    sock.setblocking(False)
    return sock
