"""Service, market and ticker in one program, without a name server: everybody is given the address."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading

from client import Ticker
from market import NEW_YORK, Exchange
from Pyro5.errors import PyroError

from pyro_events import EventServiceStarter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20, help="stop after this number of quotes")
    options = parser.parse_args()

    with EventServiceStarter(port=0, use_ns=False) as es:
        print("The event service is", es.uri)
        with Exchange(NEW_YORK, es.uri) as exchange, Ticker(es.uri, options.count) as ticker:
            ticker.subscribeMatch(r"^STOCKQUOTE\.")
            closed = threading.Event()

            def trade() -> None:
                while not closed.wait(0.05):
                    exchange.trade()

            market = threading.Thread(target=trade)
            market.start()
            with contextlib.suppress(KeyboardInterrupt):
                ticker.listen()
            closed.set()
            market.join()


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError, OSError) as error:  # OSError: a service of our own must listen
        sys.exit(f"{error}")
