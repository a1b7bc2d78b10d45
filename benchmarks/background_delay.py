"""By how much a background publisher's `publish` takes longer than encoding, whatever the service does.

    python -m benchmarks.background_delay [--seconds N]

For each state of the service it prints the distribution of that time: median, 99.9 % and the largest. The
first row of each message is how much encoding itself varies on this machine: the other programs that run
there interrupt `publish` as much.

Knows: the public interface of pyro_events, and where a background publisher encodes. Must not know: what else
it does.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .children.processes import Child
from .statistics import percentile

SUBJECT = "OVEN.TEMPERATURE"
# Events per second: a fast instrument, a camera, and a loop without a pause.
PACES = {"small": (1000.0, 0.0), "1 MiB array": (30.0,)}


def messages() -> dict[str, Any]:
    """What is published."""
    import numpy

    return {"small": ("SUN", 22.44), "1 MiB array": numpy.ones((512, 512), numpy.float32)}


@contextlib.contextmanager
def service(*options: str) -> Iterator[tuple[Child, str]]:
    """An event service in a process, and its URI."""
    command = [sys.executable, "-m", "pyro_events.es", "-N", "--host", "127.0.0.1", "--port", "0", *options]
    with tempfile.TemporaryDirectory() as folder:
        child = Child("service", command, Path(folder))
        try:
            deadline, uri = time.monotonic() + 20, ""
            while "started" not in (line := child.line(deadline)):
                uri = next((word for word in line.split() if word.startswith("PYRO:")), uri)
            yield child, uri
        finally:
            child.stop()


def frozen(child: Child, uri: str) -> None:
    """It is stopped, as by a debugger."""
    child.freeze()


def killed(child: Child, uri: str) -> None:
    """It is gone, without a word."""
    os.kill(child.pid, signal.SIGKILL)


def full(child: Child, uri: str) -> None:
    """A subscriber that takes nothing blocks all publishers of the subject."""
    from Pyro5.api import Proxy

    silent = socket.create_server(("127.0.0.1", 0))
    _kept.append(silent)
    with Proxy(uri) as es:
        es.subscribe(SUBJECT, f"PYRO:silent@127.0.0.1:{silent.getsockname()[1]}", {"backlog": 1})


def running(child: Child, uri: str) -> None:
    """It takes everything."""


_kept: list[socket.socket] = []
STATES: dict[str, Callable[[Child, str], None]] = {
    "running": running,
    "frozen": frozen,
    "killed": killed,
    "full": full,
}


class TimedEncoding:
    """Stands in place of the function that encodes, and notes how long it took last."""

    def __init__(self, encode: Callable[[object], Any]) -> None:
        self._encode = encode
        self.taken = 0.0

    def __call__(self, message: object) -> Any:
        begin = time.perf_counter()
        payload = self._encode(message)
        self.taken = time.perf_counter() - begin
        return payload


def times(work: Callable[[], float], pace: float, seconds: float) -> list[float]:
    """How long each call took, without what it returns. pace: calls per second, 0 for no pause."""
    taken = []
    clock = time.perf_counter
    end = clock() + seconds
    while clock() < end:
        begin = clock()
        other = work()
        taken.append(clock() - begin - other)
        if pace:
            time.sleep(1 / pace)
    return taken


def row(name: str, pace: float, taken: Sequence[float], rest: str = "") -> str:
    """A line of the table. taken: in seconds."""
    excess = [max(0.0, each) * 1e6 for each in taken]
    figures = statistics.median(excess), percentile(excess, 0.999), max(excess)
    shown = "".join(f"{figure:>12,.1f}" for figure in figures)
    return f"{name:28}{f'{pace:,.0f}/s' if pace else 'no pause':>10}{len(taken):>10,}{shown}  {rest}"


def measure(message: Any, paces: Sequence[float], seconds: float) -> Iterator[str]:
    """The rows of one message."""
    from pyro_events import Publisher
    from pyro_events.client.background import publisher as module

    encode = module.encode_detached
    timed = TimedEncoding(encode)
    # New memory takes longer to write to, so what is encoded is kept for a while, as in a queue.
    kept: deque[object] = deque(maxlen=60)

    def only_encode() -> float:
        kept.append(encode(message))
        return 0.0

    def publish() -> float:
        instrument.publish(SUBJECT, message)
        return timed.taken

    module.encode_detached = timed
    try:
        for pace in paces:
            taken = times(only_encode, pace, seconds)
            usual = statistics.median(taken)
            name = f"encoding, {usual * 1e6:,.1f} us"
            yield row(name, pace, [each - usual for each in taken])
            kept.clear()
            for state, bring_about in STATES.items():
                with (
                    service("--delivery-deadline", "600") as (child, uri),
                    Publisher(es_uri=uri) as publisher,
                ):
                    with publisher.background() as instrument:
                        instrument.publish(SUBJECT, message)
                        instrument.flush(10)
                        bring_about(child, uri)
                        taken = times(publish, pace, seconds)
                        publisher.close()
                        dropped = instrument.statistics().dropped["drop-oldest"]
                    yield row(state, pace, taken, f"{dropped:,} dropped")
    finally:
        module.encode_detached = encode


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each row; 5 by default")
    seconds = parser.parse_args(arguments).seconds
    logging.disable()  # that events are dropped is what is measured
    print(f"{'us beyond the encoding':28}{'':10}{'events':>10}{'median':>12}{'99.9 %':>12}{'max':>12}")
    for name, message in messages().items():
        print(f"-- {name}")
        for line in measure(message, PACES[name], seconds):
            print(line, flush=True)
    while _kept:
        _kept.pop().close()


if __name__ == "__main__":
    main()
