"""A laboratory: publishes three readings as LAB.TEMPERATURE, LAB.PRESSURE and LAB.HUMIDITY, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time

from Pyro5.errors import PyroError

from pyro_events import Publisher

START = {"LAB.TEMPERATURE": 21.0, "LAB.PRESSURE": 1013.0, "LAB.HUMIDITY": 45.0}
STEP = {"LAB.TEMPERATURE": 0.1, "LAB.PRESSURE": 0.4, "LAB.HUMIDITY": 0.5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two readings of each")
    options = parser.parse_args()

    values = dict(START)
    end = time.monotonic() + options.seconds
    with Publisher(es_uri=options.es_uri) as laboratory, contextlib.suppress(KeyboardInterrupt):
        print("The laboratory is measuring", flush=True)
        while time.monotonic() < end:
            for subject, value in values.items():
                back = (START[subject] - value) / 50  # so that it stays near where it began
                values[subject] = value + back + random.gauss(0, STEP[subject])
                laboratory.publish(subject, round(values[subject], 2))
            time.sleep(options.pause)


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
