"""A crossing: publishes each car that passes, as CARS.<direction>, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time

from Pyro5.errors import PyroError

from pyro_events import Publisher

DIRECTIONS = "NORTH", "EAST", "SOUTH", "WEST"
COLOURS = "red", "blue", "green", "white", "black"


class Crossing(Publisher):
    """Cars come from anywhere and go anywhere."""

    def car(self) -> None:
        """Publish one car: where it goes is the subject, its colour the message."""
        self.publish("CARS." + random.choice(DIRECTIONS), random.choice(COLOURS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two cars")
    options = parser.parse_args()

    end = time.monotonic() + options.seconds
    with Crossing(es_uri=options.es_uri) as crossing, contextlib.suppress(KeyboardInterrupt):
        print("Cars are passing", flush=True)
        while time.monotonic() < end:
            crossing.car()
            time.sleep(options.pause)


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
