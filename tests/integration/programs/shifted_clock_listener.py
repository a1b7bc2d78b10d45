"""A publisher and a listener in a process whose clock is wrong.

Usage: shifted_clock_listener.py URI SECONDS MAX_AGE KIND, where KIND is "callback" or "stream". Prints
"ready", then publishes the numbers 0 to 9 on A, prints each event of A as `missed message`, whoever has
published it, and ends after the message "stop".
"""

import sys
import time

true_time = time.time
shift = float(sys.argv[2])
time.time = lambda: true_time() + shift

from pyro_events import Event, EventStream, Publisher, Subscriber  # noqa: E402


class Listener(Subscriber):
    """Prints what it gets."""

    def event(self, event: Event) -> None:
        print(event.missed, event.msg, flush=True)
        if event.msg == "stop":
            self.abort()


def main() -> None:
    uri, max_age = sys.argv[1], float(sys.argv[3])
    stream = listener = None
    if sys.argv[4] == "stream":
        stream = EventStream("A", es_uri=uri, max_age=max_age)
    else:
        listener = Listener(es_uri=uri)
        listener.setThreading(False)
        listener.subscribe("A", max_age=max_age)
    print("ready", flush=True)
    with Publisher(es_uri=uri) as publisher:
        for number in range(10):
            publisher.publish("A", number)
    if listener is not None:
        listener.listen()
        listener.close()
    elif stream is not None:
        for event in stream:
            print(event.missed, event.msg, flush=True)
            if event.msg == "stop":
                stream.close()


if __name__ == "__main__":
    main()
