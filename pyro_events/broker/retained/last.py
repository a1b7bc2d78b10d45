"""Last: which last values a subscribing call asks for.

Knows: the choices. Must not know: who asks, or what is kept.
"""

from __future__ import annotations

import enum


class Last(enum.Enum):
    """Of the names and patterns of one call."""

    NONE = 0
    # Of those that the subscriber was not subscribed to: when it subscribes again because it does not know
    # whether the service has forgotten it.
    OF_NEW = 1
    OF_ALL = 2
