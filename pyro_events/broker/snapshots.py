"""Snapshots: the figures of one subscriber, and of one group, as programs get them.

Knows: which figures there are. Must not know: how they are counted (backlog_figures.py and groups/group.py
do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class BacklogStatistics:
    """One subscriber at one moment: accepted = delivered + sum(lost) + backlog + unacknowledged.

    subscriber: its URI. subjects: its names and patterns, only the first of very many; subscriptions: how
    many it has. name: what it calls itself, "" if it did not say. backlog: events waiting to be sent.
    unacknowledged: events sent. oldest: the age of the oldest event not yet delivered, in seconds, or None.
    group: that it is in, "" for none; then accepted are the events that the group has given it. user: who has
    subscribed it, "" for nobody in particular.
    """

    subscriber: str
    subjects: tuple[str, ...]
    overflow: str
    backlog: int
    backlog_bytes: int
    unacknowledged: int
    oldest: float | None
    accepted: int
    delivered: int
    lost: Mapping[str, int]
    name: str = ""
    subscriptions: int = 0
    group: str = ""
    user: str = ""


@dataclass(frozen=True)
class GroupStatistics:
    """One group at one moment: accepted = given + sum(lost) + backlog.

    group: its name. subscribers: how many members it has. given: the events that members were given; what
    became of them is in the figures of the members. oldest: as above, of the events that wait.
    """

    group: str
    subscribers: int
    overflow: str
    backlog: int
    backlog_bytes: int
    oldest: float | None
    accepted: int
    given: int
    lost: Mapping[str, int]
