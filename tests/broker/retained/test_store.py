"""The last values against a dictionary: what is kept, who gets it, and that nobody gets anything twice or not
at all."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pyro_events.broker.accounting import Loss, TotalBytes
from pyro_events.broker.broker import Broker
from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.rights import Rights
from pyro_events.broker.matching.subjects import fold
from pyro_events.broker.retained.kept_event import kept_size
from pyro_events.broker.retained.last import Last
from pyro_events.broker.retained.retention import Retention
from pyro_events.broker.retained.store import RetainedEvents, check_retained
from pyro_events.options import BacklogOptions

MIB = 1 << 20
NAMES = ["a", "A", "b", "straße", "STRASSE", "x.1", "x.2"]
PATTERNS = ["a", ".*", r"x\.", "(?-i:x|A)", "stra"]
# (subject, time, payload, retained)
Got = tuple[str, float, bytes, bool]


def matches(name: str, names: Iterable[str], patterns: Iterable[str]) -> bool:
    return fold(name) in map(fold, names) or any(compile_pattern(text).matches(name) for text in patterns)


class LastValueMachine(RuleBasedStateMachine):
    """A broker with three subscribers, beside a dictionary and what each subscriber must get."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = Broker(BacklogOptions(), 100 * MIB, max_retained=4, max_retained_bytes=MIB)
        self.kept: dict[str, Got] = {}  # the one that was kept last is the last
        self.names: dict[str, set[str]] = {"s1": set(), "s2": set(), "s3": set()}
        self.patterns: dict[str, set[str]] = {who: set() for who in self.names}
        self.expected: dict[str, list[Got]] = {who: [] for who in self.names}
        self.got: dict[str, list[Got]] = {who: [] for who in self.names}
        self.seq = dict.fromkeys(self.names, 0)
        self.clock = 0.0

    @rule(entries=st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), min_size=1, max_size=4))
    def publish(self, entries: list[tuple[str, bool]]) -> None:
        self.clock += 1.0
        after = {fold(name) for name, retain in entries if retain} | set(self.kept)
        call: Any = [([name], b"%d" % number) for number, (name, _) in enumerate(entries)]
        retained = [position for position, (_, retain) in enumerate(entries) if retain]
        if len(after) > 4:
            with pytest.raises(ValueError, match="--max-retained"):
                Retention(self.broker.retained, call, retained, self.clock)
            return
        retention, rest = Retention(self.broker.retained, call, retained, self.clock), iter(call)
        self.broker.publish(rest, self.clock)
        retention.accepted(rest)
        for ((name,), payload), (_, retain) in zip(call, entries, strict=True):
            for who, names in self.names.items():
                if matches(name, names, self.patterns[who]):
                    self.expected[who].append((name, self.clock, payload, False))
            if retain:
                self.kept.pop(fold(name), None)
                self.kept[fold(name)] = (name, self.clock, payload, True)

    @rule(names=st.lists(st.sampled_from(NAMES), max_size=2))
    def clear(self, names: list[str]) -> None:
        expected = len({fold(name) for name in names} & set(self.kept))
        assert self.broker.retained.clear(names) == expected
        for name in names:
            self.kept.pop(fold(name), None)

    @rule(
        who=st.sampled_from(["s1", "s2", "s3"]),
        names=st.lists(st.sampled_from(NAMES), max_size=2),
        patterns=st.lists(st.sampled_from(PATTERNS), max_size=2),
        last=st.sampled_from(Last),
    )
    def subscribe(self, who: str, names: list[str], patterns: list[str], last: Last) -> None:
        self.take(who)  # so that no older event of a subject still waits to be replayed
        wanted = set(map(fold, names)), set(patterns)
        if last is Last.OF_NEW:
            known = wanted[1] <= self.patterns[who]
            wanted = wanted[0] - {fold(name) for name in self.names[who]}, set() if known else wanted[1]
        self.broker.subscribe(who, names, patterns, last=last)
        if last is not Last.NONE:
            self.expected[who] += [got for got in self.kept.values() if matches(got[0], *wanted)]
        self.names[who] |= set(names)
        self.patterns[who] |= set(patterns)

    @rule(who=st.sampled_from(["s1", "s2", "s3"]))
    def unsubscribe(self, who: str) -> None:
        self.broker.unsubscribe(who, NAMES + PATTERNS)
        self.names[who], self.patterns[who] = set(), set()

    @rule(who=st.sampled_from(["s1", "s2", "s3"]))
    def leave(self, who: str) -> None:
        backlog = self.broker.find(who)
        if backlog is not None:
            self.broker.remove(backlog, Loss.GONE)
        self.names[who], self.patterns[who] = set(), set()
        self.expected[who], self.got[who], self.seq[who] = [], [], 0

    @rule(who=st.sampled_from(["s1", "s2", "s3"]))
    def take(self, who: str) -> None:
        backlog = self.broker.find(who)
        while backlog is not None and len(backlog):
            batch = backlog.take(2, MIB)
            for subject, time, seq, missed, payload, *retained in batch.rows:
                self.seq[who] += 1
                assert (seq, missed) == (self.seq[who], 0)
                self.got[who].append((subject, time, bytes(payload), retained == [True]))
            backlog.acknowledge(batch)
        assert self.got[who] == self.expected[who]

    @invariant()
    def what_is_kept_is_counted(self) -> None:
        store, snapshot = self.broker.retained, self.broker.statistics(self.clock)
        assert len(store) == len(self.kept) == snapshot.retained
        sizes = [kept_size(name, fold(name), payload) for name, _, payload, _ in self.kept.values()]
        assert store.bytes == sum(sizes) == snapshot.retained_bytes
        assert snapshot.published_retained == store.published
        assert snapshot.accepted == snapshot.delivered + sum(snapshot.lost.values()) + snapshot.waiting
        if not snapshot.waiting:
            assert snapshot.backlog_bytes == 0


