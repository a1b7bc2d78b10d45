"""What the service has in memory: at its start, and for each client, subscriber, stream, pattern and event.

Knows: what is added between two looks. Must not know: the inside of the service, which is measured through
/proc.

Each figure has a service of its own. What the first few load once is not counted: the first look is after
them.
"""

from __future__ import annotations

from ..children.processes import Child
from ..children.tasks import STREAMED, AddPatterns, IdleSubscribers, Listen, Listener, Phase, Publish
from ..cores import JUDGED
from ..session import Session, run_phases
from ..systems import OURS, OURS_AIO
from .base import Case, Figures, Metric
from .rates import SUBJECT

_LIMIT = 90.0
_KIB = 1024
_FIRST = 10


def measure_memory(system: str, quick: bool) -> Figures:
    many = 20 if quick else 1_000
    return {
        "start": _at_start(system),
        "client": _each_client(system, many),
        "subscriber": _each_subscriber(system, many),
        "stream": _each_stream(system, many),
        "pattern": _each_pattern(system, 500 if quick else 10_000),
        "event": _each_event(system, 2_000 if quick else 50_000),
    }


def _at_start(system: str) -> float:
    with Session(system, _LIMIT) as session:
        return session.server.memory() / _KIB / _KIB


def _grown(session: Session, before: int, number: int) -> float:
    """KiB for each of so many that were added since."""
    return (session.server.memory() - before) / number / _KIB


def _published(session: Session, publisher: Child) -> None:
    """Let a publisher do its next phase."""
    publisher.send("go")
    publisher.answer(session.deadline)


def _each_client(system: str, many: int) -> float:
    """Publishers that have published once, and stay connected."""
    with Session(system, _LIMIT) as session:
        _published(session, session.worker(_publishers(system, session, _FIRST)))
        before = session.server.memory()
        _published(session, session.worker(_publishers(system, session, many)))
        return _grown(session, before, many)


def _publishers(system: str, session: Session, number: int) -> Publish:
    return Publish(system, session.address, [SUBJECT], [Phase(1)], publishers=number)


def _each_subscriber(system: str, many: int) -> float:
    """Subscribers that the service has connected to, and that have got an event."""
    wanted = [_FIRST, _FIRST + many]
    with Session(system, _LIMIT) as session:
        subscribers = session.worker(IdleSubscribers(session.address, wanted, SUBJECT, stages=wanted))
        publisher = session.worker(Publish(system, session.address, [SUBJECT], [Phase(1)] * 2))
        memory = []
        for _ in wanted:
            subscribers.send("go")
            subscribers.answer(session.deadline)
            run_phases(session, [subscribers], [publisher], 1)
            memory.append(session.server.memory())
        return (memory[1] - memory[0]) / many / _KIB


def _each_stream(system: str, many: int) -> float:
    """Streams that have connected themselves, and that have got an event."""
    with Session(system, _LIMIT) as session:
        publisher = session.worker(Publish(system, session.address, [SUBJECT], [Phase(1)] * 2))
        listen = Listen(OURS_AIO, session.address, [Listener([SUBJECT])] * _FIRST, [_FIRST, _FIRST])
        first = session.worker(listen)
        run_phases(session, [first], [publisher], 1)
        before = session.server.memory()
        others = session.worker(Listen(OURS_AIO, session.address, [Listener([SUBJECT])] * many, [many]))
        run_phases(session, [first, others], [publisher], 1)
        return _grown(session, before, many)


def _each_pattern(system: str, many: int) -> float:
    """Patterns of subscribers with 500 each, after events have been matched with them."""
    with Session(system, _LIMIT) as session:
        phase = Phase(100, fresh=True)
        publisher = session.worker(Publish(system, session.address, ["MARKET"], [phase] * 2))
        _added(session, system, "FIRST", _FIRST)
        _published(session, publisher)
        before = session.server.memory()
        _added(session, system, "OTHER", many)
        _published(session, publisher)
        return _grown(session, before, many)


def _added(session: Session, system: str, market: str, number: int) -> None:
    """Patterns that a child adds, which then stays."""
    prefixes = [f"{market}.{which:05}." for which in range(number)]
    adder = session.worker(AddPatterns(system, session.address, prefixes, 500))
    adder.send("go")
    adder.answer(session.deadline)


def _each_event(system: str, many: int) -> float:
    """Events that wait for a subscriber that is frozen; what its socket holds has been sent before."""
    first = 1_000
    slow = Listener([SUBJECT], options={"overflow": "drop-oldest", "backlog": first + many})
    with Session(system, _LIMIT) as session:
        frozen = session.worker(Listen(system, session.address, [slow], [1]))
        phases = [Phase(1), Phase(first, STREAMED), Phase(many, STREAMED)]
        publisher = session.worker(Publish(system, session.address, [SUBJECT], phases))
        run_phases(session, [frozen], [publisher], 1)
        frozen.freeze()
        _published(session, publisher)
        before = session.server.memory()
        _published(session, publisher)
        return _grown(session, before, many) * _KIB


MEMORY = Case(
    "memory",
    "what the service has in memory",
    (OURS,),
    (
        Metric("start", "at its start", "MiB", higher=False, digits=1),
        Metric("client", "for each client", "KiB", higher=False, digits=2),
        Metric("subscriber", "for each subscriber that it calls", "KiB", higher=False, digits=2),
        Metric("stream", "for each stream", "KiB", higher=False, digits=2),
        Metric("pattern", "for each pattern", "KiB", higher=False, digits=2),
        Metric("event", "for each small event that waits", "bytes", higher=False),
    ),
    measure_memory,
    cores=(JUDGED,),
)
