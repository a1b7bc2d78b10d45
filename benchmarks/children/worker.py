"""A child process: does one task, which it reads from standard input, and reports in lines of JSON.

Knows: the roles. Must not know: which case it belongs to.

It begins each step when a line comes on its standard input, and ends when that is closed, so that no child
outlives the suite.
"""

from __future__ import annotations

import functools
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..statistics import percentile
from ..systems import SYSTEMS
from ..systems.base import Publisher, message_of
from . import tasks
from .counter import Counter

_writing = threading.Lock()


def say(**values: Any) -> None:
    """Report to the suite."""
    line = json.dumps(values) + "\n"
    with _writing:
        sys.stdout.write(line)
        sys.stdout.flush()


class Orders:
    """The lines from standard input, read by a thread, so that work can go on meanwhile."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        while data := os.read(0, 1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._lines.put(line.decode())
        os._exit(0)

    def wait(self) -> str:
        """The next line."""
        return self._lines.get()

    def waiting(self) -> bool:
        """Whether there is one already."""
        return not self._lines.empty()


def _listen(task: tasks.Listen, orders: Orders) -> None:
    system = SYSTEMS[task.system]

    def report(stage: int, values: dict[str, Any]) -> None:
        say(stage=stage, **values)

    counter = Counter(task.stages, report, system.decoder(task.kind), task.latency)
    system.listen(task.address, task.kind, task.listeners, counter, lambda: say(ready=True))


def _publish(task: tasks.Publish, orders: Orders) -> None:
    system = SYSTEMS[task.system]
    message = message_of(task.kind)
    publishers = [system.publisher(task.address, task.kind) for _ in range(task.publishers)]
    say(ready=True)
    for number, phase in enumerate(task.phases):
        work = [
            functools.partial(_one_phase, task, phase, number, which, message)
            for which in range(task.publishers)
        ]
        orders.wait()
        start, cpu = time.perf_counter(), time.process_time()
        if len(publishers) == 1:
            work[0](publishers[0])
        else:
            system.publish_together(publishers, work)
        end, used = time.perf_counter(), time.process_time() - cpu
        say(phase=number, start=start, end=end, cpu=used)
    orders.wait()
    for publisher in publishers:
        publisher.close()


def _one_phase(
    task: tasks.Publish, phase: tasks.Phase, number: int, which: int, message: Any, publisher: Publisher
) -> None:
    subjects = tasks.subjects_of(task, phase, number, which)
    if phase.how == tasks.ACKED:
        publisher.acked(subjects, message)
    elif phase.how == tasks.TOGETHER:
        publisher.together(subjects, message, tasks.TASKS)
    elif phase.how == tasks.STREAMED:
        publisher.streamed(subjects, message)
    else:
        publisher.paced(subjects, "SUN", phase.rate)


def _watch(task: tasks.Watch, orders: Orders) -> None:
    publisher = SYSTEMS[task.system].publisher(task.address, tasks.QUOTE)
    message = message_of(tasks.QUOTE)
    publisher.publish(f"{task.prefix}first", message)
    say(ready=True)
    now, number = time.perf_counter, 0
    while orders.wait() == "go":
        waits: list[float] = []
        while not waits or not orders.waiting():
            start = now()
            publisher.publish(f"{task.prefix}{number}", message)
            waits.append(now() - start)
            number += 1
        orders.wait()
        say(published=len(waits), longest=max(waits), p99=percentile(waits, 0.99), seconds=sum(waits))


def _add(task: tasks.AddPatterns, orders: Orders) -> None:
    steps = SYSTEMS[task.system].add_patterns(task.address, task.prefixes, task.share)
    next(steps)
    say(ready=True)
    orders.wait()
    start = time.perf_counter()
    added = sum(1 for _ in steps)
    say(added=added, seconds=time.perf_counter() - start)
    orders.wait()


def _serve(task: tasks.Serve, orders: Orders) -> None:
    SYSTEMS[task.system].serve(lambda address: say(address=address))


def _idle_subscribers(task: tasks.IdleSubscribers, orders: Orders) -> None:
    # Imported here, because it imports pyro_events, which the children of the other systems do not need.
    from .idle_subscribers import keep_idle_subscribers

    keep_idle_subscribers(task, orders.wait, say)


def _burst(task: tasks.Burst, orders: Orders) -> None:
    from .bursts import burst

    burst(task, orders.wait, say)


_ROLES: dict[str, Callable[[Any, Orders], None]] = {
    "listen": _listen,
    "publish": _publish,
    "watch": _watch,
    "add": _add,
    "serve": _serve,
    "subscribers": _idle_subscribers,
    "burst": _burst,
}


def main() -> None:
    """Do the task on the first line of standard input."""
    orders = Orders()
    task = tasks.from_line(orders.wait())
    _ROLES[task.role](task, orders)
    sys.stdout.flush()
    os._exit(0)  # whatever threads a system's package keeps


if __name__ == "__main__":
    main()
