"""Everything that a broker does, mixed: last values, ages, groups, all policies, rights, and what is offered.

Other tests compare each of these with a model. Here it is held what must be true whatever comes after what:
the identities of the accounts, the numbers of the rows, that nobody gets what it may not, the bounds, and
that nothing is left when everybody has gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyro_events.broker.accounting import Batch, Loss
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.broker import Broker
from pyro_events.broker.groups.distribution import Room, distribute
from pyro_events.broker.groups.group_backlog import GroupBacklog
from pyro_events.broker.matching.patterns import compile_pattern
from pyro_events.broker.matching.rights import Rights
from pyro_events.broker.publishing import Entry
from pyro_events.broker.retained.last import Last
from pyro_events.broker.retained.retention import Retention
from pyro_events.options import BacklogOptions, Overflow

TOTAL = 12_000
EVERYTHING = compile_pattern(".*")
MOST_KEPT, MOST_KEPT_BYTES = 3, 5_000
URIS = [f"PYRO:s{number}@127.0.0.1:{number}" for number in range(1, 5)]
NAMES = ["a", "A", "b", "straße", "c"]
PATTERNS = [".*", "[ab]", r"\$ES"]
OWN = "$ES.SUBSCRIBER.LOST"
RIGHTS = [
    None,
    Rights(subscribe=("*", "$ES.*"), groups=frozenset({"work"}), block=True),
    Rights(subscribe=("*", "!b")),
    Rights(subscribe=("a",), block=True),
    Rights(),
]

uris = st.sampled_from(URIS)
some_names = st.lists(st.sampled_from(NAMES), max_size=3)
some_patterns = st.lists(st.sampled_from(PATTERNS), max_size=2)
policies = st.sampled_from([policy.value for policy in Overflow])
options = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "overflow": policies,
        "backlog": st.integers(1, 4),
        "backlog_bytes": st.sampled_from([600, 2_000]),
        "max_age": st.sampled_from([2.0, 10.0, math.inf]),
    },
)
payloads = st.sampled_from([b"", b"x" * 300, b"x" * 1_500])
entries = st.lists(
    st.tuples(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3), payloads), min_size=1, max_size=4
)


class Blocked:
    """A publish call that was blocked."""

    def __init__(self, rest: Iterator[Entry], time: float, retention: Retention | None) -> None:
        self.rest = rest
        self.time = time
        self.retention = retention


class MixtureMachine(RuleBasedStateMachine):
    """One broker, and what its engine does with it."""

    @initialize(restricted=st.booleans())
    def begin(self, restricted: bool) -> None:
        self.broker = Broker(
            BacklogOptions(), TOTAL, max_retained=MOST_KEPT, max_retained_bytes=MOST_KEPT_BYTES
        )
        self.clock = 100.0
        self.batches: dict[Backlog, list[Batch]] = {}
        self.last: dict[Backlog, int] = {}
        self.blocked: list[Blocked] = []
        self.restricted = restricted
        self.rights: dict[str, Rights | None] = dict.fromkeys(URIS)
        if restricted:
            self.broker.restrict()

    # Subscribers

    @rule(
        uri=uris,
        names=some_names,
        patterns=some_patterns,
        options=options,
        group=st.sampled_from(["", "", "work", "WORK", "others"]),
        ahead=st.sampled_from([0, 1, 2]),
        last=st.sampled_from(Last),
    )
    def subscribe(self, uri: str, names: list[str], patterns: list[str], **more: Any) -> None:
        self._subscribe(uri, names, patterns, **more)

    @rule(uri=uris, policy=policies, patterns=st.sampled_from([[".*"], ["[ab]", ".*"]]))
    def ask_for_last_values(self, uri: str, policy: str, patterns: list[str]) -> None:
        options = {"overflow": policy, "backlog": 2}
        self._subscribe(uri, ["a"], patterns, options=options, last=Last.OF_ALL)

    @rule(uri=uris, policy=policies, names=some_names)
    def join(self, uri: str, policy: str, names: list[str]) -> None:
        options = {"overflow": policy, "backlog": 3}
        self._subscribe(uri, [*names, "b"], [r"\$ES"], options=options, group="work")

    def _subscribe(self, uri: str, names: list[str], patterns: list[str], **more: Any) -> None:
        existing = self.broker.find(uri)
        before = self.broker.statistics(self.clock)
        try:
            backlog = self.broker.subscribe(uri, names, patterns, rights=self.rights[uri], **more)
        except ValueError:
            assert self.broker.statistics(self.clock) == before
            return
        assert existing is None or backlog is existing
        self.batches.setdefault(backlog, [])
        self.last.setdefault(backlog, 0)
        self._after()

    @rule(uri=uris, texts=st.lists(st.sampled_from([*NAMES, *PATTERNS]), max_size=4))
    def unsubscribe(self, uri: str, texts: list[str]) -> None:
        self.broker.unsubscribe(uri, texts)
        self._after()

    @precondition(lambda self: self.broker.backlogs())
    @rule(data=st.data(), reason=st.sampled_from([Loss.GONE, Loss.DEADLINE, Loss.DISCONNECT]))
    def leave(self, data: st.DataObject, reason: Loss) -> None:
        self._leave(data.draw(st.sampled_from(self.broker.backlogs())), reason)

    def _leave(self, backlog: Backlog, reason: Loss) -> None:
        waiting = len(backlog) + backlog.unacknowledged
        assert self.broker.remove(backlog, reason) == waiting
        assert not backlog.waits and backlog.held == 0
        del self.batches[backlog], self.last[backlog]
        self._after()

    @precondition(lambda self: self.broker.backlogs())
    @rule(data=st.data(), last=st.sampled_from(Last))
    def come_back(self, data: st.DataObject, last: Last) -> None:
        """It has lost its connection, and gets another backlog in its place."""
        backlog = data.draw(st.sampled_from(self.broker.backlogs()))
        texts = self.broker.subjects(backlog, 100)
        names, patterns = (
            [each for each in texts if each in NAMES],
            [each for each in texts if each in PATTERNS],
        )
        group = backlog.group
        with self.broker.groups.hold(backlog):
            self.broker.remove(backlog, Loss.GONE)
            del self.batches[backlog], self.last[backlog]
            backlog = self.broker.subscribe(
                backlog.subscriber,
                names,
                patterns,
                rights=backlog.rights,
                group=group,
                last=Last.NONE if group else last,
            )
        self.batches[backlog], self.last[backlog] = [], 0
        self._after()

    @precondition(lambda self: self.restricted)
    @rule(uri=uris, rights=st.sampled_from(RIGHTS))
    def permit(self, uri: str, rights: Rights | None) -> None:
        self.rights[uri] = rights
        backlog = self.broker.find(uri)
        if backlog is not None:
            backlog.rights = rights
            backlog.allow_blocking(rights is None or rights.block)
        self.broker.restrict()
        for group in self.broker.groups:
            group.review_blocking()
        self._after()

    # Publishers

    @rule(entries=entries, data=st.data(), late=st.sampled_from([0.0, 0.0, 3.0]))
    def publish(self, entries: list[Entry], data: st.DataObject, late: float) -> None:
        kept = data.draw(st.lists(st.integers(0, len(entries) - 1), unique=True).map(sorted))
        self._publish(entries, kept, self.clock - late)

    @rule(name=st.sampled_from(NAMES), payload=payloads)
    def publish_last_value(self, name: str, payload: bytes) -> None:
        self._publish([([name], payload)], [0], self.clock)

    def _publish(self, entries: list[Entry], kept: list[int], time: float) -> None:
        try:
            retention = Retention(self.broker.retained, entries, kept, time) if kept else None
        except ValueError:
            return
        self._go_on(Blocked(iter(entries), time, retention))

    @precondition(lambda self: self.blocked)
    @rule(data=st.data(), abandoned=st.sampled_from([False, False, True]))
    def resume(self, data: st.DataObject, abandoned: bool) -> None:
        call = self.blocked.pop(data.draw(st.integers(0, len(self.blocked) - 1)))
        if not abandoned:
            self._go_on(call)
        elif call.retention is not None:
            call.retention.abandon()

    def _go_on(self, call: Blocked) -> None:
        self.broker.publish(call.rest, call.time)
        if call.retention is not None:
            call.retention.accepted(call.rest)
        if self.broker.take_full() or self.broker.overloaded:
            self.blocked.append(call)
        self._after()

    @rule(payload=payloads)
    def offer(self, payload: bytes) -> None:
        full = len(self.broker.full)
        self.broker.offer(OWN, payload, self.clock)
        assert len(self.broker.full) == full and not self.broker.failing
        self._after()

    @rule(names=some_names)
    def clear_retained(self, names: list[str]) -> None:
        self.broker.retained.clear(names)

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.clock += seconds

    # Deliveries

    @rule(most=st.integers(1, 5), ahead=st.integers(0, 3))
    def expire(self, most: int, ahead: int) -> None:
        for backlog in [*self.broker.backlogs(), *[group.backlog for group in self.broker.groups]]:
            backlog.expire(self.clock, most, ahead)

    @rule(events=st.integers(1, 4), size=st.sampled_from([1, 1_000, 100_000]))
    def send(self, events: int, size: int) -> None:
        for backlog, batches in self.batches.items():
            while len(backlog) and len(batches) < 2:
                self._take(backlog, events, size)

    @rule(limit=st.integers(1, 3))
    def share(self, limit: int) -> None:
        """Members of groups are given events, which are sent to them at once."""

        def room_of(backlog: Backlog) -> Room | None:
            return None if len(backlog) else Room(2 - len(self.batches[backlog]), limit)

        for group in self.broker.groups:
            for backlog in group.members:
                group.offer(backlog)
            for backlog in distribute(group, room_of, self.clock):
                while len(backlog):
                    self._take(backlog, limit, 1 << 20)
                assert len(self.batches[backlog]) <= 2

    def _take(self, backlog: Backlog, events: int, size: int) -> None:
        batch = backlog.take(events, size)
        self.batches[backlog].append(batch)
        for row in batch.rows:
            assert row[3] is not None and row[3] >= 0
            assert row[2] == self.last[backlog] + row[3] + 1
            self.last[backlog] = row[2]
            assert backlog.rights is None or backlog.rights.may_receive(row[0])
        assert self.last[backlog] <= backlog.accepted

    @rule(failed=st.integers(0, 1), lost=st.sampled_from([False, False, True]))
    def acknowledge(self, failed: int, lost: bool) -> None:
        for backlog, batches in self.batches.items():
            if batches and lost:
                backlog.lose_batch(batches.pop(0))
            elif batches and failed and len(batches[0].rows) > 1:
                backlog.acknowledge_part(batches[0], 1, failed)
            elif batches:
                backlog.acknowledge(batches.pop(0), min(failed, len(batches)))

    @rule(limit=st.integers(1, 3))
    def deliver_everything(self, limit: int) -> None:
        """All subscribers take and acknowledge what waits."""
        while any(backlog.waits for backlog in self.batches):
            self.send(limit, 1_000)
            self.acknowledge(0, False)
            self.share(limit)

    def _after(self) -> None:
        """What the engine does after each call."""
        self.broker.take_full()
        for backlog in self.broker.take_ready():
            assert not backlog.ready
        for backlog in dict.fromkeys(self.broker.take_failing()):
            group = self.broker.groups.of(backlog) if isinstance(backlog, GroupBacklog) else None
            for each in list(group.members) if group is not None else [backlog]:
                if each in self.batches:
                    self._leave(each, Loss.DISCONNECT)

    # What holds

    @invariant()
    def every_event_is_accounted_for(self) -> None:
        figures = self.broker.statistics(self.clock)
        for each in figures.subscribers:
            assert (
                each.accepted == each.delivered + sum(each.lost.values()) + each.backlog + each.unacknowledged
            )
            assert min([0, each.backlog_bytes, *each.lost.values()]) == 0
        for group in figures.groups:
            assert group.accepted == group.given + sum(group.lost.values()) + group.backlog
            assert group.backlog_bytes >= 0
        assert figures.accepted == figures.delivered + sum(figures.lost.values()) + figures.waiting
        assert figures.backlog_bytes >= 0

    @invariant()
    def the_bounds_of_last_values_hold(self) -> None:
        retained = self.broker.retained
        assert len(retained) <= MOST_KEPT
        assert retained.bytes <= MOST_KEPT_BYTES
        assert retained.bytes == sum(event.cost for event in retained.snapshot((), [EVERYTHING]))

    def teardown(self) -> None:
        if not hasattr(self, "broker"):
            return
        for backlog in self.broker.backlogs():
            self.broker.remove(backlog, Loss.STOPPED)
        for call in self.blocked:
            if call.retention is not None:
                call.retention.abandon()
        figures = self.broker.statistics(self.clock)
        assert figures.accepted == figures.delivered + sum(figures.lost.values()) and not figures.waiting
        assert (figures.backlog_bytes, figures.subscription_bytes) == (0, 0)
        assert not list(self.broker.groups) and not figures.subscribers
        assert not any(self.broker.listening(name) for name in [*NAMES, OWN])
        self.broker.retained.clear(NAMES)
        assert (len(self.broker.retained), self.broker.retained.bytes) == (0, 0)


TestMixture = MixtureMachine.TestCase
TestMixture.settings = settings(max_examples=200, stateful_step_count=100)
