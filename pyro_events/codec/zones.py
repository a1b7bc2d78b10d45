"""Time zones of `zoneinfo`, which are written as their keys.

A program that has not imported `zoneinfo` has none, and importing it takes a tenth of the time in which the
rest of a client is imported. So when writing, only imported modules are checked. When a program reads a zone,
`zoneinfo` is imported.

Knows: ZoneInfo. Must not know: how a key is marked in a message.
"""

from __future__ import annotations

import sys
from datetime import tzinfo
from typing import Any

from ..errors import UnsupportedTypeError

__all__ = ["is_zone_class", "key_of_zone", "zone_of_key"]


def is_zone_class(cls: type) -> bool:
    """Whether it is ZoneInfo itself."""
    # Another thread may just be importing the module.
    return cls is getattr(sys.modules.get("zoneinfo"), "ZoneInfo", None)


def key_of_zone(zone: Any) -> str:
    """The key of a ZoneInfo. Raises UnsupportedTypeError if another program cannot find it by one."""
    import pickle

    try:
        zone.__reduce__()
    except pickle.PicklingError:  # the key that it may have is not found there either
        raise UnsupportedTypeError("this ZoneInfo was read from a file and has no key") from None
    key: str = zone.key
    return key


def zone_of_key(key: str) -> tzinfo:
    """The ZoneInfo of a key. Raises what ZoneInfo raises for a key that it does not know."""
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)
