"""Counts cars in one direction after the other, and ends when it has counted enough in all of them."""

from __future__ import annotations

import argparse
import contextlib
import sys

from producer import DIRECTIONS
from Pyro5.errors import PyroError

from pyro_events import Event, Subscriber


class Counter(Subscriber):
    """Watches a direction until `count` cars have passed, then turns to the next."""

    def __init__(self, count: int, es_uri: str | None = None) -> None:
        super().__init__(es_uri=es_uri)
        self.setThreading(False)  # one car at a time, because we count
        self.count = count
        self.seen = 0
        self.directions = iter(DIRECTIONS)
        self.watch(next(self.directions))

    def watch(self, direction: str) -> None:
        """Start counting the cars that go that way."""
        self.watching = "CARS." + direction
        self.seen = 0
        self.subscribe(self.watching)
        print("Looking", direction.lower(), flush=True)

    def event(self, event: Event) -> None:
        if event.subject != self.watching:
            return  # it passed before we turned our head
        self.seen += 1
        print(f"  {self.seen}: a {event.msg} car", flush=True)
        if self.seen < self.count:
            return
        self.unsubscribe(self.watching)
        direction = next(self.directions, None)
        if direction is None:
            self.abort()
        else:
            self.watch(direction)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--count", type=int, default=5, help="cars to count in each direction")
    options = parser.parse_args()

    with Counter(options.count, options.es_uri) as counter, contextlib.suppress(KeyboardInterrupt):
        counter.listen()
    print("Done.", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
