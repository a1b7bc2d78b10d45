"""The broker compared with a simple one: which subscriber gets which event, and every event accounted for."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import pytest
from backlog_model import ModelBacklog, total_of
from broker_accounts import TOTAL, WIDEST, assert_identity, new_broker, publish
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyro_events.broker.accounting import Batch, Loss
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.broker import Broker
from pyro_events.broker.matching.rights import Rights
from pyro_events.broker.matching.subjects import fold
from pyro_events.broker.statistics import BrokerStatistics
from pyro_events.options import BacklogOptions, Overflow

MIB = 1 << 20
URIS = [f"PYRO:s{number}@127.0.0.1:{number}" for number in range(1, 5)]
OPTIONS = ("backlog", "backlog_bytes", "overflow", "max_age")
NAMES = ["stock.sun", "STOCK.SUN", "stock.ibm", "cars.left", "Straße"]
PATTERNS = [r"^stock\.", r"stock\.s.*$", ".*", "cars", r"^STOCK\.IBM$", "sun"]


def some_of(values: Sequence[str], most: int) -> st.SearchStrategy[list[str]]:
    """Lists of these values, the empty one and repetitions too.

    Sampled from all of them in one draw: drawing them one by one takes half the machine's time.
    """
    return st.sampled_from([list(some) for size in range(most + 1) for some in product(values, repeat=size)])


uris = st.sampled_from(URIS)
names = some_of(NAMES, 3)
patterns = some_of(PATTERNS, 3)
entry = st.tuples(some_of(NAMES, 4), st.sampled_from([b"", b"x" * 50, b"x" * 700]))
entries = st.one_of(entry.map(lambda one: [one]), st.lists(entry, min_size=2, max_size=4))
wishes = st.sampled_from(
    [
        {name: value for name, value in zip(OPTIONS, some, strict=True) if value}
        for some in product(
            [None, 1, 2, 3, 4],
            [None, 1, 600, 2000],
            [None, *[policy.value for policy in Overflow]],
            [None, 2.0, 10.0, math.inf],
        )
    ]
)
# One argument of a subscription that is wrong; its other arguments are not.
mistakes: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"names": ["good", ""]},
        {"names": 7},
        {"names": ["a\nb"]},
        {"patterns": ["good", "(bad"]},
        {"patterns": [None]},
        {"patterns": ["(?=look)"]},
        {"options": {"backlog": 5}},
        {"options": {"overflow": "never"}},
        {"options": {"unknown": 1}},
        {"options": ["latest"]},
    ]
)


class Naive:
    """A subscriber as lists: what it is subscribed to, and its events."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.patterns: list[str] = []
        self.options: dict[str, Any] = {
            "backlog": WIDEST.backlog,
            "backlog_bytes": WIDEST.backlog_bytes,
            "overflow": WIDEST.overflow.value,
            "max_age": math.inf,
        }
        self.backlog = ModelBacklog(WIDEST.overflow.value, WIDEST.backlog, WIDEST.backlog_bytes)

    def wants(self, subject: str) -> bool:
        return any(fold(name) == fold(subject) for name in self.names) or any(
            re.match(pattern, subject, re.IGNORECASE) for pattern in self.patterns
        )

    def subscribe(self, names: Iterable[str], patterns: Iterable[str]) -> None:
        for name in names:
            if fold(name) not in map(fold, self.names):
                self.names.append(name)
        for pattern in patterns:
            if pattern not in self.patterns:
                self.patterns.append(pattern)

    def unsubscribe(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.names = [name for name in self.names if fold(name) != fold(text)]
            self.patterns = [pattern for pattern in self.patterns if pattern != text]

    def configure(self, options: Mapping[str, Any]) -> None:
        self.options.update(options)  # those that are not given again stay
        wanted = self.options
        self.backlog.configure(
            wanted["overflow"], wanted["backlog"], wanted["backlog_bytes"], wanted["max_age"]
        )


class BrokerMachine(RuleBasedStateMachine):
    """The broker beside naive subscribers, some of which go and come back."""

    @initialize()
    def begin(self) -> None:
        self.broker = new_broker()
        self.naive: dict[str, Naive] = {}
        self.batches: dict[str, list[Batch]] = {}
        self.gone: list[ModelBacklog] = []
        self.published = 0
        self.clock = 100.0
        self.ready: list[Backlog] = []
        self.full: list[Backlog] = []
        self.failing: list[Backlog] = []

    # What clients do

    @rule(uri=uris, names=names, patterns=patterns, options=st.none() | wishes)
    def subscribe(
        self, uri: str, names: list[str], patterns: list[str], options: dict[str, Any] | None
    ) -> None:
        backlog = self.broker.subscribe(uri, names, patterns, options)
        naive = self.naive.setdefault(uri, Naive())
        self.batches.setdefault(uri, [])
        naive.subscribe(names, patterns)
        if options:
            naive.configure(options)
        assert backlog is self.broker.find(uri)
        assert backlog.subscriber == uri

    @rule(uri=uris, names=names, patterns=patterns, mistake=mistakes)
    def subscribe_wrongly(
        self, uri: str, names: list[str], patterns: list[str], mistake: dict[str, Any]
    ) -> None:
        before = self.broker.statistics(self.clock), self.broker.backlogs()
        arguments = {"names": names, "patterns": patterns, "options": {"backlog": 1}, **mistake}
        with pytest.raises((TypeError, ValueError)):
            self.broker.subscribe(uri, **arguments)
        assert (self.broker.statistics(self.clock), self.broker.backlogs()) == before

    @rule(uri=uris, texts=some_of([*NAMES, *PATTERNS, "nobody's"], 2))
    def unsubscribe(self, uri: str, texts: list[str]) -> None:
        assert self.broker.unsubscribe(uri, texts) is self.broker.find(uri)
        if uri in self.naive:
            self.naive[uri].unsubscribe(texts)

    @rule(uri=uris, texts=st.sampled_from([7, None, b"stock.sun", ["stock.sun", 7]]))
    def unsubscribe_wrongly(self, uri: str, texts: Any) -> None:
        before = self.broker.statistics(self.clock)
        with pytest.raises((TypeError, ValueError)):
            self.broker.unsubscribe(uri, texts)
        assert self.broker.statistics(self.clock) == before

    @rule(entries=entries, blocked_for=st.sampled_from([0.0, 0.0, 3.0, 12.0]))
    def publish(self, entries: list[tuple[list[str], bytes]], blocked_for: float) -> None:
        rest = iter(entries)
        self.stamp = self.clock - blocked_for
        while entries:
            beyond = self._held() > TOTAL
            queued = self.broker.publish(rest, self.stamp)
            if beyond:
                assert queued == 0
                break
            entries, expected = self._published(entries)
            assert queued == expected
            assert not entries or self.broker.full or self.broker.overloaded
        assert list(rest) == entries

    def _published(self, entries: list[tuple[list[str], bytes]]) -> tuple[list[tuple[list[str], bytes]], int]:
        """What the naive broker leaves of the entries, and how many deliveries it queued."""
        queued = 0
        for position, (subjects, payload) in enumerate(entries, 1):
            for subject in subjects:
                self.published += 1
                origin = object()
                queued += sum(self._pushed(uri, subject, payload, origin) for uri in self.naive)
            if self.full or self._held() > TOTAL:
                return entries[position:], queued
        return [], queued

    def _pushed(self, uri: str, subject: str, payload: bytes, origin: object) -> bool:
        naive, backlog = self.naive[uri], self.broker.find(uri)
        if not naive.wants(subject):
            return False
        assert backlog is not None
        outcome = naive.backlog.push(subject, self.stamp, payload, origin)
        if backlog not in self.ready:
            self.ready.append(backlog)
        if outcome == "full":
            self.full.append(backlog)
        if outcome == "disconnect":
            self.failing.append(backlog)
        return outcome in ("queued", "full")

    @rule(name=st.sampled_from(NAMES), payload=st.sampled_from([b"", b"x" * 700]))
    def offer(self, name: str, payload: bytes) -> None:
        """An event that nobody waits for, as one of the service's own."""
        space, origin = self._held() <= TOTAL, object()
        wanting = [uri for uri, naive in self.naive.items() if naive.wants(name)]
        assert [backlog.subscriber for backlog in self.broker.listening(name)] == wanting
        self.broker.offer(name, payload, self.clock)
        self.published += bool(wanting)
        for uri in wanting:
            backlog = self.broker.find(uri)
            assert backlog is not None
            self.naive[uri].backlog.offer(name, self.clock, payload, space, origin)
            if backlog not in self.ready:
                self.ready.append(backlog)

    def _held(self) -> int:
        return total_of(naive.backlog for naive in self.naive.values())

    # What the engine and its deliveries do

    @rule()
    def take_lists(self) -> None:
        for taken, expected in (
            (self.broker.take_ready(), self.ready),
            (self.broker.take_full(), self.full),
            (self.broker.take_failing(), self.failing),
        ):
            assert Counter(map(id, taken)) == Counter(map(id, expected))
        self.ready, self.full, self.failing = [], [], []

    @precondition(lambda self: any(naive.backlog.waiting for naive in self.naive.values()))
    @rule(data=st.data(), events=st.integers(1, 4))
    def take(self, data: st.DataObject, events: int) -> None:
        uri = data.draw(st.sampled_from([uri for uri, each in self.naive.items() if each.backlog.waiting]))
        backlog = self.broker.find(uri)
        assert backlog is not None
        batch = backlog.take(events, MIB)
        assert batch.rows == self.naive[uri].backlog.take(events, MIB).rows
        self.batches[uri].append(batch)

    @rule(passed=st.sampled_from([1.0, 5.0]), ahead=st.integers(0, 4))
    def expire(self, passed: float, ahead: int) -> None:
        """Time passes, and what has waited too long goes."""
        self.clock += passed
        for backlog in self.broker.backlogs():
            model = self.naive[backlog.subscriber].backlog
            assert backlog.expire(self.clock, 1000, ahead) == model.expire(self.clock, ahead)

    @precondition(lambda self: any(self.batches.values()))
    @rule(data=st.data(), failed=st.integers(0, 4))
    def acknowledge(self, data: st.DataObject, failed: int) -> None:
        backlog, model, batch = self._oldest_batch(data)
        failed = min(failed, len(batch.rows))
        backlog.acknowledge(batch, failed)
        model.acknowledge(failed)

    @precondition(lambda self: any(self.batches.values()))
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """Its answer cannot be read."""
        backlog, model, batch = self._oldest_batch(data)
        backlog.lose_batch(batch)
        model.lose_batch()

    @precondition(lambda self: any(self.batches.values()))
    @rule(data=st.data(), done=st.integers(1, 3), failed=st.booleans())
    def acknowledge_part(self, data: st.DataObject, done: int, failed: bool) -> None:
        """A Pyro batch call stopped at an event that raised: the rest goes again."""
        backlog, model, batch = self._oldest_batch(data)
        if done < len(batch.rows):
            backlog.acknowledge_part(batch, done, int(failed))
            model.acknowledge_part(done, int(failed))
            assert batch.rows == model.in_flight[0].rows
            self.batches[backlog.subscriber].insert(0, batch)
        else:
            backlog.acknowledge(batch)
            model.acknowledge()

    def _oldest_batch(self, data: st.DataObject) -> tuple[Backlog, ModelBacklog, Batch]:
        """Of some subscriber that has batches in flight."""
        uri = data.draw(st.sampled_from([uri for uri, batches in self.batches.items() if batches]))
        backlog = self.broker.find(uri)
        assert backlog is not None
        return backlog, self.naive[uri].backlog, self.batches[uri].pop(0)

    @precondition(lambda self: self.failing)
    @rule()
    def evict(self) -> None:
        """Disconnect those whose policy asks for it, as the engine does."""
        for backlog in self.broker.take_failing():
            if self.broker.find(backlog.subscriber) is backlog:
                self._forget(backlog, Loss.DISCONNECT)
        self.failing = []

    @precondition(lambda self: self.naive)
    @rule(data=st.data(), reason=st.sampled_from([Loss.GONE, Loss.REFUSED, Loss.DEADLINE, Loss.STOPPED]))
    def remove(self, data: st.DataObject, reason: Loss) -> None:
        uri = data.draw(st.sampled_from(list(self.naive)))
        backlog = self.broker.find(uri)
        assert backlog is not None
        self._forget(backlog, reason)

    def _forget(self, backlog: Backlog, reason: Loss) -> None:
        uri = backlog.subscriber
        model = self.naive.pop(uri).backlog
        del self.batches[uri]
        assert self.broker.remove(backlog, reason) == model.lose_everything(reason.value)
        assert self.broker.remove(backlog, reason) == 0
        assert self.broker.find(uri) is None
        self.gone.append(model)

    # What must hold at any moment

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        statistics = self.broker.statistics(self.clock)
        self._every_event_is_accounted_for(statistics)
        self._the_total_is_what_all_hold(statistics)
        self._subscriptions_are_as_made(statistics)

    def _every_event_is_accounted_for(self, statistics: BrokerStatistics) -> None:
        assert_identity(statistics)
        models = [*self.gone, *(naive.backlog for naive in self.naive.values())]
        lost: Counter[str] = Counter()
        for model in models:
            lost.update(model.lost)
        assert statistics.published == self.published
        assert statistics.accepted == sum(model.accepted for model in models)
        assert statistics.delivered == sum(model.delivered for model in models)
        assert Counter(statistics.lost) == lost
        assert statistics.waiting == sum(len(model.waiting) + model.unacknowledged for model in models)

    def _the_total_is_what_all_hold(self, statistics: BrokerStatistics) -> None:
        held = self._held()
        assert statistics.backlog_bytes == held
        assert self.broker.overloaded == (held > TOTAL)
        assert self.broker.relieved == (held <= TOTAL - TOTAL // 8)

    def _subscriptions_are_as_made(self, statistics: BrokerStatistics) -> None:
        assert [each.subscriber for each in statistics.subscribers] == list(self.naive)
        assert [backlog.subscriber for backlog in self.broker.backlogs()] == list(self.naive)
        for each, naive in zip(statistics.subscribers, self.naive.values(), strict=True):
            assert sorted(each.subjects) == sorted(naive.names + naive.patterns)
            assert each.overflow == naive.backlog.policy
            backlog = self.broker.find(each.subscriber)
            assert backlog is not None
            assert self.broker.subscriptions(backlog) == len(each.subjects)


# 20,000 steps take a quarter of a minute, and making a failure small takes longer still.
TestBrokerMachine = pytest.mark.timeout(900)(BrokerMachine.TestCase)
TestBrokerMachine.settings = settings(deadline=None, max_examples=1000, stateful_step_count=20)


# The promises one by one


def test_the_last_options_given_hold() -> None:
    broker = new_broker()
    backlog = broker.subscribe("s", "a", options={"backlog": 2})
    assert broker.subscribe("s", "b", options=None) is backlog
    assert broker.subscribe("s", "b", options={}) is backlog
    assert backlog.options == BacklogOptions(2, WIDEST.backlog_bytes, Overflow.BLOCK)
    broker.subscribe("s", "b", options={"overflow": "latest"})
    assert backlog.options == BacklogOptions(2, WIDEST.backlog_bytes, Overflow.LATEST)
    broker.subscribe("s", "b", options={"backlog": 3})
    assert backlog.options == BacklogOptions(3, WIDEST.backlog_bytes, Overflow.LATEST)


def test_options_are_a_dictionary() -> None:
    options: Any = "latest"
    with pytest.raises(TypeError, match="options must be a dictionary, not str"):
        new_broker().subscribe("s", "a", options=options)


def test_a_subscriber_that_comes_back_starts_again_from_1() -> None:
    broker = new_broker()
    first = broker.subscribe("s", "a")
    publish(broker, "a")
    broker.remove(first, Loss.GONE)
    second = broker.subscribe("s", "a")
    assert second is not first
    publish(broker, "a")
    assert broker.remove(first, Loss.GONE) == 0
    assert broker.find("s") is second
    assert second.take(1, 1).rows[0][2:4] == (1, 0)
    assert_identity(broker.statistics(1.0))


def test_removing_something_that_is_not_there_is_allowed() -> None:
    broker = new_broker()
    assert broker.unsubscribe("nobody", "a") is None
    backlog = broker.subscribe("s", "a")
    assert broker.unsubscribe("s", ["b", "c.*"]) is backlog
    assert publish(broker, "a") == 1


def test_what_was_queued_before_unsubscribing_may_still_be_taken() -> None:
    broker = new_broker()
    backlog = broker.subscribe("s", "a", ".*")
    publish(broker, "a")
    broker.unsubscribe("s", [".*", "A"])
    assert broker.subscriptions(backlog) == 0
    assert publish(broker, "a") == 0
    assert len(backlog.take(9, MIB).rows) == 1


# Limits


def test_a_subscriber_has_so_many_subscriptions() -> None:
    broker = Broker(WIDEST, TOTAL, max_subscriptions=3)
    with pytest.raises(
        ValueError, match="can have at most 3 subscriptions, and this would make 4; subscribe to a pattern"
    ):
        broker.subscribe("s", ["a", "b"], ["c", "d"])
    assert broker.find("s") is None
    backlog = broker.subscribe("s", ["a", "b"], ["c"])
    broker.subscribe("s", ["A", "a", "b"], ["c"])  # what it has counts once
    with pytest.raises(ValueError, match="this would make 4"):
        broker.subscribe("s", "d", options={"backlog": 1})
    assert backlog.options == WIDEST
    assert broker.statistics(1.0).subscribers[0].subjects == ("a", "b", "c")
    broker.unsubscribe("s", "a")
    broker.subscribe("s", "d")
    broker.subscribe("another", ["a", "b", "c"])


def test_the_patterns_of_a_subscriber_have_a_bounded_size() -> None:
    broker = Broker(WIDEST, TOTAL, max_programs=200)
    broker.subscribe("s", patterns="x{150}")
    with pytest.raises(ValueError, match="patterns is 200, .* use fewer or simpler patterns"):
        broker.subscribe("s", patterns="y{150}")
    assert broker.statistics(1.0).subscribers[0].subjects == ("x{150}",)
    broker.subscribe("s", patterns="x{150}")
    broker.subscribe("another", patterns=["y{150}"] * 5)  # what is given twice counts once
    with pytest.raises(ValueError, match="patterns is 200"):
        broker.subscribe("third", patterns=["v{150}", "w{150}"])
    assert broker.find("third") is None


def test_a_new_subscriber_whose_first_call_fails_is_none() -> None:
    broker = new_broker()
    for mistake in ({"names": ""}, {"patterns": "("}, {"options": {"backlog": 0}}):
        arguments: dict[str, Any] = {"names": "a", "patterns": "b", **mistake}
        with pytest.raises(ValueError):
            broker.subscribe("s", **arguments)
    assert broker.backlogs() == []
    assert publish(broker, "a") == 0


def by_piece(broker: Broker, between: Callable[[], None]) -> BrokerStatistics:
    """Statistics with something done in each pause."""
    pieces = broker.statistics_by_piece(1.0)
    while True:
        try:
            next(pieces)
        except StopIteration as done:
            result: BrokerStatistics = done.value
            return result
        between()


def test_statistics_by_piece_add_up_whatever_happens_in_the_pauses() -> None:
    broker = new_broker()
    for number in range(450):
        broker.subscribe(f"PYRO:s{number}@h:1", "a")
    publish(broker, "a")
    pauses: list[int] = []

    def between() -> None:
        number = len(pauses)
        pauses.append(number)
        publish(broker, "a")
        for gone in (number, 449 - number):  # one that has been counted, and one that has not
            backlog = broker.find(f"PYRO:s{gone}@h:1")
            assert backlog is not None
            broker.remove(backlog, Loss.GONE)
        broker.subscribe(f"PYRO:new{number}@h:1", "a")

    found = by_piece(broker, between)
    assert len(pauses) == 4
    assert len(found.subscribers) == 450
    assert found.accepted == found.delivered + sum(found.lost.values()) + found.waiting
    assert found.accepted == sum(each.accepted for each in found.subscribers)


def test_statistics_show_some_of_very_many_subscriptions() -> None:
    broker = new_broker()
    for number in range(100):
        broker.subscribe(f"PYRO:s{number}@h:1", [f"{number}-{each}" for each in range(300)])
    found = broker.statistics(1.0).subscribers[7]
    assert found.subjects == tuple(f"7-{each}" for each in range(200))
    assert found.subscriptions == 300
    broker = new_broker()
    broker.subscribe("PYRO:s@h:1", [f"{each}" for each in range(999)], "^a")
    assert len(broker.statistics(1.0).subscribers[0].subjects) == 1000


def test_rights_decide_what_a_subscriber_gets_and_what_it_still_gets_when_they_change() -> None:
    broker = new_broker()
    everything, lab = Rights(subscribe=("*",)), Rights(subscribe=("LAB.*",))
    restricted = broker.subscribe("s1", "HALL", ".*", rights=lab)
    free = broker.subscribe("s2", patterns=".*", rights=everything)
    other = broker.subscribe("s3", patterns=".*")
    assert broker.restrict() == []
    assert publish(broker, "LAB.A", "hall", "Lab.b") == 8
    assert [row[0] for row in restricted.take(9, MIB).rows] == ["LAB.A", "Lab.b"]
    free.rights = lab
    assert broker.restrict() == [free]
    assert publish(broker, "HALL") == 1
    assert [(row[0], row[3]) for row in free.take(9, MIB).rows] == [("LAB.A", 0), ("Lab.b", 1)]
    assert [row[0] for row in other.take(9, MIB).rows] == ["LAB.A", "hall", "Lab.b", "HALL"]
    assert_identity(broker.statistics(1.0))


def test_statistics_of_some_are_sums_over_these_alone() -> None:
    broker = new_broker()
    mine, other = broker.subscribe("PYRO:mine@h:1", "a"), broker.subscribe("PYRO:other@h:1", "a")
    broker.remove(broker.subscribe("PYRO:gone@h:1", "a"), Loss.GONE)
    broker.subscribe("PYRO:shared@h:1", "a", group="workers")
    publish(broker, "a", payload=b"payload")
    everything = broker.statistics(1.0)
    pieces = broker.statistics_by_piece(1.0, [mine])
    with pytest.raises(StopIteration) as done:
        while True:
            next(pieces)
    found: BrokerStatistics = done.value.value
    assert found.subscribers == everything.subscribers[:1]
    assert (found.published, found.accepted, found.waiting, found.lost) == (0, 1, 1, {})
    assert not found.groups and found.backlog_bytes == mine.held == other.held
    assert 0 < found.subscription_bytes < everything.subscription_bytes
