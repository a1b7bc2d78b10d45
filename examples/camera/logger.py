"""Takes every picture of the camera and says once a second how many came, and whether any was lost."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

from Pyro5.errors import PyroError

from pyro_events import Event, Subscriber


class Logger(Subscriber):
    """Counts frames and bytes; stops after `count` frames (None: never)."""

    def __init__(self, es_uri: str | None = None, count: int | None = None) -> None:
        super().__init__(es_uri=es_uri)
        self.setThreading(False)  # one frame at a time, because we count
        self.count = count
        self.frames = self.bytes = self.lost = 0
        self.next_seq = 1
        self.next_report = time.monotonic() + 1
        # A full backlog makes the camera wait. 50 frames are enough for the pauses of a disk.
        self.subscribe("CAMERA.1", overflow="block", backlog=50)

    def on_reconnect(self, reason: str) -> None:
        print("logger: some frames may be missing:", reason, flush=True)

    def event(self, event: Event) -> None:
        if event.missed is None:  # the first event after a reconnection: nobody knows how many are missing
            self.next_seq = event.seq
        self.lost += event.seq - self.next_seq
        self.next_seq = event.seq + 1
        _number, frame = event.msg
        self.frames += 1
        self.bytes += frame.nbytes
        if time.monotonic() >= self.next_report:
            self.next_report = time.monotonic() + 1
            self.report()
        if self.frames == self.count:
            self.abort()

    def report(self) -> None:
        """Print what has come so far."""
        print(f"logger: {self.frames} frames, {self.bytes // 2**20} MB, {self.lost} lost", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--count", type=int, help="stop after this number of frames")
    options = parser.parse_args()

    with Logger(options.es_uri, options.count) as logger, contextlib.suppress(KeyboardInterrupt):
        print("logger: ready", flush=True)
        logger.listen()
    logger.report()


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
