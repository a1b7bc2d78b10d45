"""Random users, rights, subscriptions, events and changes of the file against a model of a few lines (C40).

An engine runs without a socket: callers are made by hand, and what waits for a listener is what it would get.
"""

from __future__ import annotations

import asyncio
import fnmatch
import re
from collections.abc import Callable
from typing import Any, TypeVar

import Pyro5.errors
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyro_events.broker.matching.case_folding import fold
from pyro_events.broker.matching.rights import Rights
from pyro_events.codec.message import encode
from pyro_events.options import ServiceOptions
from pyro_events.secret import Passphrase
from pyro_events.server.engine import Engine
from pyro_events.server.objects import Caller, DeferredResult, RoleSwap
from pyro_events.server.permissions.permissions import Permissions, User
from pyro_events.server.service_methods import ServiceMethods
from pyro_events.wire.handshake.passphrase import Identity

T = TypeVar("T")

USERS = ["", "alice", "bob", "carol"]
PAYLOAD = encode(None)
# Names that fold alike, and two of the service's own.
SUBJECTS = ["LAB.A", "lab.a", "LAB.ſ", "lab.s", "HALL", "$ES.TEST.1", "$eſ.test.1"]
RULES = ["*", "LAB.*", "!LAB.S", "lab.?", "HALL", "!HALL", "!*", "$ES.*", "[!L]*"]
PATTERNS = [".*", "^lab", r"LAB\.[AS]$", "HALL"]

users = st.sampled_from(USERS)
subjects = st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=3)
rules = st.lists(st.sampled_from(RULES), max_size=3).map(tuple)
rights = st.builds(
    Rights, publish=rules, subscribe=rules, groups=st.sampled_from([frozenset(), frozenset({"workers"})])
)


def allowed(rules: tuple[str, ...], subject: str) -> bool:
    """What rules say of a subject."""
    folded, verdict = fold(subject), False
    for each in map(fold, rules):
        text = each.removeprefix("!")
        if fnmatch.fnmatchcase(folded, text) and (not folded.startswith("$es.") or text.startswith("$es")):
            verdict = not each.startswith("!")
    return verdict or folded.startswith("$es.test.")


class Listener:
    """user, names, patterns, group: as subscribed. waiting: the subjects that it should get, in order."""

    def __init__(self, user: str, key: str, group: str) -> None:
        self.user = user
        self.key = key
        self.group = group
        self.names: set[str] = set()
        self.patterns: set[str] = set()
        self.waiting: list[str] = []

    def wants(self, subject: str) -> bool:
        folded = fold(subject)
        own = folded.startswith("$es.")
        matches = any(re.match(pattern, folded, re.IGNORECASE) for pattern in self.patterns)
        return folded in self.names or (matches and not own)


