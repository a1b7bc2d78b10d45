"""Bad networks between the service and a subscriber, both ways: a proxy, and a cable that is cut."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from listening import each_listener
from waiting import eventually

from resilience import invariants
from resilience.network import cable
from resilience.network import machines as namespaces
from resilience.ports import free_port
from resilience.processes import Cast
from resilience.scenario import LONG, Scenario

MakeStage = Callable[..., Scenario]


def test_a_slow_line_delays_and_loses_nothing(scenario: MakeStage) -> None:
    scene = scenario(proxied=True, options={"heartbeat": 5.0, "delivery_deadline": 20.0})
    for proxy in scene.proxies:
        proxy.delay(0.1, 0.05)
    since = time.monotonic()
    eventually(lambda: scene.affected.ask("report", since=since)["after"] > 100, LONG)
    for proxy in scene.proxies:
        proxy.drip(40, 0.001)
    since = time.monotonic()
    eventually(lambda: scene.affected.ask("report", since=since)["after"] > 100, LONG)
    for proxy in scene.proxies:
        proxy.calm()
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["affected"]["received"] == reports["publisher"]["acknowledged"]
    assert reports["affected"]["returns"] == []
    assert scene.server.statistics()["lost"] == {}


@each_listener
def test_a_line_that_breaks_in_mid_frame_and_then_resets(scenario: MakeStage) -> None:
    """Each time the subscriber comes back by itself, and the gap is told."""
    scene = scenario(proxied=True)
    for proxy in scene.proxies:
        proxy.truncate(4000)  # more than the greeting
    eventually(lambda: scene.affected.ask("report")["returns"], LONG, "that it came back once")
    for proxy in scene.proxies:
        proxy.calm()
    scene.recovered(time.monotonic(), patience=LONG)
    returns = len(scene.affected.ask("report")["returns"])
    for proxy in scene.proxies:
        proxy.reset()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    affected, lost = reports["affected"], scene.server.statistics()["lost"]
    assert len(affected["returns"]) == returns + 1
    assert affected["unknown"] <= len(affected["returns"])  # a connection may break before anything has come
    assert set(lost) <= {"gone", "unconfirmed"}


@each_listener
def test_a_line_that_is_cut_and_restored(scenario: MakeStage) -> None:
    scene = scenario(proxied=True)
    for proxy in scene.proxies:
        proxy.cut()
    eventually(lambda: scene.server.clients() == 1, LONG, "the end of the subscription")
    for proxy in scene.proxies:
        proxy.restore()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert len(reports["affected"]["returns"]) == reports["affected"]["unknown"] == 1


# What vanishes on the way: all, what is sent to the subscriber, or what it sends.
LOST = {
    "all": {},
    "what is sent to it": {"from_it": False},
    "what it sends": {"to_it": False},
}


@pytest.fixture
def lost(request: pytest.FixtureRequest) -> dict[str, bool]:
    return LOST[request.param]


def by_listener(*streams: str) -> pytest.MarkDecorator:
    """Each of them for callbacks, and some for streams."""
    cases = [*(("callback", each) for each in LOST), *(("stream", each) for each in streams)]
    return pytest.mark.parametrize(("scenario", "lost"), cases, indirect=True)


@by_listener("all", "what it sends")
def test_a_half_open_line_is_found_by_its_silence(scenario: MakeStage, lost: dict[str, bool]) -> None:
    """Nobody hears anything any more, nor that the other side has closed; or one side does not."""
    scene = scenario(proxied=True, subscribe_options={"backlog": 50})
    scene.vanish(**lost)
    # Its publisher is held up by the full backlog for the deadline, and by nothing after it.
    eventually(lambda: scene.server.clients() == 1, LONG, "the end of the subscription")
    for proxy in scene.proxies:
        proxy.calm()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert reports["affected"]["unknown"] == 1


def fall_silent(scene: Scenario) -> None:
    """Nothing is published any more, and everything is acknowledged: a busy connection gets no heartbeats."""
    scene.affected_publisher.ask("stop")
    eventually(lambda: not scene.account().get("unacknowledged"), LONG, "the last acknowledgement")


@by_listener("what is sent to it")
def test_an_idle_half_open_line_is_found_by_heartbeats(scenario: MakeStage, lost: dict[str, bool]) -> None:
    scene = scenario(proxied=True)
    fall_silent(scene)
    scene.vanish(**lost)
    eventually(lambda: scene.server.clients() == 1, LONG, "the end of the subscription")
    for proxy in scene.proxies:
        proxy.calm()
    eventually(lambda: scene.server.clients() == 2, LONG, "the subscription made again")
    assert scene.verdict(scene.finish()) == []


@pytest.mark.parametrize(
    ("scenario", "talking"),
    [("callback", True), ("callback", False), ("stream", False)],
    indirect=["scenario"],
)
def test_a_subscriber_that_cannot_have_learned_that_it_was_disconnected(
    scenario: MakeStage, talking: bool
) -> None:
    """Its network comes back, but what was sent meanwhile does not; and the service answers whatever it
    asks."""
    scene = scenario(proxied=True, subscribe_options={"backlog": 50})
    if not talking:
        fall_silent(scene)
    scene.strand()
    eventually(lambda: scene.server.clients() == 1, LONG, "the end of the subscription")
    # A question under way may have been lost with everything else, and then another one is asked.
    eventually(lambda: scene.server.clients() == 2, 2 * LONG, "the subscription made again")
    if talking:
        scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    (reason,) = reports["affected"]["returns"]
    if reason != "connected again":  # which is all that a stream says
        why = "blocked a publisher" if talking else "heartbeats unanswered"
        assert reason.startswith("the event service did not know this subscriber any more: ")
        assert why in reason


def test_what_was_lost_for_good_does_not_hide_the_next_loss(scenario: MakeStage) -> None:
    """A connection whose end was never reported is not a connection to the service that comes back."""
    scene = scenario(proxied=True, subscribe_options={"backlog": 50})
    scene.strand()
    eventually(lambda: scene.server.clients() == 1, LONG, "the end of the subscription")
    eventually(lambda: scene.server.clients() == 2, LONG, "the subscription made again")
    eventually(lambda: scene.affected.ask("report")["returns"], LONG, "that it knows it")
    scene.events_proxy.reset()
    scene.recovered(time.monotonic(), patience=LONG)
    reports = scene.finish()
    assert scene.verdict(reports) == []
    assert len(reports["affected"]["returns"]) == 2


@pytest.fixture
def machines() -> Iterator[cable.Network]:
    """Two machines with a cable, where this machine allows it."""
    reason = namespaces.missing()
    if reason is not None:
        pytest.skip(f"no network namespaces: {reason}")
    with cable.Network() as both:
        yield both


def far_apart(cast: Cast, machines: cable.Network, options: dict[str, Any]) -> tuple[Any, Any, Any]:
    """A service on one machine, with somebody who reads its statistics, and a publisher; and a listener on
    the other. The last three, ready."""
    service_options = {"heartbeat": 1.0, "heartbeat_answer": 1.0, "delivery_deadline": 1.0}
    here, there = machines.prefix(0), machines.prefix(1)
    address, port = cable.ADDRESSES[0], free_port()
    uri = f"PYRO:Pyro.EventService@{address}:{port}"
    service = cast.python(
        *("-m", "resilience.programs.service", address, str(port), json.dumps(service_options)),
        prefix=here,
        obeys=False,
    )
    service.line_with("started")
    watcher = cast.python("-m", "resilience.programs.statistics", uri, prefix=here)
    watcher.ready()
    listener = cast.python(
        *("-m", "resilience.programs.subscriber", "ours", uri, "storm"),
        *("--options", json.dumps(options)),
        prefix=there,
    )
    publisher = cast.python(
        "-m", "resilience.programs.publisher", "ours", uri, "storm", "100", "storm", prefix=here
    )
    listener.ready()
    publisher.ready()
    return watcher, listener, publisher


@pytest.mark.parametrize(
    ("cut", "options"),
    [
        (cable.Network.cut, {}),
        (lambda both: both.deafen(0), {}),
        (lambda both: both.deafen(1), {}),
        (cable.Network.cut, {"listener": "stream", "silence": 3.0}),
    ],
    ids=["all", "what the subscriber sends", "what the service sends", "all of a stream"],
)
def test_a_cable_that_is_cut_and_put_back(
    machines: cable.Network,
    tmp_path: Path,
    cut: Callable[[cable.Network], None],
    options: dict[str, Any],
) -> None:
    """The service on one machine, a subscriber on another; its publisher beside the service."""
    with Cast() as cast:
        watcher, listener, publisher = far_apart(cast, machines, {"backlog": 50, **options})
        publisher.ask("start")
        eventually(lambda: listener.ask("report")["received"] > 20, LONG)
        cut(machines)
        eventually(lambda: not watcher.ask("statistics")["subscribers"], LONG)
        machines.restore()
        since = time.monotonic()
        eventually(lambda: listener.ask("fresh", sent_after=since), LONG)
        talked = publisher.ask("stop")
        eventually(lambda: not watcher.ask("statistics")["waiting"], LONG)
        report, statistics = listener.ask("report"), watcher.ask("statistics")
        assert talked["unknown"] == talked["failed"] == 0
        assert invariants.accounting(statistics) == invariants.promises(statistics, [talked]) == []
        assert set(statistics["lost"]) <= {"deadline", "unconfirmed"}
        assert invariants.order("the listener", report) == []
        assert len(report["returns"]) == report["unknown"] == 1
        for actor in cast.actors:
            assert invariants.handled(actor.name, actor.complaints) == []
