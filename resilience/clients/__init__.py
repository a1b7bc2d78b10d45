"""How each system's Python client publishes and subscribes, as its users would write it.

Knows: the interface. Must not know: any system until it is asked for, because its package may be missing.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from ..programs.record import Record

_MODULES = {"ours": "ours", "mqtt": "mqtt", "mqtt-kept": "mqtt", "nats": "nats_core"}


class Publisher(Protocol):
    """A connection that publishes."""

    def publish(self, subject: str, message: Any) -> int:
        """Publish and wait for the acknowledgement. Returns how many deliveries are queued, if the system
        says so, else 1."""

    def unknown(self, error: Exception) -> bool:
        """Whether an event may have been published although publishing raised that error."""

    def close(self) -> None:
        """Release its connections and threads."""


class Subscriber(Protocol):
    """A running subscriber, with its own threads."""

    port: int  # where it listens, 0 if it does not

    def facts(self) -> dict[str, Any]:
        """Further facts about it."""

    def close(self) -> None:
        """Release its connections and threads."""


class Handle(Protocol):
    """The function to call with each event."""

    def __call__(self, message: Any, seq: int = 0, missed: int | None = 0) -> None: ...


class Client(Protocol):
    """The module of a system."""

    def publisher(self, address: str) -> Publisher: ...

    def subscriber(
        self, address: str, subjects: list[str], handle: Handle, record: Record, options: dict[str, Any]
    ) -> Subscriber: ...


def client(system: str) -> Any:
    """The module for a system."""
    module: Any = importlib.import_module(f".{_MODULES[system]}", __name__)
    return module.System(system)
