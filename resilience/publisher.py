"""A publisher of numbered events: `python -m resilience.publisher SYSTEM ADDRESS NAME RATE SUBJECT…`.

Knows: pace and bookkeeping. Must not know: how a system publishes (clients/ does).

Each event is [name, number, moment, ballast]. A number is used once, also when publishing it failed: then it
counts as failed (it never left) or unknown. Only what was acknowledged is promised.
"""

from __future__ import annotations

import argparse
import threading
import time
from typing import Any

from . import clients
from .commands import obey, say
from .record import percentile
from .scheduler_lag import SchedulerLag

# After an error: the system is away, and asking without end helps nobody.
_PAUSE = 0.02
# What was missed while a publish was held up is not made good in one burst.
_MOST_BEHIND = 0.1


class NumberedPublisher:
    """Publishes at a rate in a thread of its own, until told to stop."""

    def __init__(
        self,
        publisher: clients.Publisher,
        name: str,
        rate: float,
        subjects: list[str],
        ballast: str = "",
    ) -> None:
        """ballast: what makes each event larger."""
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
        """acknowledged: publishes; promised: deliveries, as far as the system says how many; unheard:
        publishes of which it said that nobody listens. The times are how long an acknowledgement took;
        `waiting` is how long the present one has taken yet; `noise` is by how much the machine let
        another thread of this program run late."""
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
        """Begin to measure anew."""
        self._took, self._longest = [], (0.0, 0.0)
        self._metronome.reset()

    def stop(self, patience: float = 30.0) -> dict[str, Any]:
        """Publish no more; the report when the last acknowledgement is there."""
        self._stop.set()
        self._thread.join(patience)
        return {**self.report(), "ended": not self._thread.is_alive()}

    def close(self) -> None:
        """End the threads."""
        if self._thread.is_alive():
            self.stop(1.0)
        self._metronome.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="resilience.publisher")
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
