"""Subscribers that are killed, frozen, slow or clumsy."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from listening import each_listener
from waiting import eventually

from resilience.scenario import LONG, Scenario

MakeStage = Callable[..., Scenario]


@each_listener
def test_a_killed_subscriber_is_detached_and_its_loss_counted(scenario: MakeStage) -> None:
    scene = scenario()
    scene.affected.kill()
    eventually(lambda: scene.server.clients() == 1, LONG, "the end of the subscription")
    reports = scene.finish()
    assert scene.verdict(reports) == []
    statistics = scene.server.statistics()
    assert set(statistics["lost"]) <= {"gone", "unconfirmed"}


def test_a_killed_program_that_is_started_again_subscribes_again(scenario: MakeStage) -> None:
    scene = scenario()
    scene.affected.kill()
    scene.start_affected()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["affected"]["missed"] == reports["affected"]["unknown"] == 0


def test_a_second_of_sleep_costs_nothing(scenario: MakeStage) -> None:
    scene = scenario(options={"delivery_deadline": 20.0})
    scene.affected.freeze()
    eventually(lambda: scene.account()["backlog"] > 50, LONG)
    scene.affected.thaw()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["affected"]["received"] == reports["publisher"]["acknowledged"]
    assert scene.server.statistics()["lost"] == {}


@pytest.mark.parametrize("bound", [{"backlog": 20}, {"backlog_bytes": 3000}])
def test_a_frozen_subscriber_is_bounded_and_then_told_what_it_missed(
    scenario: MakeStage, bound: dict[str, int]
) -> None:
    scene = scenario(subscribe_options={"overflow": "drop-oldest", **bound})
    scene.affected.freeze()
    eventually(lambda: scene.account()["lost"].get("drop-oldest", 0) > 30, LONG)
    account = scene.account()
    assert account["backlog"] <= bound.get("backlog", 100)
    assert account["backlog_bytes"] <= bound.get("backlog_bytes", 20 * 400)
    scene.affected.thaw()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    affected, account = reports["affected"], scene.account()
    assert affected["received"] == account["delivered"]
    assert affected["missed"] == account["lost"]["drop-oldest"] == account["accepted"] - account["delivered"]


@each_listener
def test_a_frozen_subscriber_that_holds_up_its_publisher_is_disconnected_and_comes_back(
    scenario: MakeStage,
) -> None:
    """C16, C17, C27: only its own publisher waits, and not longer than the deadline."""
    scene = scenario(subscribe_options={"backlog": 20})
    scene.affected.freeze()
    eventually(lambda: scene.server.clients() == 1, LONG, "the disconnection")
    scene.affected.thaw()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    # The deadline is one second, and is looked at every quarter.
    publisher = reports["publisher"]
    assert 0.5 < publisher["longest"] < 3.0 + 10 * publisher["noise"]
    assert reports["affected"]["unknown"] == 1
    assert len(reports["affected"]["returns"]) == 1
    assert scene.server.statistics()["lost"]["deadline"] > 0


@each_listener
def test_a_slow_reader_is_told_and_nobody_else_waits(scenario: MakeStage) -> None:
    scene = scenario(
        handler=("--pause", "0.05"), subscribe_options={"overflow": "drop-oldest", "backlog": 10}
    )
    eventually(lambda: scene.account()["lost"].get("drop-oldest", 0) > 30, LONG)
    eventually(lambda: "is slow" in scene.server.actor.complaints, LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    affected, account = reports["affected"], scene.account()
    assert affected["received"] == account["delivered"]
    # What was dropped behind the last event that came could not be told yet.
    assert affected["missed"] == account["lost"]["drop-oldest"]


def test_a_slow_reader_with_the_policy_block_holds_up_its_own_publisher_only(scenario: MakeStage) -> None:
    scene = scenario(
        handler=("--pause", "0.03"), subscribe_options={"backlog": 10}, options={"delivery_deadline": 20.0}
    )
    eventually(lambda: scene.affected_publisher.ask("report")["longest"] > 0.02, LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["affected"]["received"] == reports["publisher"]["acknowledged"]
    assert scene.server.statistics()["lost"] == {}


def test_whatever_a_handler_raises_costs_that_event_and_no_other(scenario: MakeStage) -> None:
    """SystemExit, KeyboardInterrupt and ValueError in turn."""
    scene = scenario(handler=("--mishaps", "10"))
    eventually(lambda: scene.affected.ask("report")["mishaps"] >= 6, LONG)
    reports = scene.finish()
    complaints = scene.affected.complaints
    scene.cast.dismiss(scene.affected)  # its own log shows what was raised, and may
    assert scene.verdict(reports) == []
    for error in ("SystemExit", "KeyboardInterrupt", "ValueError"):
        assert f"event() raised {error} for subject 'storm'" in complaints
    affected, lost = reports["affected"], scene.server.statistics()["lost"]
    assert lost == {"handler-error": affected["mishaps"]}
    assert affected["failed"] == affected["mishaps"]
    assert affected["received"] == reports["publisher"]["acknowledged"]
