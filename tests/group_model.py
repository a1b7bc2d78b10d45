"""A group as lists: who may get which event, and who gets it, written in the plainest way.

Knows: the promises of docs/contract.md. Must not know: how pyro_events keeps them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from backlog_model import ModelBacklog, ModelEvent

from pyro_events.broker.matching.subjects import fold

Row = tuple[str, float, int, int, bytes]


@dataclass
class ModelMember:
    """One member. in_flight: its batches. seq: the number that it was sent last."""

    names: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    ahead: int = 0
    turn: int = 0
    seq: int = 0
    given: int = 0
    delivered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    in_flight: list[list[ModelEvent]] = field(default_factory=list)

    @property
    def load(self) -> int:
        """How many events it has unacknowledged."""
        return sum(map(len, self.in_flight))

    def wants(self, subject: str) -> bool:
        """Whether it may get an event of that subject."""
        return any(fold(name) == fold(subject) for name in self.names) or any(
            re.match(pattern, subject, re.IGNORECASE) for pattern in self.patterns
        )

    def subscribe(self, names: list[str], patterns: list[str]) -> None:
        """To names and patterns; the first spelling of a name stays."""
        for name in names:
            if fold(name) not in map(fold, self.names):
                self.names.append(name)
        for pattern in patterns:
            if pattern not in self.patterns:
                self.patterns.append(pattern)

    def unsubscribe(self, texts: list[str]) -> None:
        """From names and patterns."""
        self.names = [name for name in self.names if fold(name) not in map(fold, texts)]
        self.patterns = [pattern for pattern in self.patterns if pattern not in texts]


class ModelGroup:
    """A group: its waiting events are those of a backlog, which does what its policy says."""

    def __init__(self, policy: str, most_events: int, most_bytes: int, max_age: float) -> None:
        self.backlog = ModelBacklog(policy, most_events, most_bytes, max_age=max_age)
        self.members: dict[str, ModelMember] = {}
        self.turn = 0
        self.given = 0
        self.reported = 0

    @property
    def missed(self) -> int:
        """How many events the group has lost that no member was told of."""
        return sum(self.backlog.lost.values()) - self.reported

    def join(self, uri: str, ahead: int) -> ModelMember:
        """A subscriber joins, or says another `ahead`."""
        if uri not in self.members:
            self.turn += 1
            self.members[uri] = ModelMember(turn=self.turn)
        self.members[uri].ahead = ahead or self.members[uri].ahead
        return self.members[uri]

    def lose_unwanted(self, reason: str) -> None:
        """Those that nobody may get any more."""
        for event in list(self.backlog.waiting):
            if not any(member.wants(event.subject) for member in self.members.values()):
                self.backlog.waiting.remove(event)
                self.backlog.lost[reason] += 1

    def distribute(self, rooms: dict[str, tuple[int, int]], now: float) -> dict[str, list[Row]]:
        """Give out what can be given. rooms: how many batches a member can be sent, each of how many events.
        Returns the rows of each member that got some."""
        got: dict[str, list[ModelEvent]] = {uri: [] for uri in rooms}
        rows: dict[str, list[Row]] = {uri: [] for uri in rooms}

        def free(uri: str) -> bool:
            member, (batches, limit) = self.members[uri], rooms[uri]
            load = member.load + len(got[uri])
            return len(got[uri]) < batches * limit and (not member.ahead or load < member.ahead)

        for event in list(self.backlog.waiting):
            able = [uri for uri in rooms if free(uri) and self.members[uri].wants(event.subject)]
            if not able:
                continue
            best = min(able, key=lambda uri: (self.members[uri].load + len(got[uri]), self.members[uri].turn))
            self.backlog.waiting.remove(event)
            if event.time < now - self.backlog.max_age:
                self.backlog.lost["expired"] += 1
                continue
            self.turn += 1
            self.given += 1
            member = self.members[best]
            member.turn = self.turn
            member.given += 1
            member.seq += self.missed + 1
            rows[best].append((event.subject, event.time, member.seq, self.missed, event.payload))
            self.reported += self.missed
            got[best].append(event)
        for uri, events in got.items():
            limit = rooms[uri][1]
            batches = [events[at : at + limit] for at in range(0, len(events), limit)]
            self.members[uri].in_flight += batches
        return {uri: each for uri, each in rows.items() if each}

    @property
    def held(self) -> list[ModelEvent]:
        """The events that wait for the group, or that members have unacknowledged."""
        flying = [event for each in self.members.values() for batch in each.in_flight for event in batch]
        return self.backlog.waiting + flying


def shared_bytes(group: ModelGroup, row: int) -> int:
    """The bytes of a group's events, if nobody else holds them. row: in addition, of each event in flight."""
    waiting = len(group.backlog.waiting)
    return sum(each.size for each in group.held) + row * (len(group.held) - waiting)
