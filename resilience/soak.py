"""The soak test: mixed load and mixed faults for as long as you like, and then a check of all accounts.

Knows: which faults a service must survive without a restart. Must not know: how a fault is made
(fault_injection.py does).

There is a calm pair, which must not notice anything, a subscriber with each overflow policy, and streams of
both kinds with some of them; each has its own bad network. About every second there is a fault, chosen by the
seed. The service is never restarted, so its statistics must be exact from the first event to the last.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from . import invariants
from .fault_injection import FAULTS, Scene
from .member import Member
from .processes import Actor, Cast, end_in_order, until
from .servers import Ours

# Shorter than the defaults, so that every minute has many of each.
OPTIONS: Final = {"heartbeat": 2.0, "heartbeat_answer": 1.0, "delivery_deadline": 3.0, "frame_timeout": 5.0}
POLICIES: Final[tuple[dict[str, Any], ...]] = (
    {"overflow": "block", "backlog": 500},
    {"overflow": "drop-oldest", "backlog": 100},
    {"overflow": "drop-newest", "backlog_bytes": 20_000},
    {"overflow": "latest", "backlog": 50},
    {"overflow": "disconnect", "backlog": 300},
)
# A stream judges by silence alone, and the service's heartbeat comes every two seconds.
STREAM: Final = {"listener": "stream", "silence": 3.0}
ASYNCIO: Final = {"listener": "asyncio"}
LISTENERS: Final[tuple[dict[str, Any], ...]] = (
    *POLICIES,
    *({**POLICIES[at], **STREAM} for at in (0, 3)),
    *({**POLICIES[at], **ASYNCIO} for at in (0, 1)),
)
# Publishes a second: of the calm publisher, and of each one that publishes to an affected subscriber.
RATE: Final = 100
PAUSE: Final = 1.0  # between two faults, at most
# How much memory may grow, in KiB, for each million events (I3), and how much the allocator may keep.
GROWTH: Final = 1024
KEPT: Final = 16 * 1024


class Soak:
    """One soak test, from a seed."""

    def __init__(self, cast: Cast, folder: Path, seed: int) -> None:
        self.cast = cast
        self.chance = random.Random(seed)
        self.server = Ours(cast, folder, dict(OPTIONS))
        self.faults: dict[str, int] = {}
        self.diary: list[tuple[float, float, str]] = []
        self.found: list[str] = []
        self.members = [
            Member(
                cast,
                self.server,
                "ours",
                f"storm-{at}",
                seed=seed + at,
                proxied=True,
                subscribe_options=subscribe_options,
            )
            for at, subscribe_options in enumerate(LISTENERS)
        ]

    def begin(self) -> None:
        """Start all processes, and let the service warm up."""
        self.server.start()
        audience = Member(self.cast, self.server, "ours", "calm")
        audience.start()
        self.calm = audience.actor
        self.publishers = [
            self._start_publisher("calm"),
            *[self._start_publisher(member.subject) for member in self.members],
        ]
        for member in self.members:
            member.start()
        for publisher in self.publishers:
            publisher.ready()
            publisher.ask("start")
        until(lambda: self.calm.ask("report")["received"] > RATE, 30, "the first events")
        self.usual = self.calm.ask("report")
        self.publishers[0].ask("forget_times")
        self.scene = Scene(self.cast, self.server, self.members, self.chance)

    def _start_publisher(self, subject: str) -> Actor:
        arguments = ["ours", self.server.address, subject, str(RATE), subject]
        return self.cast.python(
            "-m", "resilience.programs.publisher", *arguments, name=f"the publisher about {subject}"
        )

    def inject_fault(self) -> None:
        """One fault, from its beginning to its end."""
        name = self.chance.choice(sorted(FAULTS))
        self.faults[name] = self.faults.get(name, 0) + 1
        begun = time.monotonic()
        FAULTS[name](self.scene)
        self.diary.append((begun, time.monotonic(), name))
        self.scene.wait(self.chance.uniform(0, PAUSE))

    def look(self, when: str) -> dict[str, Any]:
        """Print the state of the service, and check its statistics."""
        resources, statistics = self.server.actor.resources(), self.server.statistics()
        lost = ", ".join(f"{count} {reason}" for reason, count in sorted(statistics["lost"].items()))
        print(
            f"{when:>8}: {resources['memory'] / 1024:.1f} MiB, {resources['threads']} threads, "
            f"{resources['descriptors']} descriptors, {statistics['connections']} clients; "
            f"{statistics['accepted']} accepted = {statistics['delivered']} delivered + "
            f"{sum(statistics['lost'].values())} lost ({lost or 'none'}) + {statistics['waiting']} waiting",
            flush=True,
        )
        return {**resources, **statistics}

    def end(self) -> None:
        """Restore all connections: every subscriber must come back, and then the final accounts are
        checked."""
        self.scene.repair()
        since = time.monotonic()
        for member in self.members:
            try:
                until(lambda one=member: one.actor.ask("fresh", sent_after=since), 30, "an event")  # type: ignore[misc]
            except TimeoutError:
                self.found.append(f"C27: {member.subject} did not come back")
        talked = [publisher.ask("stop") for publisher in self.publishers]
        until(lambda: not self.server.statistics()["waiting"], 30, "all events to be delivered")
        heard = self.calm.ask("report")
        self.found += invariants.healthy(self.usual, talked[0], heard)
        self.found += invariants.order("the calm listener", heard)
        for member in self.members:
            self.found += invariants.order(member.subject, member.report())
        self.found += invariants.promises(self.server.statistics(), [*talked, self.scene.published()])
        for actor in self.cast.actors:
            self.found += invariants.handled(actor.name, actor.complaints)
        print(
            f"the calm pair: {talked[0]['acknowledged']} acknowledged, {heard['received']} received, "
            f"99th percentile {1000 * heard['p99']:.1f} ms, longest acknowledgement "
            f"{1000 * talked[0]['longest']:.1f} ms, {self._during(talked[0]['longest_at'])} (the machine "
            f"itself was late by {1000 * talked[0]['noise']:.1f} ms)"
        )

    def _during(self, moment: float) -> str:
        """Which fault was in progress."""
        names = [name for begun, ended, name in self.diary if begun <= moment <= ended]
        return f"during {names[0]}" if names else "between two faults"

    def compare(self, first: dict[str, Any], last: dict[str, Any]) -> None:
        """I3: threads and descriptors are as before, memory has grown by next to nothing."""
        most = KEPT + int(GROWTH * (last["accepted"] - first["accepted"]) / 1e6)

        def found() -> list[str]:
            return invariants.resources(first, self.server.actor.resources(), most)

        with contextlib.suppress(TimeoutError):
            until(lambda: not found(), 5, "threads and descriptors to come back")
        self.found += found()

    def close(self) -> None:
        for member in self.members:
            for proxy in member.proxies:
                proxy.calm()
        self.cast.close()
        for member in self.members:
            member.close()


def run(minutes: float, seed: int) -> list[str]:
    """Run for so long. Returns the violations."""
    print(f"seed {seed}, {minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder, Cast() as cast:
        soak = Soak(cast, Path(folder), seed)
        try:
            soak.begin()
            begun = time.monotonic()
            first, minute = soak.look("start"), 1
            while (now := time.monotonic() - begun) < 60 * minutes:
                if now >= 60 * minute:
                    soak.look(f"{minute} min")
                    minute += 1
                soak.inject_fault()
            soak.end()
            soak.compare(first, soak.look("end"))
        finally:
            soak.close()
    print("faults:", ", ".join(f"{count} x {name}" for name, count in sorted(soak.faults.items())))
    return soak.server.wrong + soak.found


def main() -> None:
    end_in_order()
    parser = argparse.ArgumentParser(prog="scripts/soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="duration (default: %(default)g)")
    parser.add_argument(
        "--seed",
        type=int,
        default=None,
        help="seed of the faults, to repeat them; without it a new one is chosen and printed",
    )
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    found = run(options.minutes, seed)
    for line in found:
        print(line)
    print(f"{len(found)} things are wrong (seed {seed})" if found else "All is well.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
