"""A member of the group "workers": prints each job as `seq missed repr(message)` when it has taken it.

Usage: member.py --es-uri URI [--ahead N] [--way callback|own|stream] [--pause SECONDS] SUBJECT...
Prints "ready" when it has subscribed. It ends when it is killed.
"""

import argparse
import sys
import time

from pyro_events import Event, EventStream, Subscriber


def show(event: Event, pause: float) -> None:
    print(event.seq, event.missed, repr(event.msg), flush=True)
    time.sleep(pause)


class Member(Subscriber):
    """Takes jobs as a subscriber, one after the other."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(es_uri=options.es_uri, callback=options.way == "callback")
        self.setThreading(False)
        self.pause = options.pause
        self.subscribe(options.subjects, group="workers", ahead=options.ahead)

    def event(self, event: Event) -> None:
        show(event, self.pause)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--es-uri")
    parser.add_argument("--ahead", type=int)
    parser.add_argument("--way", choices=["callback", "own", "stream"], default="callback")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("subjects", nargs="+")
    options = parser.parse_args()
    if options.way == "stream":
        with EventStream(
            options.subjects, es_uri=options.es_uri, group="workers", ahead=options.ahead
        ) as events:
            print("ready", flush=True)
            for event in events:
                show(event, options.pause)
    else:
        with Member(options) as member:
            print("ready", flush=True)
            member.listen()


if __name__ == "__main__":
    sys.exit(main())
