"""The port of a subscriber that the service can connect to: its Pyro5 daemon.

Knows: the daemon, and how the service is told about it. Must not know: subscriptions, or what happens to an
event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from Pyro5 import config

from ....wire.handshake.proofs import CallbackCheck
from ...daemon.daemon import SubscriberDaemon
from ...daemon.handshake import ConnectionListener
from ...dispatch.dispatcher import Dispatcher


class DaemonPort:
    """Where the service connects to one subscriber. uri: of the subscriber, when it is announced."""

    uri = ""

    def __init__(self, local_host: str, gate: CallbackCheck | None) -> None:
        """local_host: our address as the service sees it. gate: checks the proofs of services.

        Raises as SubscriberDaemon.
        """
        self.daemon = SubscriberDaemon(_host(local_host), gate=gate)

    def announce(
        self, subscriber: object, dispatcher: Dispatcher, listener: ConnectionListener
    ) -> dict[str, Any]:
        """Register the object in the daemon. Returns its proxy, in the form that calls carry."""
        self.uri = str(self.daemon.register(subscriber))
        proxy = self.daemon.proxyFor(subscriber)
        state = [list(part) if isinstance(part, (tuple, set)) else part for part in proxy.__getstate__()]
        self.daemon.deliver_to(proxy._pyroUri.object, dispatcher, listener)
        return {"__class__": "Pyro5.client.Proxy", "state": state}

    @property
    def location(self) -> str:
        """The address that the service has to connect to."""
        return str(self.daemon.locationStr)

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return self.daemon.connections

    @property
    def closed(self) -> bool:
        """Whether it is closed, for good."""
        return self.daemon.transportServer is None

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return self.daemon.entered

    def when_begun(self, begun: Callable[[], object]) -> None:
        """Call `begun` when `run` has begun."""
        server = self.daemon.transportServer
        if server is not None:
            server.begun = begun

    def run(self) -> None:
        """Let events start and the service connect, until `stop` or `close`."""
        self.daemon.requestLoop()

    def stop(self) -> None:
        """End `run` at once."""
        server = self.daemon.transportServer
        if server is not None:
            server.stop()

    def knock(self) -> None:
        """Have a loop of the program's own, which waits for the daemon's sockets, call the daemon."""
        server = self.daemon.transportServer
        if server is not None:
            server.knock()

    def close(self) -> None:
        """End the loop and all connections."""
        self.daemon.close()

    def disown(self) -> None:
        """In a forked child: release the parent's sockets."""
        self.daemon.disown()


def _host(local_host: str) -> str:
    """The address that the daemon listens on: the one that the service sees us at, or the one in Pyro5's
    config."""
    if config.HOST != "localhost" or not local_host:
        return str(config.HOST)
    return local_host
