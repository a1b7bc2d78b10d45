"""Turns: which of those that wait for a shared resource gets it next.

Knows: participants, their hosts, how much time each has used lately, and which ones wait. Must not know: the
clock (time comes in as an argument), what is done in a turn, sockets, or loops.

The one that has used the least time lately is next: first among hosts, then among the participants of that
host. So a host gets its share, whatever the number of its connections. Used time halves with each half-life.
The use of a host is remembered after its last connection has ended; otherwise connecting again would be a way
to get ahead.
"""

from __future__ import annotations

import heapq
import ipaddress
import math
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# How long one turn may take before it is the others' turn, in seconds: one read, or one Pyro batch, contains
# thousands of calls, and some take milliseconds.
TURN: Final = 0.01
# After so many seconds, used time counts half.
HALF_LIFE: Final = 1.0
# A host that has used less than this, in seconds, and has no participant any more, is forgotten.
_FORGOTTEN: Final = 0.001
# When so many hosts are remembered, those that can be forgotten are looked for.
_MANY: Final = 256


def host_of(address: str) -> str:
    """What counts as one host: an IPv4 address, however it is written, or an IPv6 network of 64 bits, in
    which anybody has more addresses than there are connections. Any other text is a host by itself."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    if ip.is_link_local or ip.is_loopback:  # such a network is many machines, or only this one
        return str(ip)
    return str(ipaddress.ip_network((ip, 64), strict=False))


class _Use:
    """Time used lately, in a form in which two idle hosts compare the same at any time.

    level: the logarithm of the used time, plus the time of day in half-lives.
    """

    __slots__ = ("level",)

    def __init__(self) -> None:
        self.level = -math.inf

    def lately(self, now: float) -> float:
        """Seconds, halved for each HALF_LIFE that has passed."""
        return 2.0 ** min(self.level - now / HALF_LIFE, 1000.0) if self.level > -math.inf else 0.0

    def add(self, seconds: float, now: float) -> None:
        used = self.lately(now) + seconds
        if used > 0:
            # Never lower, even if the clock goes back, because those that wait are sorted by it.
            self.level = max(self.level, math.log2(used) + now / HALF_LIFE)


class _Host(_Use):
    """All participants of one host. waiting: by level, then in the order in which they came."""

    __slots__ = ("busy", "name", "participants", "waiting")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.participants = 0
        self.busy = False  # one of its participants has its turn
        self.waiting: list[tuple[float, int, Participant[object]]] = []


class Participant(_Use, Generic[T]):
    """Something that takes turns. what: the object that it stands for. uncounted: used seconds that are not
    charged yet."""

    __slots__ = ("host", "uncounted", "waits", "what")

    def __init__(self, host: _Host, what: T) -> None:
        super().__init__()
        self.host = host
        self.what = what
        self.uncounted = 0.0
        self.waits = False


class Turns(Generic[T]):
    """All participants that share one resource, and those of them that wait for it."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._most = _MANY
        # The hosts with a waiting participant and no turn in progress, by level. An entry is never higher
        # than its host's level is now.
        self._waiting: list[tuple[float, int, _Host]] = []
        self._count = 0
        self._arrivals = 0

    def __len__(self) -> int:
        """How many participants wait."""
        return self._count

    def join(self, address: str, what: T, now: float) -> Participant[T]:
        """Add a participant. address: where it is; see `host_of`."""
        name = host_of(address)
        host = self._hosts.get(name)
        if host is None:
            if len(self._hosts) >= self._most:
                self._forget(now)
            host = self._hosts[name] = _Host(name)
        host.participants += 1
        return Participant(host, what)

    def _forget(self, now: float) -> None:
        idle = [
            host for host in self._hosts.values() if not host.participants and host.lately(now) < _FORGOTTEN
        ]
        for host in idle:
            del self._hosts[host.name]
        self._most = max(_MANY, 2 * len(self._hosts))

    def leave(self, participant: Participant[T], now: float) -> None:
        """Remove a participant. If it waits, its turn still comes, and must do nothing then."""
        self.settle(participant, now)
        participant.host.participants -= 1

    def charge(self, participant: Participant[T], seconds: float, now: float) -> None:
        """Charge a participant for time that it has used."""
        participant.add(seconds, now)
        participant.host.add(seconds, now)

    def settle(self, participant: Participant[T], now: float) -> None:
        """Charge the uncounted time."""
        if participant.uncounted:
            self.charge(participant, participant.uncounted, now)
            participant.uncounted = 0.0

    def wait(self, participant: Participant[T], now: float) -> None:
        """Have a participant wait for a turn; one that waits already is not added twice."""
        if participant.waits:
            return
        self.settle(participant, now)
        participant.waits = True
        self._count += 1
        host = participant.host
        alone = not host.waiting
        heapq.heappush(host.waiting, (participant.level, self._arrival(), participant))  # type: ignore[misc]
        if alone and not host.busy:
            heapq.heappush(self._waiting, (host.level, self._arrival(), host))

    def _arrival(self) -> int:
        self._arrivals += 1
        return self._arrivals

    def next(self) -> Participant[T] | None:
        """The participant whose turn it is, None if none can have one. `done` must follow."""
        waiting = self._waiting
        while waiting:
            level, number, host = waiting[0]
            if host.level > level:  # it has used more since then: others may be before it now
                heapq.heapreplace(waiting, (host.level, number, host))
                continue
            heapq.heappop(waiting)
            host.busy = True
            participant: Participant[T] = heapq.heappop(host.waiting)[2]  # type: ignore[assignment]
            participant.waits = False
            self._count -= 1
            return participant
        return None

    def done(self, participant: Participant[T], seconds: float, now: float) -> None:
        """A turn is over. seconds: how long it took; uncounted time is added."""
        self.charge(participant, seconds, now)
        self.settle(participant, now)
        host = participant.host
        host.busy = False
        if host.waiting:
            heapq.heappush(self._waiting, (host.level, self._arrival(), host))