TestLastValues = LastValueMachine.TestCase
TestLastValues.settings = settings(deadline=None, max_examples=80, stateful_step_count=30)


def store(most: int = 100, most_bytes: int = MIB) -> RetainedEvents:
    return RetainedEvents(most, most_bytes, TotalBytes())


def subjects(kept: RetainedEvents, *names: str, patterns: Iterable[str] = (), **more: Any) -> list[str]:
    compiled = [compile_pattern(text) for text in patterns]
    return [event.subject for event in kept.snapshot(names, compiled, **more)]


def test_the_one_that_was_kept_last_comes_last_however_few_are_asked_for() -> None:
    kept = store()
    for name in ["x", "y", "z", *[f"other{number}" for number in range(50)], "X"]:
        kept.put(name, 1.0, b"")
    assert subjects(kept, "x", "Y", "z", "none") == ["y", "z", "X"]
    assert subjects(kept, patterns=["[xyz]$"]) == ["y", "z", "X"]
    assert subjects(kept, "x", patterns=["y"]) == ["y", "X"]
    assert len(subjects(kept, "x", patterns=["other", "y"])) == 52


def test_a_pattern_for_which_case_counts_matches_what_is_kept_now() -> None:
    kept = store()
    kept.put("Sun", 1.0, b"")
    assert subjects(kept, patterns=["(?-i:Sun)"]) == ["Sun"]
    kept.put("SUN", 2.0, b"")
    assert subjects(kept, patterns=["(?-i:Sun)"]) == []
    for number in range(20):
        kept.put(f"other{number}", 3.0, b"")
    assert subjects(kept, patterns=["(?-i:Sun)"]) == []


def test_what_has_gone_takes_no_memory() -> None:
    kept = store()
    tracemalloc.start()
    try:
        for number in range(20_000):
            kept.put(f"{number:0200}", 1.0, b"")
            kept.put(f"{number:0200}x", 1.0, b"")
            kept.put(f"{number:0200}X", 1.0, b"")
            kept.clear([f"{number:0200}", f"{number:0200}x"])
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken < MIB and (len(kept), kept.bytes) == (0, 0)


def test_what_is_not_allowed_does_not_come() -> None:
    kept, rights = store(), Rights(subscribe=("LAB.*", "!LAB.SECRET"))
    for name in ("LAB.ONE", "lab.secret", "OTHER"):
        kept.put(name, 1.0, b"")
    assert subjects(kept, patterns=[".*"], allowed=rights.may_receive) == ["LAB.ONE"]
    broker = Broker(BacklogOptions(), MIB)
    broker.retained.put("lab.SECRET", 1.0, b"")
    broker.retained.put("LAB.ONE", 1.0, b"")
    backlog = broker.subscribe("s", "LAB.SECRET", ".*", rights=rights, last=Last.OF_ALL)
    assert [row[0] for row in backlog.take(10, MIB).rows] == ["LAB.ONE"]


