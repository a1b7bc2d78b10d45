"""Prints the quotes whose subject matches a pattern: those of symbols with an S, if none is given."""

from __future__ import annotations

import argparse
import contextlib
import sys

from client import Ticker
from Pyro5.errors import PyroError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default=r"^STOCKQUOTE\.S.*$", help="default: %(default)s")
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--count", type=int, help="stop after this number of quotes")
    options = parser.parse_args()

    with Ticker(options.es_uri, options.count) as ticker, contextlib.suppress(KeyboardInterrupt):
        ticker.subscribeMatch(options.pattern)
        print("Listening for", options.pattern, flush=True)
        ticker.listen()


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
