"""Shows the values of channels of the oscilloscope, until Ctrl-C or for a number of values."""

from __future__ import annotations

import argparse
import contextlib
import sys

from Pyro5.errors import PyroError

from pyro_events import EventStream


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="*", default=["SCOPE.1"], help="default: SCOPE.1")
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--count", type=int, help="stop after this number of values")
    options = parser.parse_args()

    left = options.count
    with (
        EventStream(options.subjects, es_uri=options.es_uri, overflow="latest", name="screen") as values,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print("screen: looking", flush=True)
        while left != 0:
            event = values.get()
            print(f"screen: {event.subject} = {event.msg:+.3f}", flush=True)
            left = left and left - 1


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
