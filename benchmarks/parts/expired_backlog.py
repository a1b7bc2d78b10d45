"""How long a backlog of expired events takes to be passed over, and for how long the loop does nothing else.

    python -m benchmarks.parts.expired_backlog [--events N] [--rounds N]

A backlog with `max_age` is filled; then all but its last event have expired, and the service is about to
send. For each kind of events it prints, in milliseconds, the time until that last event can be sent, and the
longest time for which another task on the same loop had to wait: median and largest of the rounds.

Knows: a backlog, and what drops expired events at the service. Must not know: how events are sent.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Sequence

from pyro_events.broker.accounting import TotalBytes, base_size, shares_of
from pyro_events.broker.backlog import Backlog
from pyro_events.options import BacklogOptions, Overflow
from pyro_events.server.limits.expiry import Expiry

EVENTS = 100_000
PAYLOAD = 40
# The policy, how many subscribers hold each event, and whether each has a subject of its own.
KINDS = {
    "one subscriber": (Overflow.BLOCK, 1, False),
    "shared by ten": (Overflow.BLOCK, 10, False),
    "drop-newest, with gaps": (Overflow.DROP_NEWEST, 1, False),
    "latest, each of its own subject": (Overflow.LATEST, 1, True),
}
OLD, YOUNG, MAX_AGE = 1000.0, 2000.0, 10.0


def filled(events: int, policy: Overflow, holders: int, own_subjects: bool) -> Backlog:
    """A backlog whose events are old, but for the last one."""
    most = 2 * events
    backlog = Backlog("PYRO:s@h:1", BacklogOptions(most, 1 << 40, policy, MAX_AGE), TotalBytes())
    for number in range(events):
        subject = f"STOCKQUOTE.{number}" if own_subjects else "STOCKQUOTE.SUN"
        payload = number.to_bytes(PAYLOAD, "big")
        stamp = YOUNG if number == events - 1 else OLD
        size = base_size(subject) + PAYLOAD
        backlog.push((subject, stamp, payload, size, shares_of(holders) if holders > 1 else None))
        if policy is Overflow.DROP_NEWEST and number % 10 == 0:  # as if it had been full for a moment
            backlog.offer((subject, stamp, payload, size, None), False)
    return backlog


async def passing(backlog: Backlog) -> tuple[float, float]:
    """Seconds until its last event can be sent, and the longest that another task had to wait."""
    done = asyncio.Event()
    expiry = Expiry(lambda: YOUNG, lambda backlog: None, lambda backlog: done.set())
    gaps: list[float] = []

    async def another() -> None:
        before = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0)
            now = time.perf_counter()
            gaps.append(now - before)
            before = now

    task = asyncio.ensure_future(another())
    await asyncio.sleep(0)
    begin = time.perf_counter()
    if not expiry.expire(backlog, 1000):
        await done.wait()
    taken = time.perf_counter() - begin
    done.set()
    await task
    assert len(backlog) == 1
    return taken, max(gaps)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    print(f"{options.events} events, milliseconds: passed over, and the longest wait of others")
    for name, kind in KINDS.items():
        rounds = []
        for _ in range(options.rounds):
            backlog = filled(options.events, *kind)
            gc.collect()
            rounds.append(asyncio.run(passing(backlog)))
        shown = [
            f"{1000 * statistics.median(times):7.1f} {1000 * max(times):7.1f}"
            for times in zip(*rounds, strict=True)
        ]
        print(f"{name:32} {'   '.join(shown)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
