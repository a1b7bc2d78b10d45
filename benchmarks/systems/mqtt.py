"""MQTT: mosquitto with paho-mqtt.

Knows: mosquitto's settings and paho-mqtt. Must not know: any other system.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..children.counter import Counter
from ..children.tasks import Listener
from .base import Publisher, System, host_and_port, packed

_SETTINGS = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
# Nothing waits for a packet to fill, and nothing is dropped for a subscriber that lags.
set_tcp_nodelay true
max_queued_messages 0
max_queued_bytes 0
max_inflight_messages 0
{user}
"""
_PATIENCE = 30.0


class _Publisher(Publisher):
    def __init__(self, address: str, kind: str) -> None:
        self._client = _connected(address)
        self._pack = packed(kind)

    def publish(self, subject: str, message: Any) -> None:
        self._client.publish(_topic(subject), self._pack(message), 1).wait_for_publish(_PATIENCE)

    def send(self, subject: str, message: Any) -> None:
        self._client.publish(_topic(subject), self._pack(message), 0)

    def streamed(self, subjects: Iterable[str], message: Any) -> None:
        publish, pack = self._client.publish, self._pack
        last = None
        for subject in subjects:
            last = publish(_topic(subject), pack(message), 0)
        if last is not None:
            last.wait_for_publish(2 * _PATIENCE)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Mqtt(System):
    """mosquitto without persistence; QoS 1 where an acknowledgement is wanted, else QoS 0."""

    name = "mqtt"
    title = "mosquitto, paho-mqtt"
    packages = ("paho-mqtt",)
    program = "mosquitto"
    version_option = "-h"

    def command(self, folder: Path, port: int) -> list[str]:
        settings = folder / "mosquitto.conf"
        # Started by root, it would switch to another user, who cannot read the folder.
        settings.write_text(_SETTINGS.format(port=port, user="user root"), "utf-8")
        return [self._path() or "", "-c", str(settings)]

    def publisher(self, address: str, kind: str) -> Publisher:
        return _Publisher(address, kind)

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        take = counter.take

        def handle(client: Any, userdata: Any, message: Any) -> None:
            take(message.payload)

        clients = [_connected(address) for _ in listeners]
        for client, listener in zip(clients, listeners, strict=True):
            granted = threading.Event()
            client.on_message = handle
            client.on_subscribe = lambda *_, granted=granted: granted.set()
            names = [_topic(name) for name in listener.subjects]
            names += [f"{_topic(prefix)}#" for prefix in listener.prefixes]
            client.subscribe([(name, 0) for name in names])
            if not granted.wait(_PATIENCE):
                raise TimeoutError("mosquitto did not confirm a subscription")
        ready()
        threading.Event().wait()


def _topic(subject: str) -> str:
    """MQTT separates the parts of a name by slashes, and its wildcards match whole parts."""
    return subject.replace(".", "/")


def _connected(address: str) -> Any:
    """A client with its network thread, as most programs use it."""
    import paho.mqtt.client as mqtt

    host, port = host_and_port(address)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.on_socket_open = lambda _, __, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect(host, port)
    client.loop_start()
    if not connected.wait(_PATIENCE):
        raise TimeoutError("mosquitto did not accept a connection")
    return client
