"""A subscriber that keeps a record: `-m resilience.programs.subscriber SYSTEM ADDRESS SUBJECT… [options]`.

Knows: what a fault may ask a handler to do. Must not know: how a system subscribes (clients/ does).
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from .. import clients
from .commands import obey, say
from .record import Record

_MISHAPS = (SystemExit, KeyboardInterrupt, ValueError)


class Handler:
    """What happens to an event: it is recorded, at the pace and with the failures that were asked for."""

    def __init__(self, record: Record, pause: float, mishaps: int) -> None:
        self._record = record
        self._pause = pause
        self._every = mishaps
        self._count = 0
        self.mishaps = 0

    def __call__(self, message: Any, seq: int = 0, missed: int | None = 0) -> None:
        name, number, sent, _ = message
        self._record.add(name, number, sent, seq, missed)
        self._count += 1
        if self._pause:
            time.sleep(self._pause)  # makes a slow reader
        if self._every and self._count % self._every == 0:
            self.mishaps += 1
            raise _MISHAPS[self.mishaps % len(_MISHAPS)]("oops")


def main() -> None:
    parser = argparse.ArgumentParser(prog="resilience.programs.subscriber")
    parser.add_argument("system")
    parser.add_argument("address")
    parser.add_argument("subjects", nargs="+")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds for each event")
    parser.add_argument("--mishaps", type=int, default=0, help="raise an exception at every Nth event")
    parser.add_argument("--options", type=json.loads, default={}, help="options for the system's subscriber")
    options = parser.parse_args()
    record = Record()
    handler = Handler(record, options.pause, options.mishaps)
    system = clients.client(options.system)
    subscriber = system.subscriber(options.address, options.subjects, handler, record, options.options)
    say(ready=True, port=subscriber.port)

    def report(since: float = 0.0) -> dict[str, Any]:
        return {**record.report(since), "mishaps": handler.mishaps, **subscriber.facts()}

    obey({"report": report, "fresh": record.fresh, "numbers": record.numbers})
    subscriber.close()


if __name__ == "__main__":
    main()
