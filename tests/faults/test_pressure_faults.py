"""More than the service may hold: everybody waits a while, and those to blame go one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from waiting import eventually

from resilience import invariants
from resilience.member import Member
from resilience.scenario import LONG, Scenario
from resilience.servers import Ours

MakeStage = Callable[..., Scenario]

TOTAL = 4 << 20
BALLAST = 16 << 10
# An event as it is counted, its subject and the rest of its message in it.
EVENT = BALLAST + 500
# How far memory may go beyond what is held: buffers of connections, and what the allocator keeps.
SLACK = 16 << 10  # KiB


def test_frozen_subscribers_that_fill_the_total_go_one_by_one_and_come_back(scenario: MakeStage) -> None:
    """C17, whatever their policies: none of their own bounds is reached, only that of all together."""
    scene = scenario(
        rate=200.0,
        ballast=BALLAST,
        options={"total_backlog_bytes": TOTAL},
        subscribe_options={"overflow": "drop-newest"},
    )
    server = scene.server
    assert isinstance(server, Ours)
    others = [
        Member(scene.cast, server, "ours", "storm", subscribe_options={"overflow": policy})
        for policy in ("block", "drop-oldest")
    ]
    for other in others:
        other.start()
    frozen = [scene.affected, *(other.actor for other in others)]
    eventually(lambda: all(one.ask("report")["received"] for one in frozen), LONG, "events for all")
    scene.at_first = server.actor.resources()  # with all of them
    for one in frozen:
        one.freeze()
    held = False

    def gone() -> bool:
        nonlocal held
        snapshot: dict[str, Any] = server.statistics()
        # Two publishers, each of which may have queued one more event, for three, before it was held up.
        assert snapshot["backlog_bytes"] <= TOTAL + 2 * 3 * EVENT
        assert server.actor.resources()["memory"] - scene.at_first["memory"] < TOTAL // 1024 + SLACK
        held = held or snapshot["backlog_bytes"] > TOTAL - EVENT
        return len(snapshot["subscribers"]) == 1

    eventually(gone, 30.0, "the end of all three subscriptions")
    assert held
    for one in frozen:
        one.thaw()
    since = time.monotonic()
    for one in frozen:
        scene.recovered(since, one, patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports, crowded=True) == []
    lost = server.statistics()["lost"]
    assert lost["deadline"] > 0
    assert set(lost) <= {"deadline", "unconfirmed"}
    for one in frozen:
        report = one.ask("report")
        assert invariants.order(one.name, report) == []
        assert len(report["returns"]) == report["unknown"] == 1
