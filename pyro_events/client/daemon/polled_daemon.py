"""A Pyro5 daemon's request loop, and the methods that a program's own loop calls instead.

Knows: the accept loop, and that events start while it runs. Must not know: what a connection is, or which
peers may connect.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import Pyro5.errors
import Pyro5.server

from ..dispatch.dispatcher import Dispatcher
from .accept_loop import AcceptLoop


class PolledDaemon(Pyro5.server.Daemon):
    """Base of SubscriberDaemon: its loop, for which a class derived from it makes `transportServer`."""

    transportServer: AcceptLoop | None
    _dispatcher: Dispatcher | None = None

    def requestLoop(self, loopCondition: Callable[[], bool] | None = None) -> None:
        """Accept connections and let events start, until `shutdown` or `close`.

        Args:
            loopCondition: is asked now and then, and ends the loop when it returns False. Default None:
                nothing else ends it.

        Raises:
            PyroError: this daemon is closed.
        """
        server = self._begun()
        self._resume()
        server.loop(loopCondition)

    def events(self, eventsockets: Any) -> None:
        """For a loop of the program's own: accept the connections that wait. Nothing happens when closed.

        Events start again after `abort` when one of `sockets` is among those given.

        Args:
            eventsockets: sockets that are ready, of which only those in `sockets` are used.
        """
        server = self.transportServer
        if server is None or not any(sock in eventsockets for sock in server.sockets):
            return
        self._resume()
        server.events(eventsockets)

    def handleRequests(self, timeout: float | None = None) -> None:
        """For a loop of the program's own: let events come, and accept connections; Pyro3's name.

        Events have threads of their own, so they go on while the program does something else.

        Args:
            timeout: seconds to wait for a connection. Default None: until there is one, or `abort`.

        Raises:
            PyroError: this daemon is closed.
        """
        server = self._begun()
        self._resume()
        server.wait(timeout)

    def _begun(self) -> AcceptLoop:
        server = self.transportServer
        if server is None:
            raise Pyro5.errors.PyroError("this daemon is closed")
        server.begin()
        return server

    def _resume(self) -> None:
        if self._dispatcher is not None and self._dispatcher.limits.paused:
            self._dispatcher.resume()
            self._resumed()

    def _resumed(self) -> None:
        """Events start again after `abort`, because the program runs a loop again."""

    def getServerSockets(self) -> list[socket.socket]:
        """What `sockets` holds; Pyro3's name.

        Returns:
            The socket to wait for; none when closed.
        """
        return self.sockets

    @property
    def sockets(self) -> list[socket.socket]:
        """For a loop of the program's own: the socket to wait for; none when closed."""
        server = self.transportServer
        return server.sockets if server is not None else []

    def shutdown(self) -> None:
        """End the request loop, and close."""
        self.close()

    def combine(self, daemon: Any) -> None:
        """Refused, as by Pyro5's thread server.

        Args:
            daemon: any other daemon.

        Raises:
            TypeError: always.
        """
        raise TypeError("you can't use the loop combiner on a subscriber's daemon")
