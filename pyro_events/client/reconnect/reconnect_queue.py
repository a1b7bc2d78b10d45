"""Outages: the subscribers of one program that look for a lost service, in line.

Knows: who may try an address now, and when the next try is due. Must not know: how anything is reached,
or what a try consists of.

A program may have hundreds of subscribers, with threads of their own. If all tried at the same time they
would wait for the interpreter more than for the service, each so long that the service gives up on it. So
a few at a time return, the next as soon as one is back; and as long as an address fails, they try one
after the other, with growing pauses. Whoever is in line sleeps until it is summoned.

A loss wakes all of them at once nevertheless, each in the thread that read. A thread that waits for the
interpreter wakes every 5 ms to ask for it, and a thousand that do so leave hardly a processor to the one
that has it: what takes 0.3 s then takes 1 to 13 s. So they are told to ask more rarely in a crowd.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from typing import Final, Protocol

# Seconds before the first try and at most between two; each is a random part of it, half at least, so
# that the programs of many machines do not come in one instant. A try takes a second more where nobody
# answers at all, and two seconds is what is promised.
FIRST_DELAY: Final = 0.1
MOST_DELAY: Final = 0.8
# A certificate that is not accepted today will hardly be in a second: the delays are so many times longer.
LASTING: Final = 20
# How many return side by side. Fewer would wait for the network, more for each other.
AT_ONCE: Final = 8
# How rarely threads ask for the interpreter in a crowd, in seconds: another thread of the program may have
# to wait so long for one that does not let go of it. After so many failures the crowd sleeps.
CROWDED: Final = 0.05
_ASLEEP: Final = 3


def backoff(failures: int) -> float:
    """How many seconds to wait after so many failures in a row."""
    return min(MOST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)


class Returning(Protocol):
    """One who stands in line."""

    def grant_turn(self, at: float) -> bool:
        """It is its turn, from that time on; False if it does not want it any more. Must not wait."""


class _Line:
    """Those who want to return to one address. inside: whose turn it is, each with a token of its own for
    this turn. waiting: the others, in order, each with the time before which it does not want to try."""

    __slots__ = ("address", "failed", "failures", "inside", "next_try", "waiting")

    def __init__(self, address: str) -> None:
        self.address = address
        self.inside: dict[Returning, object] = {}
        self.waiting: dict[Returning, float] = {}
        # Whether the last try failed, how many have in a row, and when the next is due.
        self.failed = False
        self.failures = 0
        self.next_try = 0.0

    @property
    def crowded(self) -> bool:
        """Whether more than return side by side stand here, and are not asleep yet."""
        return len(self.inside) + len(self.waiting) > AT_ONCE and self.failures < _ASLEEP

    def drop(self, who: Returning) -> None:
        """It stands here no more."""
        self.inside.pop(who, None)
        self.waiting.pop(who, None)

    def next(self) -> tuple[Returning, float, object] | None:
        """Whose turn it is now as well, from when on, and its token; None when nobody else's."""
        if not self.waiting or len(self.inside) >= (1 if self.failed else AT_ONCE):
            return None
        who, at = next(iter(self.waiting.items()))
        del self.waiting[who]
        self.inside[who] = turn = object()
        return who, max(at, self.next_try), turn


class ReconnectQueue:
    """The lines of one program."""

    def __init__(self) -> None:
        # Python's switch interval as it was before there was a crowd, and what it is in one.
        self._intervals: tuple[float, float] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._set_interval(crowded=False)
        # Reentrant, because a signal's handler may let a subscriber leave. Nobody is summoned while it
        # is held.
        self._lock = threading.RLock()
        self._lines: dict[str, _Line] = {}
        self._places: dict[Returning, _Line] = {}

    def line_up(self, who: Returning, address: str, at: float) -> None:
        """Want to try an address, not before `at`; who stands in line already is put at its end."""
        with self._lock:
            old = self._forget(who)
            line = self._lines.setdefault(address, _Line(address))
            line.waiting[who] = at
            self._places[who] = line
        if old is not None and old is not line:
            self._go_on(old)
        self._go_on(line)

    def failed(self, who: Returning, now: float, lasting: bool = False) -> bool:
        """Its try has failed: it is in line again; False if it was not, because it has left.

        lasting: for a reason that somebody must do something about, so that the next is due much later.
        """
        with self._lock:
            line = self._places.get(who)
            if line is None:
                return False
            line.drop(who)
            line.waiting[who] = 0.0
            line.failed = True
            # The last of those who tried side by side; so they count once.
            if not line.inside:
                # Who tries for many tries four times as often: the line takes its time too.
                delay = backoff(line.failures) * (LASTING if lasting else 1)
                line.next_try = now + delay / (4 if len(line.waiting) > AT_ONCE else 1)
                line.failures += 1
        self._go_on(line)
        return True

    def succeeded(self, who: Returning) -> None:
        """It has reached the address. Its turn lasts until it leaves."""
        with self._lock:
            line = self._places.get(who)
            if line is None:
                return
            line.failed, line.failures, line.next_try = False, 0, 0.0
        self._go_on(line)

    def leave(self, who: Returning) -> None:
        """It is back, or does not want to be; harmless for one who is not in line."""
        with self._lock:
            line = self._forget(who)
        if line is not None:
            self._go_on(line)

    def _forget(self, who: Returning) -> _Line | None:
        line = self._places.pop(who, None)
        if line is not None:
            line.drop(who)
            if not line.inside and not line.waiting and self._lines.get(line.address) is line:
                del self._lines[line.address]
        return line

    def _go_on(self, line: _Line) -> None:
        """Summon those whose turn it is."""
        while True:
            with self._lock:
                found = line.next()
                if found is None:
                    lines = self._lines.values()
                    self._set_interval(any([one.crowded for one in lines]))
                    return
            who, at, turn = found
            if not who.grant_turn(at):
                with self._lock:
                    if line.inside.get(who) is turn:  # or else it has lined up anew meanwhile
                        self._forget(who)

    def _set_interval(self, crowded: bool) -> None:
        """Have threads that wait for the interpreter ask for it more rarely, or as they did before."""
        if crowded and self._intervals is None:
            usual = sys.getswitchinterval()
            sys.setswitchinterval(max(usual, CROWDED))
            self._intervals = usual, sys.getswitchinterval()
        elif not crowded and self._intervals is not None:
            usual, ours = self._intervals
            self._intervals = None
            if sys.getswitchinterval() == ours:  # or else the program has set it meanwhile
                sys.setswitchinterval(usual)


outages: Final = ReconnectQueue()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=outages.reset)
