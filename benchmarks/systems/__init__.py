"""The systems that are compared, in the order of the tables."""

from __future__ import annotations

from .asyncio_clients import ASYNCIO, PyroEventsAio
from .base import OverUnix, System
from .mqtt import Mqtt
from .nats_core import Nats
from .ours import Compiled, CompiledOverTcp, OverTcp, PyroEvents, StockProxy
from .raw_limit import RawLimit, RawLimitUnix
from .redis_pubsub import Redis, RedisUnix
from .streams import PyroEventsStream
from .zeromq_proxy import ZeroMq, ZeroMqUnix

SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        PyroEvents(),
        Compiled(),
        OverTcp(),
        CompiledOverTcp(),
        StockProxy(),
        Redis(),
        RedisUnix(),
        Nats(),
        ZeroMq(),
        ZeroMqUnix(),
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
# Both forms of ours, which do the same; each as it is by default, which is over a Unix socket, and over TCP.
OVER_TCP = {OURS: OverTcp.name, OURS_COMPILED: CompiledOverTcp.name}
FORMS = (*OVER_TCP, *OVER_TCP.values())
COMPILED_FORMS = (OURS_COMPILED, CompiledOverTcp.name)
# The others that use Unix sockets.
UNIX = tuple(name for name, system in SYSTEMS.items() if isinstance(system, OverUnix))
OURS_AIO = PyroEventsAio.name
OURS_STREAM = PyroEventsStream.name

__all__ = [
    "COMPILED_FORMS",
    "FORMS",
    "LIMITS",
    "OURS",
    "OURS_AIO",
    "OURS_COMPILED",
    "OURS_STREAM",
    "OVER_TCP",
    "SYSTEMS",
    "UNIX",
    "System",
]
