"""An oscilloscope with two channels: measures and publishes a channel only while somebody looks at it."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import threading
import time

from Pyro5.errors import PyroError

from pyro_events import BackgroundPublisher, EventServiceError, Publisher

CHANNELS = "SCOPE.1", "SCOPE.2"


class Channel:
    """One channel, which is switched on and off. Measuring is expensive: a lamp burns, a pump runs."""

    def __init__(self, subject: str, output: BackgroundPublisher, pause: float) -> None:
        self.subject = subject
        self.output = output
        self.pause = pause
        self.on = threading.Event()
        threading.Thread(target=self.measure, daemon=True).start()

    def measure(self) -> None:
        with contextlib.suppress(EventServiceError):  # it is closed: the program ends
            while True:
                self.on.wait()
                self.output.publish(self.subject, math.sin(time.monotonic()))
                time.sleep(self.pause)


class Scope:
    """Switches its channels as it is told who looks."""

    def __init__(self, publisher: Publisher, output: BackgroundPublisher, pause: float) -> None:
        self.channels = {subject: Channel(subject, output, pause) for subject in CHANNELS}
        publisher.on_interest(*CHANNELS, call=self.switch)

    def switch(self, subject: str, listeners: int) -> None:
        channel = self.channels[subject]
        if listeners and not channel.on.is_set():
            channel.on.set()
            print(f"scope: {subject} on", flush=True)
        elif not listeners and channel.on.is_set():
            channel.on.clear()
            print(f"scope: {subject} off", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument(
        "--pause", type=float, default=0.5, help="seconds between values (default: %(default)s)"
    )
    options = parser.parse_args()

    with (
        Publisher(es_uri=options.es_uri, name="scope") as publisher,
        publisher.background(overflow="latest") as output,  # which never waits, also without a service
        contextlib.suppress(KeyboardInterrupt),
    ):
        print("scope: nobody looks", flush=True)
        Scope(publisher, output, options.pause)
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
