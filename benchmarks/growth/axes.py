"""What grows, and how it is measured at one point.

Knows: the sizes of the work. Must not know: how a system does it, or how it is shown.

The work at each point is about the same, so that a point takes seconds wherever it lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..cases.rates import SUBJECT
from ..children.tasks import ACKED, STREAMED, Listen, Listener, Phase, Publish
from ..run import open_files
from ..session import Session, exchange
from ..systems import OURS, OURS_AIO

_LIMIT = 90.0  # seconds for one point of one system
_CONNECTING = 120.0  # and for ten thousand connections
_MIB = 1024 * 1024
# The defaults of the service protect it from what is measured here.
_MANY_SUBJECTS = {
    "PYROEVENTS_MAX_SUBSCRIPTIONS": "200000",
    "PYROEVENTS_TOTAL_SUBSCRIPTION_BYTES": str(1024 * _MIB),
    "PYROEVENTS_HOST_SUBSCRIPTION_BYTES": str(1024 * _MIB),
}
_MANY_CLIENTS = {"PYROEVENTS_MAX_CONNECTIONS": "15000"}
_LARGE_MESSAGES = {
    "PYROEVENTS_MAX_MESSAGE": str(128 * _MIB),
    "PYROEVENTS_BACKLOG_BYTES": str(512 * _MIB),
}


def unbounded() -> float:
    """What every machine can have."""
    return math.inf


@dataclass(frozen=True)
class Axis:
    """What grows.

    about, grows, unit: for the reader. points: how far. measure: called with a system, a point and whether to
    be quick; returns the figure, of which more is better. ours, peers: the systems. most: called for the
    largest point that this machine can have.
    """

    name: str
    about: str
    grows: str
    unit: str
    points: tuple[int, ...]
    measure: Callable[[str, int, bool], float]
    peers: tuple[str, ...]
    ours: str = OURS
    most: Callable[[], float] = unbounded

    def points_of(self, quick: bool) -> list[int]:
        """The points on this machine; if it is to be quick, only the first three."""
        most = self.most()
        return [int(min(point, most)) for point in (self.points[:3] if quick else self.points)]


def _subjects(system: str, subjects: int, quick: bool) -> float:
    """One subscriber that has subscribed to each subject; the publisher takes one after the other."""
    names = [f"STOCKQUOTE.S{number:06}" for number in range(subjects)]
    count = 500 if quick else 100_000
    warm = max(subjects, 100)
    with Session(system, _LIMIT, _MANY_SUBJECTS) as session:
        listen = Listen(system, session.address, [Listener(names)], [warm, count])
        phases = [Phase(warm, STREAMED), Phase(count, STREAMED)]
        publish = Publish(system, session.address, names, phases)
        return exchange(session, [listen], [publish])[1].rate(count)


def _subscribers(system: str, subscribers: int, quick: bool) -> float:
    """Each event goes to all subscribers, each of which has a connection of its own."""
    count = max(10, (500 if quick else 100_000) // subscribers)
    with Session(system, _LIMIT + _CONNECTING, _MANY_CLIENTS) as session:
        stages = [subscribers, count * subscribers]
        listen = Listen(system, session.address, [Listener([SUBJECT])] * subscribers, stages)
        publish = Publish(system, session.address, [SUBJECT], [Phase(1, STREAMED), Phase(count, STREAMED)])
        return exchange(session, [listen], [publish])[1].rate(count * subscribers)


def _size(system: str, size: int, quick: bool) -> float:
    """Plain bytes, as fast as the publisher can."""
    count = max(4, min(200 if quick else 50_000, 256 * _MIB // size))
    warm = max(1, count // 20)
    kind = f"bytes:{size}"
    with Session(system, _LIMIT, _LARGE_MESSAGES) as session:
        listen = Listen(system, session.address, [Listener([SUBJECT])], [warm, count], kind)
        phases = [Phase(warm, STREAMED), Phase(count, STREAMED)]
        publish = Publish(system, session.address, [SUBJECT], phases, kind)
        return exchange(session, [listen], [publish])[1].rate(count)


def _publishers(system: str, publishers: int, quick: bool) -> float:
    """Each waits for its own acknowledgements; they are in two processes, if there are several."""
    processes = min(2, publishers)
    half = publishers // processes
    count = max(4, (200 if quick else 20_000) // publishers)
    everybody = half * processes
    with Session(system, _LIMIT) as session:
        stages = [everybody, count * everybody]
        listen = Listen(system, session.address, [Listener([SUBJECT])], stages)
        phases = [Phase(1, ACKED), Phase(count, ACKED)]
        publish = Publish(system, session.address, [SUBJECT], phases, publishers=half)
        return exchange(session, [listen], [publish] * processes)[1].rate(count * everybody)


def _connections() -> float:
    """A service keeps half of its files for subscribers, and a few for itself."""
    return open_files() / 2 - 100


_DECADES: Final = tuple(10**power for power in range(6))

AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis(
            "subjects",
            "one publisher as fast as it can, one subscriber to all subjects",
            "subjects",
            "events/s",
            _DECADES,
            _subjects,
            ("redis-unix", "nats", "zeromq-unix"),
        ),
        Axis(
            "subscribers",
            "one publisher as fast as it can, all subscribers in one process on asyncio",
            "subscribers",
            "deliveries/s",
            _DECADES[:5],
            _subscribers,
            ("redis-asyncio-unix", "nats"),
            OURS_AIO,
            _connections,
        ),
        Axis(
            "size",
            "one publisher as fast as it can, one subscriber, plain bytes",
            "bytes of a message",
            "events/s",
            (*(10**power for power in range(1, 8)), 64 * _MIB),
            _size,
            ("redis-unix", "nats", "zeromq-unix"),
        ),
        Axis(
            "publishers",
            "each waits for each acknowledgement, one subscriber",
            "publishers",
            "events/s",
            _DECADES[:4],
            _publishers,
            ("redis-unix", "nats"),
        ),
    )
}
