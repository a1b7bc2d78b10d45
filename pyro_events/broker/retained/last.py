"""Last: which last values a subscribing call asks for.

Knows: the choices. Must not know: who asks, or what is kept.
"""

from __future__ import annotations

import enum


class Last(enum.Enum):
    """Of the names and patterns of one call."""

    NONE = 0
    # Of those names to which the subscriber was not subscribed, and of all the patterns if any of them is
    # new: when it subscribes again because it does not know whether the service has forgotten it.
    OF_NEW = 1
    OF_ALL = 2
