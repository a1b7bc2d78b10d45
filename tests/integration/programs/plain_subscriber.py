"""A program with a stock Pyro5 daemon and a plain exposed object that has an `event` method.

Usage: plain_subscriber.py URI SERIALIZER SUBJECT [--without-pyro-events]. Prints its events.
"""

import sys

import Pyro5
from Pyro5.api import Daemon, Proxy, expose

if "--without-pyro-events" not in sys.argv:
    import pyro_events  # noqa: F401  (so that Event is known here)


@expose
class Screen:
    """Shows what it is told, and fails where it is told so."""

    def event(self, event: object) -> None:
        if getattr(event, "msg", None) == "fail":
            raise RuntimeError("the screen is broken")
        print("event:", event, flush=True)


def main() -> None:
    uri, serializer, subject = sys.argv[1:4]
    Pyro5.config.SERIALIZER = serializer
    with Daemon(host="127.0.0.1") as daemon, Proxy(uri) as es:
        screen = Screen()
        daemon.register(screen, "the.screen")
        es.subscribe(subject, screen)
        print("ready", flush=True)
        daemon.requestLoop()


if __name__ == "__main__":
    main()
