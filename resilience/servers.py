"""The servers: how each is started, restarted on the same port, and asked which clients are connected.

Knows: command lines and settings, and how to check our service's statistics. Must not know: clients, faults.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from . import invariants
from .ports import LOOPBACK, free_port
from .processes import Actor, Cast, pause, until

_MOSQUITTO: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
sys_interval 1
log_dest none
# Started by root it would become another user.
user root
"""
_NATS: Final = 'host: 127.0.0.1\nport: {port}\nhttp: "127.0.0.1:{monitor}"\n'


def program(name: str) -> str | None:
    """The path of a server's program; Debian puts some where an ordinary user's PATH does not look."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


class Server:
    """A server of one system on its own port, which can be restarted.

    `address` is what its clients are given.
    """

    title = ""

    def __init__(self, cast: Cast, folder: Path) -> None:
        self.cast = cast
        self.folder = folder
        self.port = free_port()
        self.actor: Actor

    @property
    def address(self) -> str:
        return self.reached_by(self.port)

    def reached_by(self, port: int) -> str:
        """The address with another port, such as a proxy's."""
        return f"{LOOPBACK}:{port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self, before: Callable[[], None] | None = None) -> None:
        """Start it and wait until it listens. before: as for Actor."""
        self.actor = self.cast.start(*self.command(), name=self.title, obeys=False, before=before)
        until(self.listens, 15, f"{self.title} to listen")

    def listens(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), 1).close()
        except OSError:
            return False
        return True

    def clients(self) -> int:
        """How many clients or subscribers it counts; only differences are meaningful."""
        raise NotImplementedError

    def close(self) -> None:
        """Release what was needed to ask it; the scenario ends its process."""


class Ours(Server):
    """The event service, by its start script, with its defaults unless `options` says otherwise.

    options: of ServiceOptions and BacklogOptions. With any, it is started by resilience.programs.service.
    wrong: the errors in its statistics, at all times that they were checked.
    """

    title = "pyro_events"

    def __init__(self, cast: Cast, folder: Path, options: dict[str, Any] | None = None) -> None:
        super().__init__(cast, folder)
        self.options = options or {}
        self.wrong: list[str] = []

    def reached_by(self, port: int) -> str:
        return f"PYRO:Pyro.EventService@{LOOPBACK}:{port}"

    def command(self) -> list[str]:
        if self.options:
            settings = json.dumps(self.options)
            return [sys.executable, "-m", "resilience.programs.service", LOOPBACK, str(self.port), settings]
        return [sys.executable, "-m", "pyro_events.es", "-N", "-n", LOOPBACK, "-p", str(self.port)]

    def start(self, before: Callable[[], None] | None = None) -> None:
        self.actor = self.cast.start(*self.command(), name=self.title, obeys=False, before=before)
        self.actor.line_with("started")

    def statistics(self) -> dict[str, Any]:
        """The service's own statistics, asked for as a stock client does."""
        from Pyro5.api import Proxy

        with Proxy(self.address) as service:
            service._pyroTimeout = 10
            snapshot: dict[str, Any] = service.statistics()
        self.wrong += invariants.accounting(snapshot)
        return snapshot

    def clients(self) -> int:
        return len(self.statistics()["subscribers"])


class Mosquitto(Server):
    title = "mosquitto"

    def __init__(self, cast: Cast, folder: Path) -> None:
        super().__init__(cast, folder)
        self._monitor: Any = None
        self._counts: list[int] = []

    def command(self) -> list[str]:
        settings = self.folder / f"mosquitto-{self.port}.conf"
        settings.write_text(_MOSQUITTO.format(port=self.port), "utf-8")
        return [program("mosquitto") or "", "-c", str(settings)]

    def clients(self) -> int:
        """Its own count, which is at most a second old; the client that asks is included."""
        import paho.mqtt.client as mqtt

        if self._monitor is None:

            def connected(client: Any, *_: Any) -> None:
                client.subscribe("$SYS/broker/clients/connected")

            def arrived(client: Any, data: Any, message: Any) -> None:
                self._counts.append(int(message.payload))

            self._monitor = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
            self._monitor.on_connect, self._monitor.on_message = connected, arrived
            self._monitor.connect(LOOPBACK, self.port)
            self._monitor.loop_start()
            until(lambda: self._counts, 10, "mosquitto's count of clients")
            pause(2.5)  # until this client is counted as well
        return self._counts[-1]

    def close(self) -> None:
        if self._monitor is not None:
            self._monitor.disconnect()
            self._monitor.loop_stop()


class Nats(Server):
    title = "nats-server"

    def __init__(self, cast: Cast, folder: Path) -> None:
        super().__init__(cast, folder)
        self.monitor = free_port()

    def command(self) -> list[str]:
        settings = self.folder / f"nats-{self.port}.conf"
        settings.write_text(_NATS.format(port=self.port, monitor=self.monitor), "utf-8")
        return [program("nats-server") or "", "-c", str(settings)]

    def clients(self) -> int:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.monitor}/connz", timeout=5) as answer:
            return int(json.load(answer)["num_connections"])


SERVERS: Final[dict[str, Callable[[Cast, Path], Server]]] = {
    "ours": Ours,
    "mqtt": Mosquitto,
    "mqtt-kept": Mosquitto,
    "nats": Nats,
}
