"""Takes events from a stream while a handler of signals raises at any moment: URI SUBJECT SEED SECONDS MODE.

MODE: get, iterate or select. Prints "ready"; for each event "event SEQ MISSED MESSAGE N", where N says how
often the handler has raised since the event before; "quiet" when no signal comes any more; and "end" when the
message "end" has come. What it does not expect ends it with a traceback.
"""

from __future__ import annotations

import random
import select
import signal
import sys
import time
from types import FrameType

from pyro_events import Event, EventStream

uri, subject, seed, seconds, mode = sys.argv[1:]
chance = random.Random(int(seed))
armed = False  # whether the handler may raise
raised = 0


class Interrupted(Exception):
    """The program's own."""


def handler(number: int, frame: FrameType | None) -> None:
    global armed, raised
    signal.setitimer(signal.ITIMER_REAL, chance.choice((0.0002, 0.001, 0.005, 0.02)))
    if armed:
        armed = False
        raised += 1
        if chance.random() < 0.1:
            stream.statistics()  # which it may
        raise Interrupted


def take() -> Event | None:
    """One event, or none for now."""
    if mode == "iterate":
        return next(stream)
    if mode == "select":
        select.select([stream], [], [], 0.05)
    try:
        return stream.get(timeout=0 if mode == "select" else chance.choice((None, 0.001, 5.0)))
    except TimeoutError:
        return None


lines: list[str] = []
with EventStream(subject, es_uri=uri) as stream:
    print("ready", flush=True)
    signal.signal(signal.SIGALRM, handler)
    quiet, end = False, time.monotonic() + float(seconds)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    message = None
    while message != "end":
        event = None
        try:
            armed = not quiet
            event = take()
            armed = False
        except Interrupted:
            pass
        if event is not None:
            message = event.msg
            lines.append(f"event {event.seq} {event.missed} {message} {raised}")
            raised = 0
        if not quiet and time.monotonic() > end:
            quiet = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            print("quiet", flush=True)
print("\n".join([*lines, "end"]), flush=True)
