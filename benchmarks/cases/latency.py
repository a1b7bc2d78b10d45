"""How long an event takes from just before `publish` until `event` is called, at 1,000 events/s.

Knows: the rate. Must not know: how a system does it.
"""

from __future__ import annotations

from ..children.tasks import PACED, Listen, Listener, Phase, Publish
from ..session import Session, exchange
from ..statistics import percentile
from ..systems import FORMS, LIMITS
from .base import ZEROMQ, Case, Figures, Goal, Metric
from .rates import SUBJECT

RATE = 1_000.0


def measure(system: str, quick: bool) -> Figures:
    warm, count = (100, 200) if quick else (1_000, 5_000)
    with Session(system, 60.0) as session:
        listen = Listen(system, session.address, [Listener([SUBJECT])], [warm, count], latency=True)
        phases = [Phase(warm, PACED, rate=RATE), Phase(count, PACED, rate=RATE)]
        publish = Publish(system, session.address, [SUBJECT], phases)
        outcome = exchange(session, [listen], [publish])[1]
    micros = [nanoseconds / 1e3 for nanoseconds in outcome.latencies]
    return {
        "median": percentile(micros, 0.5),
        "p99": percentile(micros, 0.99),
        "p999": percentile(micros, 0.999),
        "longest": max(micros),
        "rate": count / (outcome.published - outcome.start),
        **outcome.cpu_figures(count),
    }


_BROKERS = ("redis", "redis-unix", "nats")

LATENCY = Case(
    "latency",
    "1,000 events/s, from just before publish to the entry of event",
    (*FORMS, "stock-proxy", *_BROKERS, *ZEROMQ, "mqtt", *LIMITS),
    (
        Metric("median", "median", "µs", higher=False),
        Metric("p99", "99th percentile", "µs", higher=False),
    ),
    measure,
    (
        Goal("median", 1.0, _BROKERS),
        Goal("p99", 1.0, _BROKERS),
        Goal("median", 1.0, ZEROMQ),
        Goal("p99", 1.0, ZEROMQ),
    ),
)
