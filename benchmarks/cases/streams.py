"""An EventStream beside a Subscriber, the same events once pulled and once called back; and beside others.

Knows: which figures are compared. Must not know: how a system does it, or how much work it is.
"""

from __future__ import annotations

import dataclasses

from ..systems import OURS, OURS_STREAM
from .base import Case, Goal
from .latency import LATENCY
from .rates import PIPELINED

_PEERS = ("redis-asyncio", "redis-asyncio-unix", "nats")
_SYSTEMS = (OURS_STREAM, OURS, *_PEERS)

STREAM_PIPELINED = dataclasses.replace(
    PIPELINED,
    name="stream-pipelined",
    about="one publisher as fast as it can, one listener: an EventStream beside others",
    systems=_SYSTEMS,
    goals=(Goal("rate", 0.8, (OURS,)), Goal("rate", 1.5, _PEERS)),
    ours=OURS_STREAM,
)
STREAM_LATENCY: Case = dataclasses.replace(
    LATENCY,
    name="stream-latency",
    about="1,000 events/s, from just before publish until the event was taken: an EventStream beside others",
    systems=_SYSTEMS,
    goals=(
        Goal("median", 1.1, (OURS,)),
        Goal("p99", 1.1, (OURS,)),
        Goal("median", 1.0, _PEERS),
        Goal("p99", 1.0, _PEERS),
    ),
    ours=OURS_STREAM,
)
