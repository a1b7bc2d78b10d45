"""Accepting connections: the transport of a subscriber's daemon.

Knows: the listening socket and Pyro5's interface of a transport server. Must not know: what is said on a
connection: this module never reads from one, and each has its own thread.
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

from ...constants import LONGEST_WAIT
from ...log.background import get_logger
from ...transport.keepalive import FROM_SERVICE, keep_alive

log = get_logger("pyro_events.daemon")

# The length of the accept queue while the program does not listen yet; the same as Pyro5's.
_BACKLOG: Final = 100
# The errors that mean that there is no descriptor or memory left.
_WAITER: Final = getattr(selectors, "PollSelector", selectors.SelectSelector)


@dataclass(frozen=True)
class AcceptIntervals:
    """How often the loop does what nothing wakes it for.

    condition: seconds between two checks of the loop's condition. recovery: seconds for which nothing is
    accepted when descriptors or memory are used up; otherwise the loop would spin.
    """

    condition: float = 0.1
    recovery: float = 0.1


DEFAULT_INTERVALS: Final = AcceptIntervals()


class AcceptLoop:
    """Accepts connections and gives each to `serve`, in its own thread.

    It replaces Pyro5's thread server: it has the same attributes and methods, but its loop ends at once when
    it is told to, and no client can end or delay it.
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
        # Called when a loop has started, so that a later `stop` ends it.
        self.begun: Callable[[], object] = lambda: None
        self._loop_thread: threading.Thread | None = None
        self._left = threading.Event()
        self._left.set()
        self._closing = threading.RLock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self.locationStr}>"

    @property
    def sockets(self) -> list[socket.socket]:
        """For an external event loop: only the listening socket, because the connections have threads."""
        return [self.sock] if self.sock is not None else []

    @property
    def selector(self) -> Any:
        """None: there is no selector."""
        raise TypeError("a subscriber's daemon has no multiplexing selector")

    def combine_loop(self, server: Any) -> None:
        """Refused, as by Pyro5's thread server."""
        raise TypeError("you can't use the loop combiner on a subscriber's daemon")

    def begin(self) -> None:
        """A loop is about to start; a `stop` from now on ends it."""
        self._stopping = False

    def loop(self, loopCondition: Callable[[], bool] | None = None) -> None:
        """Accept connections until `stop`, `close` or a false condition. Exceptions such as KeyboardInterrupt
        are passed on."""
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
            # In this order: a signal handler that closes in the middle of the first must not wait for it.
            self._left.set()
            self._loop_thread = None

    def wait(self, timeout: float | None) -> None:
        """Accept connections for at most `timeout` seconds; return as soon as one was accepted, or `stop` was
        called."""
        self.begun()
        if self.sock is not None:
            self._step(None if timeout is None or timeout >= LONGEST_WAIT else timeout)

    def _step(self, timeout: float | None) -> None:
        try:
            ready = self._selector.select(timeout)
        except (OSError, ValueError):
            if self.sock is None:  # a signal handler in this thread has closed it
                return
            raise
        for key, _ in ready:
            if key.fileobj is self._wake_receiver:
                self._wake_receiver.recv(4096)
            elif not self._stopping:
                self._accept()

    def events(self, eventsockets: Any) -> None:
        """For an external event loop: accept the connections that wait."""
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
        """End the loop at once; any thread and a signal handler may call it."""
        self._stopping = True
        self.wakeup()

    def wakeup(self) -> None:
        """Let the loop go round once."""
        with contextlib.suppress(OSError):  # full of such bytes already, or closed
            self._wake_sender.send(b"!")

    def knock(self) -> None:
        """Let a loop of the program's own, which waits for `sockets`, go round: by a connection that ends at
        once."""
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError), socket.socket(sock.family) as knocking:  # closed meanwhile
                knocking.setblocking(False)
                knocking.connect_ex(sock.getsockname())

    def shutdown(self) -> None:
        """Pyro5's name for closing."""
        self.close()

    def close(self) -> None:
        """Stop the loop and release the sockets. Does not wait if the loop's own thread calls it."""
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
        """In a forked child: release the parent's sockets without affecting the parent."""
        sock, self.sock = self.sock, None
        self._selector.close()
        if sock is not None:
            sock.close()
        self._wake_sender.close()
        self._wake_receiver.close()


def _listening_socket(host: str, port: int) -> socket.socket:
    """A non-blocking listening socket. This is the only place where a daemon's socket is made."""
    address = socketutil.get_ip_address(host)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    sock = socket.create_server((str(address), port), family=family, backlog=_BACKLOG)
    sock.setblocking(False)
    return sock
