"""A publisher of numbered events: `-m resilience.programs.publisher SYSTEM ADDRESS NAME RATE SUBJECT…`.

Knows: rates and accounting. Must not know: how a system publishes (clients/ does).

Each event is [name, number, moment, ballast]. A number is used once, even if publishing failed; it then
counts as failed (it was not sent) or unknown. Only acknowledged events count as promised.
"""

from __future__ import annotations

import argparse
import threading
import time
from typing import Any

from .. import clients
from .commands import obey, say
from .record import percentile
from .scheduler_lag import SchedulerLag

# The pause after an error: the system is away, and trying without a pause does not help.
_PAUSE = 0.02
# Events that were due while a publish was blocked are not all published at once afterwards.
_MOST_BEHIND = 0.1


class NumberedPublisher:
    """Publishes at a rate in its own thread, until told to stop."""

    def __init__(
        self,
        publisher: clients.Publisher,
        name: str,
        rate: float,
        subjects: list[str],
        ballast: str = "",
    ) -> None:
        """ballast: bytes that make each event larger."""
        self._publisher = publisher
        self._ballast = ballast
        self._name = name
        self._pause = 1 / rate
        self._subjects = subjects
        self._stop = threading.Event()
        self._begun: float | None = None
        self._metronome = SchedulerLag()
        self._took: list[float] = []
        self._longest = (0.0, 0.0)
        self._numbers: list[int] = []
        self.promised = self.unheard = self.unknown = self.failed = 0
        self.errors: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        number, due = 0, time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic() - _MOST_BEHIND) + self._pause
            self._publish(self._subjects[number % len(self._subjects)], number)
            number += 1

    def _publish(self, subject: str, number: int) -> None:
        self._begun = begun = time.monotonic()
        try:
            promised = self._publisher.publish(subject, [self._name, number, begun, self._ballast])
            self.promised += promised
            self.unheard += not promised
            self._numbers.append(number)
            took = time.monotonic() - begun
            self._took.append(took)
            self._longest = max(self._longest, (took, begun))
        except Exception as error:
            if self._publisher.unknown(error):
                self.unknown += 1
            else:
                self.failed += 1
            kind = type(error).__name__
            self.errors[kind] = self.errors.get(kind, 0) + 1
            self._stop.wait(_PAUSE)
        self._begun = None

    def report(self) -> dict[str, Any]:
        """acknowledged: publishes; promised: deliveries, if the system says how many; unheard: publishes for
        which it said that nobody listens. The times say how long an acknowledgement took; `waiting` is how
        long the present one has taken so far; `noise` is how late the machine ran another thread of this
        program."""
        begun, took = self._begun, list(self._took)
        return {
            "acknowledged": len(self._numbers),
            "promised": self.promised,
            "unheard": self.unheard,
            "unknown": self.unknown,
            "failed": self.failed,
            "errors": self.errors,
            "median": percentile(took, 0.5),
            "p99": percentile(took, 0.99),
            "longest": self._longest[0],
            "longest_at": self._longest[1],
            "noise": self._metronome.late,
            "waiting": 0.0 if begun is None else time.monotonic() - begun,
        }

    def numbers(self) -> list[int]:
        """Which events were acknowledged."""
        return list(self._numbers)

    def forget_times(self) -> None:
        """Start the measurements again."""
        self._took, self._longest = [], (0.0, 0.0)
        self._metronome.reset()

    def stop(self, patience: float = 30.0) -> dict[str, Any]:
        """Publish no more. Returns the report after the last acknowledgement."""
        self._stop.set()
        self._thread.join(patience)
        return {**self.report(), "ended": not self._thread.is_alive()}

    def close(self) -> None:
        """End the threads."""
        if self._thread.is_alive():
            self.stop(1.0)
        self._metronome.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="resilience.programs.publisher")
    parser.add_argument("system")
    parser.add_argument("address")
    parser.add_argument("name")
    parser.add_argument("rate", type=float)
    parser.add_argument("subjects", nargs="+")
    parser.add_argument("--ballast", type=int, default=0, help="characters in each event")
    options = parser.parse_args()
    publisher = clients.client(options.system).publisher(options.address)
    numbered = NumberedPublisher(
        publisher, options.name, options.rate, options.subjects, "x" * options.ballast
    )
    say(ready=True)
    commands = {
        "start": numbered.start,
        "report": numbered.report,
        "numbers": numbered.numbers,
        "forget_times": numbered.forget_times,
        "stop": numbered.stop,
    }
    obey(commands)
    numbered.close()
    publisher.close()


if __name__ == "__main__":
    main()
