"""What must hold after every fault, as lists of violations: an empty list is good.

Knows: the reports of publishers and listeners, the service's statistics(), and resources. Must not know:
which fault it was.

I1 every event is accounted for; I2 nothing twice, each publisher's order kept; I3 threads, descriptors and
memory return to what they were; I4 healthy subscribers lose nothing and are not late; I5 a publisher whose
subscribers are healthy is never blocked; I6 no process fails with an unhandled exception.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

Report = Mapping[str, Any]

_UNHANDLED: Final = re.compile(
    r"Traceback|Exception ignored|exception was never retrieved|Exception in thread|Task was destroyed"
)
# A busy machine is not a fault: a healthy subscriber may be this late, in seconds, however early it was
# before.
LATENESS: Final = 0.25
# One acknowledgement may take this long; a blocked publisher waits as long as the fault lasts.
HELD_UP: Final = 0.5
# Both may be longer if the machine itself runs programs late: an event passes through this many.
_PASSES: Final = 4
# How much the memory of a service may grow: caches, and memory that the allocator does not give back.
_MEMORY: Final = 16 * 1024


def accounting(statistics: Report) -> list[str]:
    """I1, for each subscriber and in total."""
    found = []
    lost = sum(statistics["lost"].values())
    if statistics["accepted"] != statistics["delivered"] + lost + statistics["waiting"]:
        found.append(f"I1: the totals do not add up: {dict(statistics) | {'subscribers': '...'}}")
    for one in statistics["subscribers"]:
        waiting = one["backlog"] + one["unacknowledged"]
        if one["accepted"] != one["delivered"] + sum(one["lost"].values()) + waiting:
            found.append(f"I1: the account of {one['subscriber']} does not add up: {one}")
    return found


def order(name: str, listener: Report) -> list[str]:
    """I2, and that every gap in `seq` is announced (C18)."""
    return [
        f"I2: {name} saw {what}: {listener[what]}"
        for what in ("duplicates", "disorder", "silent")
        if listener[what]
    ]


def resources(before: Mapping[str, int], after: Mapping[str, int], memory: int = _MEMORY) -> list[str]:
    """I3. memory: how much it may grow, in KiB."""
    found = [
        f"I3: {what} went from {before[what]} to {after[what]}"
        for what in ("threads", "descriptors")
        if after[what] > before[what]
    ]
    if after["memory"] > before["memory"] + memory:
        found.append(f"I3: memory went from {before['memory']} to {after['memory']} KiB")
    return found


def unharmed(publisher: Report, listener: Report) -> list[str]:
    """The part of I4 that holds even if publishers are blocked: nothing is lost."""
    found = []
    if listener["received"] != publisher["acknowledged"]:
        found.append(f"I4: {publisher['acknowledged']} acknowledged, {listener['received']} received")
    if publisher["unknown"] or publisher["failed"]:
        found.append(f"I4: publishing failed: {publisher['errors']}")
    return found


def healthy(usual: Report, publisher: Report, listener: Report) -> list[str]:
    """I4 and I5. usual: the listener's report from before the fault."""
    found = unharmed(publisher, listener)
    noise = _PASSES * publisher["noise"]
    if listener["p99"] > max(2 * usual["p99"], LATENESS) + noise:
        found.append(f"I4: late: {listener['p99']:.3f} s, usually {usual['p99']:.3f} s (99th percentile)")
    return found + held_up(publisher)


def held_up(publisher: Report) -> list[str]:
    """I5."""
    longest = max(publisher["longest"], publisher["waiting"])
    if longest > HELD_UP + _PASSES * publisher["noise"]:
        return [f"I5: an acknowledgement took {longest:.3f} s, the machine {publisher['noise']:.3f} s"]
    return []


def handled(name: str, complaints: str) -> list[str]:
    """I6, from what a process has printed."""
    match = _UNHANDLED.search(complaints)
    return [f"I6: {name}: {complaints[max(0, match.start() - 300) :][:1500]}"] if match else []


def promises(statistics: Report, publishers: list[Report]) -> list[str]:
    """I1, compared with the publishers' accounts: the deliveries that they were told of were accepted."""
    promised = sum(publisher["promised"] for publisher in publishers)
    unknown = sum(publisher["unknown"] for publisher in publishers)
    accepted = statistics["accepted"]
    # A publish counts only what was queued: an event that was dropped at once was accepted, numbered and
    # lost.
    dropped = sum(statistics["lost"].get(reason, 0) for reason in ("drop-newest", "disconnect"))
    if promised <= accepted <= promised + unknown + dropped:
        return []
    return [f"I1: publishers were promised {promised} deliveries, the service has accepted {accepted}"]
