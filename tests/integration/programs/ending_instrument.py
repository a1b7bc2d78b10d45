"""Publishes in the background and ends without closing anything; also by functions that run at the end.

ending_instrument.py URI
"""

from __future__ import annotations

import atexit
import sys

from pyro_events import Publisher


class Late:
    """Publishes when the interpreter takes it away."""

    def __del__(self) -> None:
        instrument.publish("end", "too late to arrive")


publisher = Publisher(es_uri=sys.argv[1])
instrument = publisher.background()
atexit.register(lambda: instrument.publish("end", "at exit"))
late = Late()
instrument.publish("end", "before")
