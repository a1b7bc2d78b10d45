"""ReconnectQueue: which subscribers of one program may make a request to their service now.

Knows: addresses, how many requests are made to one at a time, and when one that fails is tried again. Must
not know: what a request is, threads or the clock.

A program may have a thousand subscribers. If all made their requests at the same time, they would wait for
the interpreter more than for the service. So a few at a time do. While an address fails, one at a time tries,
with growing pauses; when it has succeeded, the others follow.
"""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

from .state import NEVER
from .times import ReconnectTimes

# Requests to one address side by side: fewer would wait for the network, more for each other.
AT_ONCE: Final = 4
# For how long it is remembered that an address fails which nobody wants at the moment.
_REMEMBERED: Final = 60.0


class _Impatient(Protocol):
    times: ReconnectTimes


Who = TypeVar("Who", bound=_Impatient)


class _Address(Generic[Who]):
    """Those who want to reach one address. running: whose request is under way."""

    __slots__ = ("failing", "failures", "next_try", "running", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[Who, None] = {}
        self.running: set[Who] = set()
        # Whether the last request failed, how many have in a row, and when the next one may be made.
        self.failing = False
        self.failures = 0
        self.next_try = 0.0

    def due(self, at_once: int) -> float:
        """From when on the next one may make a request."""
        if not self.waiting or len(self.running) >= (1 if self.failing else at_once):
            return NEVER
        return self.next_try


class ReconnectQueue(Generic[Who]):
    """The subscribers of one program that want to make a request, in order."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        """at_once: how many requests are made to one address side by side, while they succeed."""
        self._at_once = at_once
        self._addresses: dict[str, _Address[Who]] = {}
        self._places: dict[Who, str] = {}

    def __len__(self) -> int:
        """How many wait, or make a request."""
        return len(self._places)

    def join(self, who: Who, address: str) -> None:
        """Want to make a request to an address."""
        self.leave(who)
        self._places[who] = address
        self._addresses.setdefault(address, _Address()).waiting[who] = None

    def due(self) -> float:
        """From when on `take` returns somebody; NEVER if not before something else happens."""
        return min([address.due(self._at_once) for address in self._addresses.values()], default=NEVER)

    def take(self, now: float) -> Who | None:
        """Who may make a request now; it has to say so when the request has `finished`."""
        for name, address in self._addresses.items():
            if address.due(self._at_once) <= now:
                who = next(iter(address.waiting))
                del address.waiting[who]
                address.running.add(who)
                # The next one is somebody of another address, if there is one.
                self._addresses[name] = self._addresses.pop(name)
                return who
        return None

    def finished(self, who: Who, now: float, reached: bool | None, lasting: bool = False) -> None:
        """The request is over. reached: whether the address answered, None if it was not tried. lasting: to
        try again soon will hardly help."""
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
            # The last of those that were made side by side, so that they count once.
            if not address.running:
                # One that tries for many tries four times as often.
                delay = who.times.backoff(address.failures, lasting)
                address.next_try = now + delay / (4 if others > self._at_once else 1)
                address.failures += 1
        self._prune(now)

    def _prune(self, now: float) -> None:
        """Forget addresses that nobody wants any more."""
        unused = [name for name, each in self._addresses.items() if not each.waiting and not each.running]
        for name in unused:
            address = self._addresses[name]
            if not address.failing or now > address.next_try + _REMEMBERED:
                del self._addresses[name]

    def leave(self, who: Who) -> None:
        """Want nothing any more; harmless for one that is not here."""
        name = self._places.pop(who, None)
        if name is None:
            return
        address = self._addresses[name]
        address.waiting.pop(who, None)
        address.running.discard(who)

    def running(self, name: str) -> list[Who]:
        """Those who make a request to an address now."""
        address = self._addresses.get(name)
        return list(address.running) if address is not None else []
