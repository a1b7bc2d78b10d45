"""Asyncio programs: a task that waits for each acknowledgement, a hundred tasks, a stream, many listeners.

Knows: the sizes of the work. Must not know: how a system does it.
"""

from __future__ import annotations

import dataclasses

from ..children.tasks import ACKED, STREAMED, TOGETHER, Listen, Listener, Phase, Publish
from ..session import Session, exchange
from ..systems import OURS_AIO
from .base import Case, Figures, Goal, Metric
from .latency import LATENCY
from .rates import SUBJECT, rate_figures

_LIMIT = 120.0
_PEERS = ("redis-asyncio", "redis-asyncio-unix", "nats")
_RATE = Metric("rate", "events/s until handled", "events/s")


def _measure(system: str, how: str, warm: int, count: int) -> Figures:
    with Session(system, _LIMIT) as session:
        listen = Listen(system, session.address, [Listener([SUBJECT])], [warm, count])
        phases = [Phase(warm, how), Phase(count, how)]
        publish = Publish(system, session.address, [SUBJECT], phases)
        return rate_figures(exchange(session, [listen], [publish])[1], count, count)


def measure_acked(system: str, quick: bool) -> Figures:
    return _measure(system, ACKED, 50 if quick else 1_000, 300 if quick else 20_000)


def measure_together(system: str, quick: bool) -> Figures:
    return _measure(system, TOGETHER, 200 if quick else 5_000, 500 if quick else 50_000)


def measure_pipelined(system: str, quick: bool) -> Figures:
    return _measure(system, STREAMED, 50 if quick else 1_000, 2_000 if quick else 200_000)


def measure_streams(system: str, quick: bool) -> Figures:
    """A thousand listeners in one process, each with a connection of its own."""
    listeners = 20 if quick else 1_000
    warm, count = (2, 10) if quick else (5, 100)
    with Session(system, _LIMIT) as session:
        stages = [warm * listeners, count * listeners]
        listen = Listen(system, session.address, [Listener([SUBJECT])] * listeners, stages)
        phases = [Phase(warm, STREAMED), Phase(count, STREAMED)]
        publish = Publish(system, session.address, [SUBJECT], phases)
        return rate_figures(exchange(session, [listen], [publish])[1], count, count * listeners)


_SYSTEMS = (OURS_AIO, *_PEERS)
_GOALS = (Goal("rate", 1.5, _PEERS),)

AIO_ACKED = Case(
    "aio-acked",
    "asyncio: one task waiting for each acknowledgement, one subscriber",
    _SYSTEMS,
    (_RATE,),
    measure_acked,
    _GOALS,
    OURS_AIO,
)
AIO_TASKS = Case(
    "aio-tasks",
    "asyncio: 100 tasks that share a publisher, each waiting for its acknowledgements, one subscriber",
    _SYSTEMS,
    (_RATE,),
    measure_together,
    _GOALS,
    OURS_AIO,
)
AIO_LATENCY = dataclasses.replace(
    LATENCY,
    name="aio-latency",
    about="asyncio: 1,000 events/s, from just before publish until the event was taken",
    systems=_SYSTEMS,
    goals=(Goal("median", 1.0, _PEERS), Goal("p99", 1.0, _PEERS)),
    ours=OURS_AIO,
)
AIO_STREAMS = Case(
    "aio-streams",
    "asyncio: one publisher as fast as it can, 1,000 listeners in one process",
    _SYSTEMS,
    (Metric("rate", "deliveries/s until all are handled", "deliveries/s"),),
    measure_streams,
    (Goal("rate", 1.0, _PEERS),),
    OURS_AIO,
)
AIO_PIPELINED = Case(
    "aio-pipelined",
    "asyncio: one publisher as fast as it can, one subscriber, all delivered",
    _SYSTEMS,
    (_RATE,),
    measure_pipelined,
    _GOALS,
    OURS_AIO,
)
