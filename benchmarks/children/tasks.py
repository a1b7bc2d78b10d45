"""The task of a child process, as plain data that is sent to its standard input.

Knows: the roles and their parameters. Must not know: any system, sockets, processes.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# The contents of an event: a tuple of a name and a price, 1 MiB of bytes, or a numpy array of 1 MiB.
# "bytes:N" stands for N bytes.
QUOTE, BYTES, ARRAY = "quote", "bytes", "array"
_MIB = 1024 * 1024
# Messages from this size on are large: systems have other ways for them.
_LARGE = 64 * 1024
# How a phase is published: with a wait for each acknowledgement, the same by many tasks of an asyncio program
# at the same time, as fast as possible, or at a steady rate.
ACKED, TOGETHER, STREAMED, PACED = "acked", "together", "streamed", "paced"
# How many tasks publish at the same time.
TASKS = 100


def size_of(kind: str) -> int:
    """How many bytes a message of that kind has, roughly."""
    if kind == QUOTE:
        return 16
    return int(kind.partition(":")[2] or _MIB)


def is_large(kind: str) -> bool:
    """Whether messages of that kind are large."""
    return size_of(kind) >= _LARGE


@dataclass
class Listener:
    """One subscriber: the names, and the beginnings of names, that it subscribes to.

    options: for pyro_events alone, the keyword arguments of `subscribe`.
    """

    subjects: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Listen:
    """A process with subscribers in it. The child reads `role` first.

    stages: the numbers of events, of all subscribers of the process together, after which it reports.
    latency: whether events are timed, not only counted.
    """

    system: str
    address: str
    listeners: list[Listener]
    stages: list[int]
    kind: str = QUOTE
    latency: bool = False
    role: str = "listen"


@dataclass
class Phase:
    """A number of events that each publisher publishes when it is told to begin.

    fresh: every event has a subject that was never used before; otherwise the task's subjects recur. rate:
    events per second, for PACED.
    """

    count: int
    how: str = ACKED
    fresh: bool = False
    rate: float = 0.0


@dataclass
class Publish:
    """A process with publishers in it, each with its own connection."""

    system: str
    address: str
    subjects: list[str]
    phases: list[Phase]
    kind: str = QUOTE
    publishers: int = 1
    role: str = "publish"


@dataclass
class Watch:
    """A process that publishes one acknowledged event after the other and notes how long each took.

    It does so from one line on its standard input to the next, with a new subject each time.
    """

    system: str
    address: str
    prefix: str
    role: str = "watch"


@dataclass
class AddPatterns:
    """A process that subscribes to beginnings of names, one call for each, when told to begin."""

    system: str
    address: str
    prefixes: list[str]
    share: int
    role: str = "add"


@dataclass
class IdleSubscribers:
    """A process with many subscribers of pyro_events that only acknowledge; see idle_subscribers.py.

    counts: how many there are after each line on standard input. subject: what all of them subscribe to; ""
    gives each its own subject.
    """

    address: str
    counts: list[int]
    subject: str
    stages: list[int] = field(default_factory=list)
    role: str = "subscribers"


@dataclass
class Burst:
    """A process that publishes bursts of `size` events, each burst on the next of `subjects`."""

    address: str
    subjects: list[str]
    size: int
    bursts: list[int]
    role: str = "burst"


@dataclass
class Serve:
    """A process that is the server of a system without a program of its own."""

    system: str
    role: str = "serve"


Task = Listen | Publish | Watch | AddPatterns | IdleSubscribers | Burst | Serve


def to_line(task: Task) -> str:
    """The task as one line of JSON."""
    return json.dumps(dataclasses.asdict(task))


def from_line(line: str) -> Task:
    """The task from `to_line`. Raises KeyError for an unknown role."""
    values: dict[str, Any] = json.loads(line)
    made = {"listeners": Listener, "phases": Phase}
    for name, kind in made.items():
        if name in values:
            values[name] = [kind(**item) for item in values[name]]
    roles: dict[str, Any] = {
        "listen": Listen,
        "publish": Publish,
        "watch": Watch,
        "add": AddPatterns,
        "subscribers": IdleSubscribers,
        "burst": Burst,
        "serve": Serve,
    }
    task: Task = roles[values["role"]](**values)
    return task


def subjects_of(task: Publish, phase: Phase, number: int, publisher: int) -> Iterator[str]:
    """The subjects of one phase for one publisher, one for each event.

    number: of the phase, so that a fresh subject is fresh in the next phase too.
    """
    if phase.fresh:
        prefix = f"{task.subjects[0]}.{number}.{publisher}."
        return (f"{prefix}{event}" for event in range(phase.count))
    return itertools.islice(itertools.cycle(task.subjects), phase.count)
