"""Faults that take their time, and the times that are promised; `scripts/faults` runs them by themselves."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from waiting import eventually

from resilience.processes import pause
from resilience.scenario import Scenario

MakeStage = Callable[..., Scenario]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("seconds", [10, 60])
def test_a_long_sleep_costs_nothing_that_the_backlog_holds(scenario: MakeStage, seconds: int) -> None:
    scene = scenario(quick=False)
    scene.affected.freeze()
    pause(seconds)
    assert scene.account()["backlog"] > 50 * seconds
    scene.affected.thaw()
    assert scene.recovered(time.monotonic()) < 2.0
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["affected"]["received"] == reports["publisher"]["acknowledged"]
    assert reports["affected"]["returns"] == []


def test_a_minute_of_sleep_with_a_small_backlog_ends_the_subscription_once(scenario: MakeStage) -> None:
    """C17: after ten seconds of holding up its publisher; then nobody waits for it any more."""
    scene = scenario(quick=False, subscribe_options={"backlog": 100})
    scene.affected.freeze()
    pause(60)
    assert scene.account() == {}
    scene.affected.thaw()
    assert scene.recovered(time.monotonic()) < 3.0
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert 9.0 < reports["publisher"]["longest"] < 12.0
    assert len(reports["affected"]["returns"]) == 1


def test_an_idle_half_open_line_is_found_from_both_ends(scenario: MakeStage) -> None:
    """By three heartbeats: 15 s idle, and 5 s for each answer."""
    scene = scenario(quick=False, proxied=True)
    scene.affected_publisher.ask("stop")
    for proxy in scene.proxies:
        proxy.vanish()
    since = time.monotonic()
    eventually(lambda: scene.server.clients() == 1, 60.0, "the end of the subscription")
    assert 25.0 < time.monotonic() - since < 40.0
    for proxy in scene.proxies:
        proxy.calm()
    eventually(lambda: scene.server.clients() == 2, 40.0, "the subscription made again")
    assert scene.verdict(scene.finish()) == []


def test_twenty_deaths_of_the_service(scenario: MakeStage) -> None:
    scene = scenario(quick=False)
    took = []
    for _ in range(20):
        scene.server.actor.kill()
        scene.server.start()
        since = time.monotonic()
        took += [scene.recovered(since), scene.recovered(since, scene.calm)]
    assert max(took) < 2.0, took
    reports = scene.finish()
    assert scene.verdict(reports, restarted=True) == []
    for name in ("calm", "affected"):
        assert len(reports[name]["returns"]) == reports[name]["unknown"] == 20


def test_ten_deaths_of_a_subscriber(scenario: MakeStage) -> None:
    """Noticed within a second; a new one hears within two."""
    scene = scenario(quick=False)
    for _ in range(10):
        scene.affected.kill()
        eventually(lambda: scene.server.clients() == 1, 1.0, "the end of the subscription")
        scene.start_affected()
        assert scene.recovered(time.monotonic()) < 2.0
    assert scene.verdict(scene.finish()) == []


def test_ten_cuts_and_resets_of_a_line(scenario: MakeStage) -> None:
    scene = scenario(quick=False, proxied=True)
    took = []
    for _ in range(10):
        for proxy in scene.proxies:
            proxy.cut()
        eventually(lambda: scene.server.clients() == 1, 1.0, "the end of the subscription")
        pause(1.0)
        for proxy in scene.proxies:
            proxy.restore()
        took.append(scene.recovered(time.monotonic()))
        for proxy in scene.proxies:
            proxy.reset()
        took.append(scene.recovered(time.monotonic()))
    assert max(took) < 2.0, took
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert len(reports["affected"]["returns"]) == 20
