"""The pytest plugin of pyro_events: the fixture `event_service`.

Knows: the fixture's name, and that pytest imports this module in every project. Must not know: anything that
takes time to import. So it lies outside of the package, and imports that when a test wants the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyro_events.testing import LocalEventService


@pytest.fixture
def event_service() -> Iterator[LocalEventService]:
    """An event service with its name server, on free ports of 127.0.0.1, for this test alone.

    `Publisher()`, `Subscriber()`, `EventStream()` and `pyro_events.testing.collect()` find it, here and in
    the programs that the test starts. See pyro_events.testing.LocalEventService.
    """
    from pyro_events.testing import LocalEventService

    with LocalEventService() as service:
        yield service
