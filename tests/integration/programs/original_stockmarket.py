"""The original's stock market as its manual describes it: only the imports and print() are new.

Usage: original_stockmarket.py COUNT.
"""

import random
import sys

from Pyro5.errors import CommunicationError, NamingError

from pyro_events import Publisher


class StockMarket(Publisher):
    def __init__(self, symbols):
        Publisher.__init__(self)
        self.symbols = symbols

    def publish_quotes(self):
        for symbol in self.symbols:
            price = round(random.random() * 100, 2)
            self.publish("STOCKQUOTE." + symbol, (symbol, price))


def main():
    try:
        market1 = StockMarket(["IBM", "SUN", "SAP"])
        market2 = StockMarket(["ING", "KPN", "SHELL"])
    except NamingError:
        print("Cannot find the Name Server or the Event Service")
        raise SystemExit(3) from None
    except CommunicationError:
        print("Cannot connect to the Event Service")
        raise SystemExit(4) from None
    print("Publishing quotes.")
    for _ in range(int(sys.argv[1])):
        random.choice([market1, market2]).publish_quotes()
    print("Done.")


main()
