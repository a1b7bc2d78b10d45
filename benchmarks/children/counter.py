"""Counts arriving events: the one function that every subscriber of every system calls.

Knows: when a stage is complete, and the clock. Must not know: where events come from.

The clock is `perf_counter`, which is the same in all processes of a Linux machine.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

Decode = Callable[[Any], Any]
Take = Callable[[Any], None]


class Counter:
    """Counts the events of one process, and reports when a stage is complete.

    take: to be called with each event, which it decodes.
    """

    take: Take

    def __init__(
        self,
        stages: Sequence[int],
        report: Callable[[int, dict[str, Any]], None],
        decode: Decode,
        latency: bool = False,
    ) -> None:
        """stages: how many events each has.

        report: called with the number of a stage, and the figures at that moment: `at` (seconds on the
        clock), `cpu` (seconds of processor time of this process), and `latencies` (nanoseconds, one for each
        event of the stage), empty unless `latency` is set.
        """
        self._marks = {count: number for number, count in enumerate(itertools.accumulate(stages))}
        self._report = report
        self._latencies: list[int] = []
        self._added = 0
        self.take = self._timing(decode) if latency else self._counting(decode)

    def _counting(self, decode: Decode) -> Take:
        # Several threads may call it, and taking the next number is one step of the interpreter.
        following = itertools.count(1).__next__
        marks = self._marks

        def take(raw: Any) -> None:
            decode(raw)
            number = following()
            if number in marks:
                self._reached(number)

        return take

    def _timing(self, decode: Decode) -> Take:
        following = itertools.count(1).__next__
        marks = self._marks
        now = time.perf_counter_ns

        def take(raw: Any) -> None:
            entered = now()
            # The price is the time just before the event was published.
            self._latencies.append(entered - decode(raw)[1])
            number = following()
            if number in marks:
                self._reached(number)

        return take

    def add(self, count: int) -> None:
        """Count events without decoding them: for the raw limit, instead of `take`."""
        before, self._added = self._added, self._added + count
        for number in self._marks:
            if before < number <= self._added:
                self._reached(number)

    def _reached(self, number: int) -> None:
        at, cpu = time.perf_counter(), time.process_time()
        latencies, self._latencies = self._latencies, []
        self._report(self._marks[number], {"at": at, "cpu": cpu, "latencies": latencies})
