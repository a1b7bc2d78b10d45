"""ReconnectQueue: which subscribers of one program may make a request to their service now.

Knows: addresses, how many requests are made to one at a time, and when a failed one is tried again. Must not
know: what a request is, threads or the clock.

A program may have a thousand subscribers. If all made their requests at the same time, they would wait longer
for the interpreter than for the service. So only some do at a time. While an address fails, one subscriber
at a time tries it, with growing pauses. When one has succeeded, the others follow.
"""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

from .state import NEVER
from .times import ReconnectTimes

# Simultaneous requests to one address: fewer wait for the network, more for each other. A thousand
# subscribers of one program return in 1.4 s with 16 of them, and in 2 s with 4.
AT_ONCE: Final = 16
# For how long a failing address is remembered if no subscriber wants it at the moment.
_REMEMBERED: Final = 60.0


class _Impatient(Protocol):
    times: ReconnectTimes


Who = TypeVar("Who", bound=_Impatient)


class _Address(Generic[Who]):
    """The subscribers that want to reach one address. running: those whose request has begun."""

    __slots__ = ("failing", "failures", "next_try", "running", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[Who, None] = {}
        self.running: set[Who] = set()
        # Whether the last request failed, how many have failed in a row, and when the next one may be made.
        self.failing = False
        self.failures = 0
        self.next_try = 0.0

    def due(self, at_once: int) -> float:
        """From when on the next request may be made."""
        if not self.waiting or len(self.running) >= (1 if self.failing else at_once):
            return NEVER
        return self.next_try


class ReconnectQueue(Generic[Who]):
    """The subscribers of one program that want to make a request, in order."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        """at_once: how many simultaneous requests are made to one address while they succeed."""
        self._at_once = at_once
        self._addresses: dict[str, _Address[Who]] = {}
        self._places: dict[Who, str] = {}

    def __len__(self) -> int:
        """How many subscribers wait or make a request."""
        return len(self._places)

    def join(self, who: Who, address: str) -> None:
        """Add a subscriber that wants to make a request to an address."""
        self.leave(who)
        self._places[who] = address
        self._addresses.setdefault(address, _Address()).waiting[who] = None

    def due(self) -> float:
        """From when on `take` returns a subscriber; NEVER if something else must happen first."""
        return min([address.due(self._at_once) for address in self._addresses.values()], default=NEVER)

    def take(self, now: float) -> Who | None:
        """The subscriber that may make a request now, or None. Call `finished` when its request is over."""
        for name, address in self._addresses.items():
            if address.due(self._at_once) <= now:
                who = next(iter(address.waiting))
                del address.waiting[who]
                address.running.add(who)
                # If there is a subscriber of another address, it is next.
                self._addresses[name] = self._addresses.pop(name)
                return who
        return None

    def finished(self, who: Who, now: float, reached: bool | None, lasting: bool = False) -> None:
        """The request is over. reached: whether the address answered, None if it was not tried. lasting:
        trying again soon will hardly help."""
        address = self._addresses.get(self._places.get(who, ""))
        if address is None or who not in address.running:
            return
        others = len(address.waiting)
        address.running.discard(who)
        del self._places[who]
        if reached:
            address.failing, address.failures, address.next_try = False, 0, 0.0
        elif reached is False:
            address.failing = True
            # The last one of simultaneous requests, so that they count once.
            if not address.running:
                # A subscriber that tries on behalf of many tries four times as often.
                delay = who.times.backoff(address.failures, lasting)
                address.next_try = now + delay / (4 if others > self._at_once else 1)
                address.failures += 1
        self._prune(now)

    def _prune(self, now: float) -> None:
        """Forget addresses that no subscriber wants any more."""
        unused = [name for name, each in self._addresses.items() if not each.waiting and not each.running]
        for name in unused:
            address = self._addresses[name]
            if not address.failing or now > address.next_try + _REMEMBERED:
                del self._addresses[name]

    def leave(self, who: Who) -> None:
        """Remove a subscriber; it may have been removed already."""
        name = self._places.pop(who, None)
        if name is None:
            return
        address = self._addresses[name]
        address.waiting.pop(who, None)
        address.running.discard(who)

    def running(self, name: str) -> list[Who]:
        """The subscribers that make a request to an address now."""
        address = self._addresses.get(name)
        return list(address.running) if address is not None else []
