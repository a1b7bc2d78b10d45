"""For the tests of programs that publish or listen: a service for one test, and what comes.

`LocalEventService` is what the fixture `event_service` of the pytest plugin gives; it works without pytest
too. `collect` keeps what is published while a test runs.

Example:
    >>> from pyro_events.testing import LocalEventService, collect
    >>> with LocalEventService(), collect("STOCKQUOTE.SUN") as quotes:
    ...     with Publisher() as market:  # in place of the program that is tested
    ...         market.publish("STOCKQUOTE.SUN", 22.44)
    ...     [event.msg for event in quotes.wait_for(1)]
    1
    [22.44]
"""

from __future__ import annotations

from .event_collector import EventCollector, collect
from .local_service import LocalEventService

__all__ = ["EventCollector", "LocalEventService", "collect"]


def __dir__() -> list[str]:
    """What tab completion offers: the modules that these names come from are not for programs."""
    return list(__all__)
