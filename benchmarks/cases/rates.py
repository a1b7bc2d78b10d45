"""How many events per second: acknowledged, pipelined, to many, from many, and large ones.

Knows: the sizes of the work. Must not know: how a system does it.
"""

from __future__ import annotations

from ..children.tasks import ACKED, ARRAY, BYTES, STREAMED, Listen, Listener, Phase, Publish
from ..session import Outcome, Session, exchange
from ..systems import FORMS, LIMITS
from .base import ACKNOWLEDGING, STREAMING, ZEROMQ, Case, Figures, Goal, Metric

SUBJECT = "STOCKQUOTE.SUN"
_LIMIT = 120.0  # seconds for one measurement of one system
_MIB = 1024 * 1024

_RATE = Metric("rate", "events/s until handled", "events/s")


def rate_figures(outcome: Outcome, published: int, deliveries: int) -> Figures:
    """cpu is counted for each delivery."""
    return {
        "rate": outcome.rate(deliveries),
        "published": published / (outcome.published - outcome.start),
        **outcome.cpu_figures(deliveries),
    }


def _one_to_one(system: str, how: str, warm: int, count: int) -> Figures:
    with Session(system, _LIMIT) as session:
        listen = Listen(system, session.address, [Listener([SUBJECT])], [warm, count])
        publish = Publish(system, session.address, [SUBJECT], [Phase(warm), Phase(count, how)])
        return rate_figures(exchange(session, [listen], [publish])[1], count, count)


def measure_acked(system: str, quick: bool) -> Figures:
    return _one_to_one(system, ACKED, 50 if quick else 1_000, 300 if quick else 20_000)


def measure_pipelined(system: str, quick: bool) -> Figures:
    return _one_to_one(system, STREAMED, 50 if quick else 1_000, 2_000 if quick else 200_000)


def measure_fan_out(system: str, quick: bool) -> Figures:
    """A hundred subscribers, half of them in each of two processes."""
    half = 4 if quick else 50
    warm, count = (5, 50) if quick else (20, 2_000)
    with Session(system, _LIMIT) as session:
        listeners = [Listener([SUBJECT])] * half
        listen = Listen(system, session.address, listeners, [warm * half, count * half])
        publish = Publish(system, session.address, [SUBJECT], [Phase(warm), Phase(count, STREAMED)])
        return rate_figures(exchange(session, [listen, listen], [publish])[1], count, 2 * half * count)


def measure_many_publishers(system: str, quick: bool) -> Figures:
    """Fifty publishers, half of them in each of two processes, each of which waits for its own
    acknowledgements."""
    half = 3 if quick else 25
    warm, count = (5, 50) if quick else (20, 400)
    everybody = 2 * half
    with Session(system, _LIMIT) as session:
        stages = [warm * everybody, count * everybody]
        listen = Listen(system, session.address, [Listener([SUBJECT])], stages)
        publish = Publish(system, session.address, [SUBJECT], [Phase(warm), Phase(count)], publishers=half)
        outcome = exchange(session, [listen], [publish, publish])[1]
        return rate_figures(outcome, count * everybody, count * everybody)


def measure_large(system: str, quick: bool) -> Figures:
    """1 MiB at a time, as bytes and as a numpy array."""
    warm, count = (2, 5) if quick else (10, 300)
    figures: Figures = {}
    for kind in (BYTES, ARRAY):
        with Session(system, _LIMIT) as session:
            listen = Listen(system, session.address, [Listener([SUBJECT])], [warm, count], kind)
            publish = Publish(system, session.address, [SUBJECT], [Phase(warm), Phase(count, STREAMED)], kind)
            outcome = exchange(session, [listen], [publish])[1]
            figures[kind] = outcome.rate(count * _MIB) / 1e6
            figures |= {f"{who}_{kind}": used for who, used in outcome.cpu_figures(count).items()}
    return figures


ACKED_CASE = Case(
    "acked",
    "one publisher waiting for each acknowledgement, one subscriber",
    (*FORMS, "stock-proxy", *ACKNOWLEDGING, *LIMITS),
    (_RATE,),
    measure_acked,
    (Goal("rate", 2.2, ACKNOWLEDGING), Goal("rate", 0.5, LIMITS)),
)
PIPELINED = Case(
    "pipelined",
    "one publisher as fast as it can, one subscriber, all delivered",
    (*FORMS, *STREAMING, *LIMITS),
    (_RATE,),
    measure_pipelined,
    (Goal("rate", 3.5, STREAMING),),
)
FAN_OUT = Case(
    "fan-out",
    "one publisher as fast as it can, 100 subscribers in 2 processes",
    (*FORMS, *STREAMING),
    (Metric("rate", "deliveries/s until all are handled", "deliveries/s"),),
    measure_fan_out,
    (Goal("rate", 1.4, ZEROMQ), Goal("rate", 1.0, STREAMING)),
)
MANY_PUBLISHERS = Case(
    "many-publishers",
    "50 publishers in 2 processes, each waiting for each acknowledgement, one subscriber",
    (*FORMS, *ACKNOWLEDGING),
    (_RATE,),
    measure_many_publishers,
    (Goal("rate", 1.8, ACKNOWLEDGING),),
)
LARGE = Case(
    "large",
    "messages of 1 MiB, one publisher as fast as it can, one subscriber",
    (*FORMS, *STREAMING, *LIMITS),
    (
        Metric(BYTES, "MB/s of bytes", "MB/s"),
        Metric(ARRAY, "MB/s of 512x512 float32 numpy arrays", "MB/s"),
    ),
    measure_large,
    (Goal(BYTES, 1.0, STREAMING), Goal(ARRAY, 1.0, STREAMING)),
)
