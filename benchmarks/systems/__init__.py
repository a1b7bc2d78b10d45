"""The systems that are compared, in the order of the tables."""

from __future__ import annotations

from .asyncio_clients import ASYNCIO, PyroEventsAio
from .base import System
from .mqtt import Mqtt
from .nats_core import Nats
from .ours import Compiled, PyroEvents, StockProxy
from .raw_limit import RawLimit, RawLimitUnix
from .redis_pubsub import Redis
from .streams import PyroEventsStream
from .zeromq_proxy import ZeroMq

SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        PyroEvents(),
        Compiled(),
        StockProxy(),
        Redis(),
        Nats(),
        ZeroMq(),
        Mqtt(),
        RawLimit(),
        RawLimitUnix(),
        *ASYNCIO,
        PyroEventsStream(),
    )
}
# Not systems that anybody could use, so no chart shows them.
LIMITS = (RawLimit.name, RawLimitUnix.name)
OURS = PyroEvents.name
OURS_COMPILED = Compiled.name
# Both forms of ours, which do the same.
FORMS = (OURS, OURS_COMPILED)
OURS_AIO = PyroEventsAio.name
OURS_STREAM = PyroEventsStream.name

__all__ = ["FORMS", "LIMITS", "OURS", "OURS_AIO", "OURS_COMPILED", "OURS_STREAM", "SYSTEMS", "System"]
