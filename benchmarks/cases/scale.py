"""What grows with the number of subscribers, and how one frozen subscriber affects the others.

Knows: the sizes of the work. Must not know: the inside of the service, which is measured through /proc.
"""

from __future__ import annotations

from ..children.tasks import STREAMED, Burst, IdleSubscribers, Listen, Listener, Phase, Publish
from ..cores import JUDGED
from ..session import Session, run_phases
from ..systems import OURS
from .base import Case, Figures, Goal, Metric
from .rates import SUBJECT

_KIB = 1024
# How many connect before anything is counted: what the first one loads is not a cost of the next.
_FIRST = 10


def measure_subscribers(system: str, quick: bool) -> Figures:
    """Memory and threads of the service with few, and with many connected subscribers."""
    small, large = (20, 40) if quick else (1_000, 8_000)
    wanted = [_FIRST, _FIRST + small, _FIRST + large]
    with Session(system, 180.0) as session:
        subscribers = session.worker(IdleSubscribers(session.address, wanted, SUBJECT, stages=wanted))
        # Each subscriber gets an event at each step, so that each connection has been used.
        publisher = session.worker(Publish(system, session.address, [SUBJECT], [Phase(1)] * 3))
        memory, threads = [], []
        for _ in wanted:
            subscribers.send("go")
            subscribers.answer(session.deadline)
            run_phases(session, [subscribers], [publisher], 1)
            memory.append(session.server.memory())
            threads.append(session.server.threads())
    return {
        "kib_each_1k": (memory[1] - memory[0]) / small / _KIB,
        "kib_each_8k": (memory[2] - memory[0]) / large / _KIB,
        "threads": float(threads[2]),
        "more_threads": float(threads[2] - threads[0]),
        "memory_first": memory[0] / _KIB / _KIB,
        "memory_last": memory[2] / _KIB / _KIB,
    }


def _healthy(system: str, quick: bool, frozen: bool) -> Figures:
    """The rate to ten subscribers, with or without a frozen one."""
    warm, count = (10, 500) if quick else (1_000, 20_000)
    healthy = 10
    with Session(system, 120.0) as session:
        listeners = [Listener([SUBJECT]) for _ in range(healthy)]
        stages = [warm * healthy, count * healthy]
        children = [session.worker(Listen(system, session.address, listeners, stages))]
        if frozen:
            slow = Listener([SUBJECT], options={"overflow": "drop-oldest", "backlog": 1_000})
            children.append(session.worker(Listen(system, session.address, [slow], [warm])))
        phases = [Phase(warm), Phase(count, STREAMED)]
        publisher = session.worker(Publish(system, session.address, [SUBJECT], phases))
        run_phases(session, children, [publisher], 1)
        for child in children[1:]:
            child.freeze()
        outcome = run_phases(session, children[:1], [publisher], 1)[0]
    return {"rate": outcome.rate(healthy * count), **outcome.cpu_figures(healthy * count)}


def measure_slow(system: str, quick: bool) -> Figures:
    without, beside = (_healthy(system, quick, frozen) for frozen in (False, True))
    return {
        "without": without["rate"],
        "with": beside["rate"],
        "kept": beside["rate"] / without["rate"],
        "cpu_service_without": without["cpu_service"],
        "cpu_service_with": beside["cpu_service"],
    }


_SIZES = (1, 10, 100, 1_000)
_BURST = 100


def measure_size(system: str, quick: bool) -> Figures:
    """The same events, always a hundred at a time for one subscriber, for more and more subscribers."""
    bursts = 50 if quick else 2_000
    figures: Figures = {}
    for size in _SIZES[: 2 if quick else None]:
        with Session(system, 120.0) as session:
            stages = [_BURST * size, _BURST * bursts]
            subscribers = session.worker(IdleSubscribers(session.address, [size], "", stages))
            subscribers.send("go")
            subscribers.answer(session.deadline)
            subjects = [f"POST.{number}" for number in range(size)]
            publisher = session.worker(Burst(session.address, subjects, _BURST, [size, bursts]))
            run_phases(session, [subscribers], [publisher], 1)
            before = session.server.cpu()
            publisher.send("go")
            sent = publisher.answer(session.deadline)
            taken = subscribers.answer(session.deadline)
            used = session.server.cpu() - before
        events = _BURST * bursts
        figures[f"cost_{size}"] = used / events * 1e6
        figures[f"rate_{size}"] = events / (taken["at"] - sent["start"])
        figures[f"batch_{size}"] = taken["events"] / taken["batches"]
    costs = [figures[f"cost_{size}"] for size in _SIZES if f"cost_{size}" in figures]
    figures["growth"] = max(costs) / costs[0] if costs[0] else float(not max(costs))
    return figures


SUBSCRIBERS = Case(
    "subscribers",
    "what a connected subscriber costs the service, 1,000 and 8,000 of them",
    (OURS,),
    (
        Metric("kib_each_1k", "memory for each of 1,000", "KiB", higher=False, digits=2),
        Metric("kib_each_8k", "memory for each of 8,000", "KiB", higher=False, digits=2),
        Metric("threads", "threads of the service", "threads", higher=False),
        Metric("more_threads", "of these, since the first subscribers", "threads", higher=False),
    ),
    measure_subscribers,
    (Goal("kib_each_1k", 5.0), Goal("kib_each_8k", 5.0), Goal("more_threads", 0.0)),
    cores=(JUDGED,),
)
SLOW = Case(
    "slow-subscriber",
    "pipelined to 10 subscribers, without and with a frozen one (drop-oldest) beside them",
    (OURS,),
    (
        Metric("without", "deliveries/s without it", "deliveries/s"),
        Metric("with", "deliveries/s with it", "deliveries/s"),
        Metric("kept", "with over without", "ratio", digits=3),
    ),
    measure_slow,
    (Goal("kept", 0.95),),
)
SIZE = Case(
    "size",
    "bursts of 100 events, to 1, 10, 100 and 1,000 subjects with a subscriber each",
    (OURS,),
    (
        *(
            Metric(f"cost_{size}", f"service cpu per delivery, {size:,} subjects", "µs", False, 2)
            for size in _SIZES
        ),
        *(Metric(f"rate_{size}", f"deliveries/s, {size:,} subjects", "deliveries/s") for size in _SIZES),
        *(Metric(f"batch_{size}", f"mean batch, {size:,} subjects", "events") for size in _SIZES),
        Metric("growth", "highest cost over that of 1 subject", "ratio", higher=False, digits=2),
    ),
    measure_size,
    (Goal("growth", 1.3),),
)
