"""Publishes in the background while signals arrive whose handlers raise and publish; prints the account.

    interrupted_instrument.py URI SECONDS POLICY

Prints `accepted N` for each event that `publish` has taken, `raised N` for each in whose middle a handler
raised, and at the end `statistics` and its figures, or one line with what was wrong.
"""

from __future__ import annotations

import gc
import random
import signal
import sys
import time
from types import FrameType
from typing import Any

from pyro_events import Publisher


class Own(Exception):
    """An exception of this program's."""


class Storm:
    """A timer whose signals interrupt the program, again and again."""

    def __init__(self, instrument: Any) -> None:
        self.instrument = instrument
        self.inside = False
        self.number = 0
        self.lines: list[str] = []
        self.random = random.Random(1)
        signal.signal(signal.SIGALRM, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        if not self.inside:
            return
        self.inside = False
        self.number += 1
        self.instrument.publish("storm", self.number)
        self.lines.append(f"accepted {self.number}")
        figures = self.instrument.statistics()
        if figures.waiting < 0:
            self.lines.append(f"wrong: {figures}")
        if self.random.random() < 0.5:
            raise Own

    def publish(self) -> None:
        """Publish one event, interrupted or not."""
        self.number += 1
        number = self.number
        if self.random.random() < 0.9:
            signal.setitimer(signal.ITIMER_REAL, self.random.uniform(0.000001, 0.00004))
        try:
            self.inside = True
            self.instrument.publish("storm", number)
            self.inside = False
        except Own:
            self.lines.append(f"raised {number}")
        else:
            self.lines.append(f"accepted {number}")


def main() -> None:
    gc.disable()  # Python drops what a handler raises while a finalizer runs
    uri, seconds, policy = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    with Publisher(es_uri=uri) as publisher:
        chosen: Any = policy
        with publisher.background(limit=50, overflow=chosen) as instrument:
            storm = Storm(instrument)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                storm.publish()
            signal.setitimer(signal.ITIMER_REAL, 0)
            if not instrument.flush(30):
                storm.lines.append("wrong: it does not end")
        figures = instrument.statistics()
    print("\n".join(storm.lines))
    lost = sum(figures.dropped.values())
    print("statistics", figures.accepted, figures.published, lost, figures.refused + figures.unknown)
    print("done", flush=True)


main()
