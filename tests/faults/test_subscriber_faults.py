"""Subscribers that are killed, frozen, slow or clumsy."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from waiting import eventually

from resilience.stage import LONG, Stage

MakeStage = Callable[..., Stage]


def test_a_killed_subscriber_is_detached_and_its_loss_counted(stage: MakeStage) -> None:
    scene = stage()
    scene.victim.kill()
    eventually(lambda: scene.server.clients() == 1, LONG, "the end of the subscription")
    reports = scene.finish()
    assert scene.verdict(reports) == []
    statistics = scene.server.statistics()
    assert set(statistics["lost"]) <= {"gone", "unconfirmed"}


def test_a_killed_program_that_is_started_again_begins_anew(stage: MakeStage) -> None:
    scene = stage()
    scene.victim.kill()
    scene.start_victim()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["victim"]["missed"] == reports["victim"]["unknown"] == 0


def test_a_second_of_sleep_costs_nothing(stage: MakeStage) -> None:
    scene = stage(options={"delivery_deadline": 20.0})
    scene.victim.freeze()
    eventually(lambda: scene.books()["backlog"] > 50, LONG)
    scene.victim.thaw()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["victim"]["received"] == reports["talker"]["acknowledged"]
    assert scene.server.statistics()["lost"] == {}


@pytest.mark.parametrize("bound", [{"backlog": 20}, {"backlog_bytes": 3000}])
def test_a_frozen_subscriber_is_bounded_and_then_told_what_it_missed(
    stage: MakeStage, bound: dict[str, int]
) -> None:
    scene = stage(wishes={"overflow": "drop-oldest", **bound})
    scene.victim.freeze()
    eventually(lambda: scene.books()["lost"].get("drop-oldest", 0) > 30, LONG)
    books = scene.books()
    assert books["backlog"] <= bound.get("backlog", 100)
    assert books["backlog_bytes"] <= bound.get("backlog_bytes", 20 * 400)
    scene.victim.thaw()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    victim, books = reports["victim"], scene.books()
    assert victim["received"] == books["delivered"]
    assert victim["missed"] == books["lost"]["drop-oldest"] == books["accepted"] - books["delivered"]


def test_a_frozen_subscriber_that_holds_up_its_publisher_is_disconnected_and_comes_back(
    stage: MakeStage,
) -> None:
    """C16, C17, C27: only its own publisher waits, and not longer than the deadline."""
    scene = stage(wishes={"backlog": 20})
    scene.victim.freeze()
    eventually(lambda: scene.server.clients() == 1, LONG, "the disconnection")
    scene.victim.thaw()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    # The deadline is one second, and is looked at every quarter.
    talker = reports["talker"]
    assert 0.5 < talker["longest"] < 3.0 + 10 * talker["noise"]
    assert reports["victim"]["unknown"] == 1
    assert len(reports["victim"]["returns"]) == 1
    assert scene.server.statistics()["lost"]["deadline"] > 0


def test_a_slow_reader_is_told_and_nobody_else_waits(stage: MakeStage) -> None:
    scene = stage(handler=("--pause", "0.05"), wishes={"overflow": "drop-oldest", "backlog": 10})
    eventually(lambda: scene.books()["lost"].get("drop-oldest", 0) > 30, LONG)
    eventually(lambda: "is slow" in scene.server.actor.complaints, LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    victim, books = reports["victim"], scene.books()
    assert victim["received"] == books["delivered"]
    # What was dropped behind the last event that came could not be told yet.
    assert victim["missed"] == books["lost"]["drop-oldest"]


def test_a_slow_reader_with_the_policy_block_holds_up_its_own_publisher_only(stage: MakeStage) -> None:
    scene = stage(handler=("--pause", "0.03"), wishes={"backlog": 10}, options={"delivery_deadline": 20.0})
    eventually(lambda: scene.talker_of_victim.ask("report")["longest"] > 0.02, LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["victim"]["received"] == reports["talker"]["acknowledged"]
    assert scene.server.statistics()["lost"] == {}


def test_whatever_a_handler_raises_costs_that_event_and_no_other(stage: MakeStage) -> None:
    """SystemExit, KeyboardInterrupt and ValueError in turn."""
    scene = stage(handler=("--mishaps", "10"))
    eventually(lambda: scene.victim.ask("report")["mishaps"] >= 6, LONG)
    reports = scene.finish()
    complaints = scene.victim.complaints
    scene.cast.dismiss(scene.victim)  # its own log shows what was raised, and may
    assert scene.verdict(reports) == []
    for error in ("SystemExit", "KeyboardInterrupt", "ValueError"):
        assert f"event() raised {error} for subject 'storm'" in complaints
    victim, lost = reports["victim"], scene.server.statistics()["lost"]
    assert lost == {"handler-error": victim["mishaps"]}
    assert victim["failed"] == victim["mishaps"]
    assert victim["received"] == reports["talker"]["acknowledged"]
