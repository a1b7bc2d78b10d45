"""A camera: publishes pictures, numpy arrays of 1 MB, as CAMERA.1, 30 a second, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

import numpy
from Pyro5.errors import PyroError

from pyro_events import Publisher

SIDE = 1024  # pixels, of one byte each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--rate", type=float, default=30, help="frames a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    options = parser.parse_args()

    scene = numpy.add.outer(numpy.arange(SIDE), numpy.arange(SIDE)).astype(numpy.uint8)
    number = late = 0
    with Publisher(es_uri=options.es_uri) as camera, contextlib.suppress(KeyboardInterrupt):
        print("The camera is on", flush=True)
        start = due = time.monotonic()
        while due - start < options.seconds:
            number += 1
            frame = numpy.roll(scene, number, axis=1)
            camera.publish("CAMERA.1", (number, frame))
            due += 1 / options.rate
            wait = due - time.monotonic()
            if wait < 0:  # a subscriber that must not lose anything is too slow, or this machine is
                late += 1
                due -= wait
            else:
                time.sleep(wait)
    seconds = max(time.monotonic() - start, 0.001)
    print(f"The camera is off; {number} frames, {number / seconds:.1f} a second, {late} late", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
