"""A stock market: two exchanges that publish random quotes, until Ctrl-C.

Each quote is an event with the subject STOCKQUOTE.<symbol> and the price as its message.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Iterable
from decimal import Decimal

from Pyro5.errors import PyroError

from pyro_events import Publisher

NEW_YORK = "SUN", "IBM", "SAP", "HP"
AMSTERDAM = "ING", "KPN", "SHELL"


class Exchange(Publisher):
    """An exchange and the stocks that are traded there."""

    def __init__(self, symbols: Iterable[str], es_uri: str | None = None) -> None:
        super().__init__(es_uri=es_uri)
        self.prices = {symbol: Decimal(random.randint(1000, 9000)) / 100 for symbol in symbols}

    def trade(self) -> None:
        """Move the price of one stock a little, and publish it."""
        symbol = random.choice(list(self.prices))
        price = self.prices[symbol] + Decimal(random.randint(-50, 50)) / 100
        self.prices[symbol] = max(price, Decimal("0.01"))
        self.publish("STOCKQUOTE." + symbol, self.prices[symbol])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two quotes")
    options = parser.parse_args()

    quotes = 0
    end = time.monotonic() + options.seconds
    with Exchange(NEW_YORK, options.es_uri) as new_york, Exchange(AMSTERDAM, options.es_uri) as amsterdam:
        print("The market is open:", *new_york.prices, *amsterdam.prices, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while time.monotonic() < end:
                random.choice([new_york, amsterdam]).trade()
                quotes += 1
                time.sleep(options.pause)
    print("The market is closed;", quotes, "quotes", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