@pytest.mark.parametrize(
    ("names", "size", "text"),
    [
        (["c"], 0, r"at most 2 subjects: clear .* clear_retained\(\), or start it with more --max-retained$"),
        (["a"], 3000, r"at most 3000 bytes: clear .* --max-retained-bytes$"),
        (["a", "c"], 0, "at most 2 subjects"),
    ],
)
def test_more_than_may_be_kept_is_refused(names: list[str], size: int, text: str) -> None:
    kept = store(2, 3000)
    kept.put("a", 1.0, bytes(100))
    kept.put("b", 1.0, b"")
    kept.check([(["A", "b"], bytes(100))])
    with pytest.raises(ValueError, match=text):
        kept.check([(names, bytes(size))])


def test_what_replaces_another_takes_its_space() -> None:
    kept = store(2, 4000)
    kept.put("a", 1.0, bytes(2000))
    kept.check([(["A"], bytes(2100))])
    kept.put("A", 2.0, bytes(2100))
    with pytest.raises(ValueError, match="--max-retained-bytes"):
        kept.check([(["b"], bytes(2000))])
    kept.check([(["a"], b""), (["b"], bytes(2000)), (["b"], b""), (["A"], bytes(2000))])
    with pytest.raises(ValueError, match="--max-retained-bytes"):  # for a moment
        kept.check([(["b"], bytes(2000)), (["a"], b"")])


@pytest.mark.parametrize("subject", ["$ES.TEST.x", "$eſ.SERVICE.STOPPING"])
def test_of_service_subjects_nothing_is_kept(subject: str) -> None:
    check_retained(["a", "$ESX"])
    with pytest.raises(ValueError, match="no last value of such subjects: publish it without retain"):
        check_retained(["a", subject])


def test_a_subscriber_is_ready_if_something_comes() -> None:
    broker = Broker(BacklogOptions(), MIB)
    assert broker.search_retained(["a", "b"]) is not None
    broker.retained.put("a", 1.0, b"1")
    search = broker.search_retained("a")
    assert search is not None and list(search) == [None] and broker.search_retained("a") is None
    nothing = broker.subscribe("s1", "b", "c", last=Last.OF_ALL)
    backlog = broker.subscribe("s2", (), "a", last=Last.OF_ALL)
    assert (nothing.ready, backlog.ready, broker.take_ready()) == (False, True, [backlog])
    broker.subscribe("s2", (), "a", last=Last.OF_ALL)
    broker.subscribe("s2", "a", last=Last.OF_ALL)
    assert broker.take_ready() == [backlog] and len(backlog) == 1


def test_to_subscribe_again_to_some_patterns_takes_no_other_search_than_was_made() -> None:
    broker = Broker(BacklogOptions(), MIB)
    broker.retained.put("a", 1.0, b"1")
    broker.subscribe("s1", (), "a")
    search = broker.search_retained(["a", "b"])
    assert search is not None and list(search) == [None]
    backlog = broker.subscribe("s1", (), ["a", "b"], last=Last.OF_NEW)
    assert broker.search_retained("b") is not None
    assert len(backlog) == 1


@pytest.mark.parametrize("ask", [lambda broker: broker.search_retained(5), lambda b: b.search_retained("(")])
def test_a_bad_pattern_is_refused_before_the_search(ask: Callable[[Broker], object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        ask(Broker(BacklogOptions(), MIB))


def test_replaced_values_count_once_until_the_last_replay_lets_go() -> None:
    broker = Broker(BacklogOptions(), MIB)
    broker.retained.put("a", 1.0, bytes(1000))
    (event,) = broker.retained.snapshot(["a"])
    backlogs = [broker.subscribe(f"s{number}", "a", last=Last.OF_ALL) for number in range(3)]
    waiting = broker.backlog_bytes
    broker.retained.put("a", 2.0, b"")
    assert broker.backlog_bytes == waiting + event.cost
    batches = [backlog.take(1, MIB) for backlog in backlogs]
    backlogs[0].acknowledge(batches[0])
    broker.remove(backlogs[1], Loss.GONE)
    assert broker.backlog_bytes > event.cost
    backlogs[2].acknowledge(batches[2])
    assert broker.backlog_bytes == 0
