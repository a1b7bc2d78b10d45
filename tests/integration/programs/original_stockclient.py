"""The original's stock client as its manual describes it: only the imports and print() are new.

Usage: original_stockclient.py SYMBOLS [PATTERN].
"""

import sys

from pyro_events import Subscriber


class StockSubscriber(Subscriber):
    def __init__(self, symbols, pattern):
        Subscriber.__init__(self)
        symbols = map(lambda symbol: "STOCKQUOTE." + symbol, symbols)
        self.subscribe(symbols)
        if pattern:
            self.subscribeMatch(pattern)

    def event(self, event):
        print(event.subject, "=", event.msg, flush=True)


symbols = [symbol.strip() for symbol in sys.argv[1].split(",")]
client = StockSubscriber(symbols, sys.argv[2] if len(sys.argv) > 2 else None)
print("Ready, listening.", flush=True)
client.listen()
