"""Which subscriber the log calls slow, and how often; the time is the test's own."""

from __future__ import annotations

import pytest

from pyro_events.broker.accounting import TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.options import BacklogOptions, Overflow
from pyro_events.server.subscribers.slow_subscribers import SlowSubscribers


class Scene:
    """One subscriber that is looked at every half second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, policy: str, bound: int) -> None:
        self.backlog = Backlog("PYRO:s@h:1", BacklogOptions(bound, 1 << 20, Overflow(policy)), TotalBytes())
        self.told: list[str] = []
        self.slow_subscribers = SlowSubscribers(self, slow_after=1.0, caught_up_after=5.0)
        self.now = 100.0
        self.texts: list[str] = []
        monkeypatch.setattr("pyro_events.server.subscribers.slow_subscribers.log", self)

    def push(self, count: int = 1) -> None:
        for _ in range(count):
            self.backlog.push(queued_event("a", 0.0, b""))

    def take(self) -> None:
        while len(self.backlog):
            self.backlog.acknowledge(self.backlog.take(100, 1 << 20))

    def check(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.5
            self.slow_subscribers.check([self.backlog], self.now)

    def warning(self, text: str, *arguments: object, about: str) -> None:
        """In place of the log, which has at most one such line a second."""
        assert about == self.backlog.subscriber
        self.texts.append(text % arguments)

    def slow(self, backlog: Backlog) -> None:
        """An event of the service is published beside each line."""
        assert backlog is self.backlog
        self.told.append("slow")

    def recovered(self, backlog: Backlog) -> None:
        assert backlog is self.backlog
        self.told.append("recovered")

    def lines(self) -> tuple[int, int]:
        assert [text == "slow" for text in self.told] == ["is slow" in text for text in self.texts]
        return sum("is slow" in text for text in self.texts), sum("caught up" in text for text in self.texts)


def test_an_episode_is_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, "block", 40)
    for episode in (1, 2):
        scene.push(40)
        scene.check(10.0)
        assert scene.lines() == (episode, episode - 1)
        scene.take()
        scene.check(4.0)
        assert scene.lines() == (episode, episode - 1)
        scene.check(10.0)
        assert scene.lines() == (episode, episode)
    assert scene.texts[0] == "PYRO:s@h:1 is slow: 40 events wait for it"


def test_a_backlog_that_is_full_for_a_moment_is_not_worth_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, "block", 40)
    for _ in range(20):
        scene.push(40)
        scene.check(0.5)
        scene.take()
        scene.check(0.5)
    assert scene.lines() == (0, 0)


@pytest.mark.parametrize("policy", ["latest", "drop-oldest", "drop-newest"])
def test_a_display_behind_a_camera_is_one_episode(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its backlog of one is full most of the time, and empty whenever somebody looks at the wrong moment."""
    scene = Scene(monkeypatch, policy, 1)
    scene.push(2)
    scene.check(2.0)
    for _ in range(50):
        scene.push(6)
        scene.take()
        scene.check(0.5)
    assert scene.lines() == (1, 0)
    scene.check(10.0)
    assert scene.lines() == (1, 1)


def test_half_a_backlog_is_neither_slow_nor_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, "block", 40)
    scene.push(20)
    scene.check(10.0)
    assert scene.lines() == (0, 0)
    scene.push(20)
    scene.check(10.0)
    scene.take()
    scene.push(20)
    scene.check(10.0)
    assert scene.lines() == (1, 0)


def test_one_that_is_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, "block", 4)
    scene.push(4)
    scene.check(2.0)
    scene.slow_subscribers.check([], scene.now)
    scene.take()
    scene.check(10.0)
    assert scene.lines() == (1, 0)
