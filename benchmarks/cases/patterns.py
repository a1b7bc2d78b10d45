"""The cost of pattern subscriptions: when there are many, and while they are added.

Knows: which names each pattern matches. Must not know: how a system spells a pattern.

Each pattern matches all names with one beginning, which every system can do: a regular expression for
pyro_events, `MARKET.00001.*` for Redis, `MARKET.00001.>` for NATS, `MARKET/00001/#` for MQTT. All events
match only the first pattern, so the number of deliveries is the same for any number of patterns.
"""

from __future__ import annotations

import time

from ..children.processes import Child
from ..children.tasks import AddPatterns, Listen, Listener, Phase, Publish, Watch
from ..session import Session, exchange
from ..systems import OURS, OURS_COMPILED
from .base import Case, Figures, Goal, Metric

_PER_SUBSCRIBER = 500  # pyro_events limits the patterns of one subscriber
_SUBJECTS = 500


def _prefixes(count: int, market: str = "MARKET") -> list[str]:
    return [f"{market}.{number:05}." for number in range(count)]


def _listeners(count: int) -> list[Listener]:
    prefixes = _prefixes(count)
    return [
        Listener(prefixes=prefixes[first : first + _PER_SUBSCRIBER])
        for first in range(0, count, _PER_SUBSCRIBER)
    ]


def measure_patterns(system: str, quick: bool) -> Figures:
    counts = (1, 100, 1_000) if quick else (1, 1_000, 10_000)
    warm, events = (50, 100) if quick else (1_000, 4_000)
    figures: Figures = {}
    for label, count in zip(("1", "1k", "10k"), counts, strict=True):
        with Session(system, 120.0) as session:
            listen = Listen(system, session.address, _listeners(count), [warm, events, events])
            subjects = [f"MARKET.00000.S{number}" for number in range(_SUBJECTS)]
            phases = [Phase(warm), Phase(events), Phase(events, fresh=True)]
            publish = Publish(system, session.address, subjects, phases)
            _, recurring, new = exchange(session, [listen], [publish])
        figures[f"recurring_{label}"] = recurring.rate(events)
        figures[f"new_{label}"] = new.rate(events)
        figures |= {f"{who}_recurring_{label}": c for who, c in recurring.cpu_figures(events).items()}
        figures |= {f"{who}_new_{label}": c for who, c in new.cpu_figures(events).items()}
    figures["kept_recurring"] = figures["recurring_10k"] / figures["recurring_1"]
    figures["kept_new"] = figures["new_10k"] / figures["new_1"]
    return figures


def measure_new_patterns(system: str, quick: bool) -> Figures:
    """How long single publishes take: for a while without, and then while patterns are added."""
    count = 200 if quick else 10_000
    with Session(system, 180.0) as session:
        listen = Listen(system, session.address, [Listener(prefixes=_prefixes(1))], [])
        session.worker(listen)
        adder = session.worker(
            AddPatterns(system, session.address, _prefixes(count, "OTHER"), _PER_SUBSCRIBER)
        )
        watch = session.worker(Watch(system, session.address, _prefixes(1)[0]))
        alone = _watched(session, watch, adder=None)
        busy = _watched(session, watch, adder)
    return {
        "longest": busy["longest"] * 1e3,
        "p99": busy["p99"] * 1e3,
        "longest_alone": alone["longest"] * 1e3,
        "rate": busy["published"] / busy["seconds"],
        "rate_alone": alone["published"] / alone["seconds"],
        "added_per_second": busy["added"] / busy["adding"],
    }


def _watched(session: Session, watch: Child, adder: Child | None) -> dict[str, float]:
    """Let the publisher run while patterns are added; without an adder, for a second."""
    watch.send("go")
    added = {"added": 0.0, "seconds": 0.0}
    if adder is None:
        time.sleep(1.0)
    else:
        adder.send("go")
        added = adder.answer(session.deadline)
    watch.send("stop")
    found = watch.answer(session.deadline)
    return {**found, "added": added["added"], "adding": added["seconds"]}


_RATES = tuple(
    Metric(f"{kind}_{label}", f"{text}, {count}", "events/s")
    for kind, text in (("recurring", "500 recurring subjects"), ("new", "a new subject each time"))
    for label, count in (("1", "1 pattern"), ("1k", "1,000 patterns"), ("10k", "10,000 patterns"))
)

PATTERNS = Case(
    "patterns",
    "acknowledged publish with 1, 1,000 and 10,000 pattern subscriptions",
    (OURS, OURS_COMPILED, "redis", "nats", "mqtt"),
    (
        *_RATES,
        Metric("kept_recurring", "rate at 10,000 over rate at 1, recurring", "ratio", digits=2),
        Metric("kept_new", "rate at 10,000 over rate at 1, new", "ratio", digits=2),
    ),
    measure_patterns,
    (Goal("kept_recurring", 0.9), Goal("kept_new", 0.6)),
)
NEW_PATTERNS = Case(
    "new-patterns",
    "adding 10,000 patterns one by one while publishing, a new subject each time",
    (OURS, OURS_COMPILED, "redis"),
    (
        Metric("longest", "longest publish", "ms", higher=False, digits=1),
        Metric("longest_alone", "the same before", "ms", higher=False, digits=1),
        Metric("p99", "99th percentile", "ms", higher=False, digits=2),
        Metric("added_per_second", "patterns added per second", "patterns/s"),
    ),
    measure_new_patterns,
    (Goal("longest", 50.0),),
)
