"""A subscriber of its own: prints each event as `seq subject repr(message)`.

Usage: listener.py [--es-uri URI] [--pattern] [--without-threading] [--pause SECONDS] SUBJECT...
Prints "ready" when it has subscribed, and "listening ended" when `listen` has returned: an event with
the message "stop" aborts it.
"""

import argparse
import signal
import sys
import threading
import time

from pyro_events import Event, Subscriber


class Listener(Subscriber):
    """Prints what it gets."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(es_uri=options.es_uri)
        if options.without_threading:
            self.setThreading(False)
        self.pause = options.pause
        self.printing = threading.Lock()
        (self.subscribeMatch if options.pattern else self.subscribe)(options.subjects)

    def event(self, event: Event) -> None:
        if event.msg == "stop":
            self.abort()
            return
        time.sleep(self.pause)
        with self.printing:
            print(event.seq, event.subject, repr(event.msg), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--es-uri")
    parser.add_argument("--pattern", action="store_true")
    parser.add_argument("--without-threading", action="store_true")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("subjects", nargs="+")
    options = parser.parse_args()
    with Listener(options) as listener:
        signal.signal(signal.SIGTERM, lambda *_: listener.abort())
        print("ready", flush=True)
        listener.listen()
    print("listening ended", flush=True)


if __name__ == "__main__":
    sys.exit(main())
