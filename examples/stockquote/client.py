"""Prints the quotes of the stocks named on the command line, or asks for their symbols."""

from __future__ import annotations

import argparse
import contextlib
import sys

from Pyro5.errors import PyroError

from pyro_events import Event, Subscriber


class Ticker(Subscriber):
    """Prints every event, and stops after `count` of them (None: never)."""

    def __init__(self, es_uri: str | None = None, count: int | None = None) -> None:
        super().__init__(es_uri=es_uri)
        self.setThreading(False)  # one event at a time, because we count
        self.left = count

    def event(self, event: Event) -> None:
        print(event.subject, "=", event.msg, flush=True)
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.abort()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("symbols", nargs="*", help="stock symbols, for example SUN IBM")
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--count", type=int, help="stop after this number of quotes")
    options = parser.parse_args()

    symbols = options.symbols or input("Symbols, for instance SUN IBM: ").split()
    with Ticker(options.es_uri, options.count) as ticker, contextlib.suppress(KeyboardInterrupt):
        ticker.subscribe("STOCKQUOTE." + symbol for symbol in symbols)
        print("Listening for", *symbols, flush=True)
        ticker.listen()


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError, EOFError) as error:
        sys.exit(f"{error}")
