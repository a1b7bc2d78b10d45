"""The event loop: uvloop where the platform has it, asyncio's own elsewhere.

Knows: which one is installed. Must not know: what runs on it.
"""

from __future__ import annotations

import asyncio

try:
    import uvloop
except ImportError:  # Windows has none
    uvloop = None


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A new loop, not set as the current one."""
    if uvloop is not None:
        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
    return asyncio.new_event_loop()
