"""The cases, in the order in which they are run and shown."""

from __future__ import annotations

from .asyncio_clients import AIO_ACKED, AIO_LATENCY, AIO_PIPELINED, AIO_STREAMS, AIO_TASKS
from .base import Case, Figures, Goal, Metric
from .latency import LATENCY
from .memory import MEMORY
from .patterns import NEW_PATTERNS, PATTERNS
from .rates import ACKED_CASE, FAN_OUT, LARGE, MANY_PUBLISHERS, PIPELINED
from .scale import SIZE, SLOW, SUBSCRIBERS
from .start_up import START_UP
from .streams import STREAM_LATENCY, STREAM_PIPELINED

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        ACKED_CASE,
        PIPELINED,
        LATENCY,
        FAN_OUT,
        MANY_PUBLISHERS,
        PATTERNS,
        NEW_PATTERNS,
        LARGE,
        SUBSCRIBERS,
        SLOW,
        SIZE,
        AIO_ACKED,
        AIO_TASKS,
        AIO_PIPELINED,
        AIO_LATENCY,
        AIO_STREAMS,
        STREAM_PIPELINED,
        STREAM_LATENCY,
        MEMORY,
        START_UP,
    )
}

__all__ = ["CASES", "Case", "Figures", "Goal", "Metric"]
