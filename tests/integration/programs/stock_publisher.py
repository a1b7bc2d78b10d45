"""A program that knows Pyro5 and nothing of pyro_events: publishes one value, read from its arguments.

Usage: stock_publisher.py URI SERIALIZER SUBJECT EXPRESSION. Prints the answer.
"""

import datetime  # noqa: F401  (for the expression)
import decimal  # noqa: F401
import sys

import Pyro5
from Pyro5.api import Proxy, register_class_to_dict


class Quote:
    """A class of the program's own."""

    def __init__(self, name: str, price: float) -> None:
        self.name = name
        self.price = price


def main() -> None:
    uri, serializer, subject, expression = sys.argv[1:]
    register_class_to_dict(
        Quote, lambda quote: {"__class__": "tests.Quote", "name": quote.name, "price": quote.price}
    )
    Pyro5.config.SERIALIZER = serializer
    with Proxy(uri) as es:
        print("answer:", es.publish(subject, eval(expression)))
    assert "pyro_events" not in sys.modules


if __name__ == "__main__":
    main()
