"""Shows the camera's latest picture, however long it takes to draw one, and prints how old it is."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

from Pyro5.errors import PyroError

from pyro_events import Event, Subscriber


class Display(Subscriber):
    """Takes `pause` seconds to draw a frame; stops after `count` frames (None: never)."""

    def __init__(self, es_uri: str | None = None, pause: float = 0.2, count: int | None = None) -> None:
        super().__init__(es_uri=es_uri)
        self.setThreading(False)  # one frame at a time
        self.pause, self.left = pause, count
        self.subscribe("CAMERA.1", overflow="latest")

    def event(self, event: Event) -> None:
        lag = time.time() - event.time  # from when the service accepted the frame until now
        number, frame = event.msg
        skipped = "?" if event.missed is None else event.missed
        size = "x".join(map(str, frame.shape))
        print(f"display: frame {number}, {size}, lag {1000 * lag:.0f} ms, {skipped} skipped", flush=True)
        time.sleep(self.pause)  # instead of drawing it
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.abort()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds for a frame (default: %(default)s)")
    parser.add_argument("--count", type=int, help="stop after this number of frames")
    options = parser.parse_args()

    with (
        Display(options.es_uri, options.pause, options.count) as display,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print("display: ready", flush=True)
        display.listen()


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
