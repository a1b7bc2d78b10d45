"""The delivery to a publisher that watches subjects: what waits for it, and how its end is logged."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from pyro_events.broker.accounting import Loss
from pyro_events.codec.message import decode
from pyro_events.log.background import background
from pyro_events.log.failures import Failures
from pyro_events.options import Overflow, ServiceOptions
from pyro_events.server.interest.watcher_delivery import WatcherDelivery
from pyro_events.server.limits.scheduler import Scheduler
from pyro_events.server.objects import Caller


def delivery(ended: list[Any]) -> WatcherDelivery:
    owner = SimpleNamespace(
        failures=Failures(),
        scheduler=Scheduler(),
        client_tls=None,
        tls_memory=None,
        ended=lambda *what: ended.append(what),
    )
    caller = Caller("192.0.2.1", 4)
    return WatcherDelivery(owner, caller, "its-id", "camera", ServiceOptions())  # type: ignore[arg-type]


def test_of_each_subject_only_the_newest_state_waits() -> None:
    async def main() -> None:
        one = delivery([])
        assert one.backlog.overflow is Overflow.LATEST and one.backlog.name == "camera"
        for number in range(100):
            one.tell(f"S{number}", 1, 1.0)
        one.tell("s7", 0, 2.0)
        assert len(one.backlog) == 100
        rows = one.backlog.take(1000, 1 << 20).rows
        assert [row[0] for row in rows][-2:] == ["S99", "s7"]
        assert [decode(bytes(row[4])) for row in rows[-2:]] == [1, 0]

    asyncio.run(main())


def test_its_end_is_told_to_its_owner_and_logged_as_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[Any] = []

    async def main() -> None:
        one = delivery(ended)
        one.tell("A", 1, 1.0)
        one.abandon()
        assert not one.is_open

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
        background.flush(timeout=10)
    assert [what[1] for what in ended] == [Loss.GONE]
    assert [record.levelname for record in caplog.records if "camera" in record.getMessage()] == ["INFO"]