class ServiceMachine(RuleBasedStateMachine):
    """One service beside its model."""

    def __init__(self) -> None:
        super().__init__()
        self.rights: dict[str, Rights] = {}
        self.listeners: list[Listener] = []
        self.denied = 0

    def on_loop(self, work: Callable[[], T]) -> T:
        async def once() -> T:
            return work()

        return self.loop.run_until_complete(once())

    def teardown(self) -> None:
        if self.rights:
            self.loop.run_until_complete(self.engine.stop())
            self.loop.close()

    def permissions(self) -> Permissions:
        named = {name: user for name, user in self.rights.items() if name}
        identities = {name: self.identities.setdefault(name, Identity(b"key", name)) for name in named}
        made = {name: User(Passphrase("x"), identities[name], each) for name, each in named.items()}
        return Permissions(self.rights[""], made)

    @initialize(each=st.lists(rights, min_size=len(USERS), max_size=len(USERS)))
    def begin(self, each: list[Rights]) -> None:
        self.loop = asyncio.new_event_loop()
        self.identities: dict[str, Identity] = {}
        self.rights = dict(zip(USERS, each, strict=True))
        self.now = self.permissions()

        def start() -> None:
            self.engine = Engine(ServiceOptions(drain=0.01), permissions=self.now)
            self.methods = ServiceMethods(self.engine)

        self.on_loop(start)
        self.callers = {user: Caller("192.0.2.1", 4, proved=True, user=user) for user in USERS}
        self.admit()

    def admit(self) -> None:
        for user, caller in self.callers.items():
            caller.rights = self.engine.access.rights_of(user)

    def call(self, user: str, method: str, *arguments: Any) -> Any:
        async def make() -> Any:
            result = self.methods.methods[method](self.callers[user], *arguments)
            if isinstance(result, DeferredResult):
                answered = self.loop.create_future()
                result.when_done(answered.set_result)
                result = await answered
            return result

        return self.loop.run_until_complete(make())

    @precondition(lambda self: len(self.listeners) < 6)
    @rule(user=users, group=st.sampled_from(["", "", "workers"]))
    def attach(self, user: str, group: str) -> None:
        if group and group not in self.rights[user].groups:
            with pytest.raises(Pyro5.errors.SecurityError, match="may not join the group 'workers'"):
                self.call(user, "attach", {"group": group})
            return
        swap: RoleSwap = self.call(user, "attach", {"group": group} if group else {})
        self.listeners.append(Listener(user, swap.answer["key"], group))

    @precondition(lambda self: self.listeners)
    @rule(data=st.data(), names=subjects)
    def subscribe(self, data: st.DataObject, names: list[str]) -> None:
        listener = data.draw(st.sampled_from(self.listeners))
        whose = self.rights[listener.user].subscribe
        wrong = [name for name in names if not allowed(whose, name)]
        if wrong:
            with pytest.raises(Pyro5.errors.SecurityError, match=re.escape(f"subject {wrong[0]!r}")):
                self.call(listener.user, "subscribe", names, {"key": listener.key})
        else:
            self.call(listener.user, "subscribe", names, {"key": listener.key})
            listener.names.update(map(fold, names))

    @precondition(lambda self: self.listeners)
    @rule(data=st.data(), pattern=st.sampled_from(PATTERNS))
    def subscribe_match(self, data: st.DataObject, pattern: str) -> None:
        listener = data.draw(st.sampled_from(self.listeners))
        self.call(listener.user, "subscribeMatch", pattern, {"key": listener.key})
        listener.patterns.add(pattern)

    @precondition(lambda self: self.listeners)
    @rule(data=st.data(), user=users)
    def nobody_has_another_users_subscriber(self, data: st.DataObject, user: str) -> None:
        listener = data.draw(st.sampled_from(self.listeners))
        if user != listener.user:
            key = {"key": listener.key}
            nothing = self.call(user, "statistics", {"subscriber": {"key": "0" * 32}})
            assert self.call(user, "statistics", {"subscriber": key}) == nothing
            assert self.call(user, "unsubscribe", sorted(listener.names), key) == -1
            assert self.call(user, "subscribeMatch", ".*", key) == -1

    @rule(user=users, names=subjects, large=st.booleans())
    def publish(self, user: str, names: list[str], large: bool) -> None:
        wrong = [name for name in names if not allowed(self.rights[user].publish, name)]
        entry = [names, PAYLOAD]
        method, argument = ("publish_large", entry) if large else ("publish_encoded", [entry])
        if wrong:
            for refused in (method, argument), ("listeners", names):
                with pytest.raises(Pyro5.errors.SecurityError, match=re.escape(f"subject {wrong[0]!r}")):
                    self.call(user, *refused)
            return
        counts = self.call(user, "listeners", names)
        queued = self.call(user, method, argument)
        expected = 0
        for name in names:
            takers = [each for each in self.listeners if each.wants(name) and self.may_get(each, name)]
            for listener in takers:
                listener.waiting.append(name)
            count = len([each for each in takers if not each.group]) + any(each.group for each in takers)
            assert counts[name] == count
            expected += count
        assert queued == expected

    def may_get(self, listener: Listener, subject: str) -> bool:
        return allowed(self.rights[listener.user].subscribe, subject)

    @rule(user=users, other=rights)
    def reload(self, user: str, other: Rights) -> None:
        """The rights of a user change."""
        self.rights[user] = other
        before, self.now = self.now, self.permissions()
        assert before.gone_after(self.now) == frozenset()
        self.on_loop(lambda: self.engine.permit(self.now, ()))
        self.admit()
        for listener in list(self.listeners):
            if listener.group and listener.group not in self.rights[listener.user].groups:
                self.listeners.remove(listener)
            elif not listener.group:
                kept = [subject for subject in listener.waiting if self.may_get(listener, subject)]
                self.denied += len(listener.waiting) - len(kept)
                listener.waiting = kept

    @invariant()
    def what_waits_is_what_each_may_get(self) -> None:
        table = self.engine.deliveries.table if self.listeners else {}
        backlogs = dict(zip(self.listeners, table, strict=True))
        for listener, backlog in backlogs.items():
            if not listener.group:
                assert [event[0] for event in backlog._events()] == listener.waiting
        assert sum(backlog.lost["denied"] for backlog in backlogs.values()) == self.denied

    @invariant()
    def a_group_gets_nothing_that_no_member_may_get(self) -> None:
        members = [listener for listener in self.listeners if listener.group]
        for group in self.engine.broker.groups if self.listeners else ():
            for subject in {event[0] for event in group.backlog._events()}:
                assert any(self.may_get(each, subject) and each.wants(subject) for each in members)
            for backlog, member in zip(group.members, members, strict=True):
                for subject in SUBJECTS:
                    takes = backlog in group.takers(subject)
                    assert takes == (member.wants(subject) and self.may_get(member, subject))

    @invariant()
    def everybody_sees_its_own_alone(self) -> None:
        if not self.rights:
            return
        for user in USERS:
            seen = self.call(user, "statistics")
            mine = [each for each in self.listeners if each.user == user]
            assert len(seen["subscribers"]) == len(mine)
            assert seen["published"] is None and not seen["groups"]
            assert seen["accepted"] == sum(each["accepted"] for each in seen["subscribers"])


TestServiceMachine = pytest.mark.timeout(900)(ServiceMachine.TestCase)
TestServiceMachine.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
