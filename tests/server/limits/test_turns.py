"""Whose turn it is: the time is the test's own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_events.server.limits.turns import HALF_LIFE, Participant, Turns, host_of

HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.2", "127.0.0.2"),
        ("::ffff:127.0.0.2", "127.0.0.2"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:0:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_who_is_one_host(address: str, host: str) -> None:
    assert host_of(address) == host


class Model:
    """Turns, and a model of them: the host of each participant, and the time that both have used."""

    def __init__(self) -> None:
        self.turns: Turns[int] = Turns()
        self.now = 0.0
        self.participants: list[Participant[int]] = []
        self.hosts: list[str] = []
        self.used: list[tuple[int, float, float]] = []  # participant, time, seconds
        self.waiting: set[int] = set()
        self.busy: dict[int, Participant[int]] = {}

    def join(self, host: str) -> None:
        self.participants.append(self.turns.join(host, len(self.participants), self.now))
        self.hosts.append(host)

    def lately(self, who: set[int]) -> float:
        return sum(
            seconds * 0.5 ** ((self.now - when) / HALF_LIFE)
            for participant, when, seconds in self.used
            if participant in who
        )

    def host(self, number: int) -> set[int]:
        return {each for each, host in enumerate(self.hosts) if host == self.hosts[number]}

    def next(self) -> None:
        participant = self.turns.next()
        busy_hosts = {self.hosts[number] for number in self.busy}
        free = {number for number in self.waiting if self.hosts[number] not in busy_hosts}
        if participant is None:
            assert not free
            return
        number = participant.what
        assert number in free
        least = min(self.lately(self.host(each)) for each in free)
        assert self.lately(self.host(number)) <= least * (1 + 1e-6) + 1e-9
        rivals = free & self.host(number)
        assert self.lately({number}) <= min(self.lately({each}) for each in rivals) * (1 + 1e-6) + 1e-9
        self.waiting.discard(number)
        self.busy[number] = participant

    def done(self, seconds: float) -> None:
        if self.busy:
            number, participant = self.busy.popitem()
            self.now += seconds
            self.used.append((number, self.now, seconds))
            self.turns.done(participant, seconds, self.now)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.sampled_from(HOSTS)),
        st.tuples(st.just("wait"), st.integers(0, 30)),
        st.tuples(st.just("next"), st.none()),
        st.tuples(st.just("done"), st.floats(0.0001, 0.05)),
        st.tuples(st.just("use"), st.floats(0.0001, 0.05)),
        st.tuples(st.just("pass"), st.floats(0.0, 5.0)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
def test_who_has_used_least_lately_goes_first(steps: list[tuple[str, Any]]) -> None:
    model = Model()
    for host in HOSTS:
        model.join(host)
    for step, value in steps:
        if step == "join":
            model.join(value)
        elif step == "wait":
            number = value % len(model.participants)
            if number not in model.busy:
                model.turns.wait(model.participants[number], model.now)
                model.waiting.add(number)
        elif step == "use":
            if not model.waiting:  # only then does anybody work without a turn
                model.now += value
                model.used.append((0, model.now, value))
                model.turns.charge(model.participants[0], value, model.now)
        elif step == "pass":
            model.now += value
        elif step == "next":
            model.next()
        else:
            model.done(value)
        assert len(model.turns) == len(model.waiting)
    while model.busy:
        model.done(0.001)
    for _ in range(len(model.waiting)):  # nobody is forgotten
        model.next()
        model.done(0.001)
    assert not model.waiting and model.turns.next() is None


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 5))
def test_a_host_has_its_share_whatever_the_number_of_its_connections(many: int, few: int) -> None:
    turns: Turns[str] = Turns()
    for host, count in (("10.0.0.1", many), ("10.0.0.2", few)):
        for _ in range(count):
            turns.wait(turns.join(host, host, 0.0), 0.0)
    turned: Counter[str] = Counter()
    now = 0.0
    for _ in range(100):
        participant = turns.next()
        assert participant is not None
        now += 0.01
        turned[participant.what] += 1
        turns.done(participant, 0.01, now)
        turns.wait(participant, now)
    assert abs(turned["10.0.0.1"] - turned["10.0.0.2"]) <= 1


def test_a_host_is_known_again_when_it_connects_again() -> None:
    turns: Turns[str] = Turns()
    greedy = turns.join("10.0.0.1", "greedy", 0.0)
    greedy.uncounted = 1.0
    turns.leave(greedy, 0.0)
    for number in range(1000):  # among many that have gone
        turns.leave(turns.join(f"10.0.{number // 250}.{number % 250 + 2}", "", 0.0), 0.0)
    turns.wait(turns.join("10.0.0.1", "greedy", 0.1), 0.1)
    modest = turns.join("10.0.1.1", "modest", 0.1)
    turns.charge(modest, 0.5, 0.1)
    turns.wait(modest, 0.1)
    first = turns.next()
    assert first is not None and first.what == "modest"


def test_who_has_gone_and_used_nothing_is_forgotten() -> None:
    turns: Turns[None] = Turns()
    for number in range(5000):
        turns.leave(turns.join(f"10.1.{number // 250}.{number % 250}", None, 0.0), 0.0)
    assert len(turns._hosts) < 1000


def test_a_host_has_one_turn_at_a_time() -> None:
    turns: Turns[str] = Turns()
    for host in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        turns.wait(turns.join(host, host, 0.0), 0.0)
    first, second = turns.next(), turns.next()
    assert first is not None and second is not None
    assert {first.what, second.what} == {"10.0.0.1", "10.0.0.2"}
    assert turns.next() is None and len(turns) == 1
    turns.done(second, 0.1, 0.1)
    turns.done(first, 0.1, 0.1)
    assert turns.next() is not None
