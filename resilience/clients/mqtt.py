"""MQTT with paho-mqtt, QoS 1: at least once, as long as a session lasts.

Knows: paho-mqtt. Must not know: the server. "mqtt" is paho's default, a clean session. "mqtt-kept" has a
client id of its own, so that the server keeps its session while it is away.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import paho.mqtt.client as mqtt

from ..programs.record import Record
from . import Handle

_PATIENCE = 30.0


def _connected(address: str, name: str = "") -> mqtt.Client:
    """name: of a session that is kept, also when the program runs again."""
    host, _, port = address.rpartition(":")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=not name)
    client.reconnect_delay_set(1, 2)
    client.connect(host, int(port))
    return client


class _Publisher:
    def __init__(self, address: str) -> None:
        self._client = _connected(address)
        self._client.loop_start()

    def publish(self, subject: str, message: Any) -> int:
        info = self._client.publish(subject, json.dumps(message), 1)
        info.wait_for_publish(_PATIENCE)
        if not info.is_published():
            raise TimeoutError("no PUBACK")
        return 1

    def unknown(self, error: Exception) -> bool:
        return True  # paho keeps trying

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class _Subscriber:
    port = 0

    def __init__(self, address: str, subjects: list[str], handle: Handle, record: Record, kept: bool) -> None:
        granted = threading.Event()
        self._connections = 0

        def connected(client: mqtt.Client, *_: Any) -> None:
            self._connections += 1
            if self._connections > 1:
                record.returns.append("connected again")
            client.subscribe([(subject, 1) for subject in subjects])

        self._client = _connected(address, "-".join(subjects) if kept else "")
        self._client.on_connect = connected
        self._client.on_subscribe = lambda *_: granted.set()
        self._client.on_message = lambda _client, _data, message: handle(json.loads(message.payload))
        self._client.loop_start()
        if not granted.wait(_PATIENCE):
            raise TimeoutError("no SUBACK")

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class System:
    """As clients.Client."""

    def __init__(self, name: str) -> None:
        self._kept = name == "mqtt-kept"
        self.publisher = _Publisher

    def subscriber(
        self, address: str, subjects: list[str], handle: Handle, record: Record, options: dict[str, Any]
    ) -> _Subscriber:
        return _Subscriber(address, subjects, handle, record, self._kept)
