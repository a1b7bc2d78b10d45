"""Turns: who goes next of those who want to use what only one can use at a time.

Knows: parties, their hosts, how much time each has used lately, and who waits. Must not know: the clock
(time comes in as an argument), what is done in a turn, sockets, or loops.

Whoever has used least time lately goes first: among hosts, and then among the parties of that host. So a
host has its share whatever the number of its connections. What was used is forgotten by halves, and a
host's use is remembered when its last connection has ended, or connecting again would be a way to the
front.
"""

from __future__ import annotations

import heapq
import ipaddress
import math
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# How long a party may go on before it is the others' turn, in seconds: a read, or one Pyro batch, brings
# thousands of calls, and some take milliseconds.
TURN: Final = 0.01
# In this many seconds what was used counts half.
HALF_LIFE: Final = 1.0
# A host that has used less than this, in seconds, and has no party any more, is forgotten.
_FORGOTTEN: Final = 0.001
# So many hosts are remembered before it is looked who can be forgotten.
_MANY: Final = 256


def host_of(address: str) -> str:
    """Who counts as one host: an IPv4 address, however it is written, or an IPv6 network of 64 bits, in which
    anybody has more addresses than there are connections. Any other text is a host by itself."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    if ip.is_link_local or ip.is_loopback:  # one network of them is many machines, or none
        return str(ip)
    return str(ipaddress.ip_network((ip, 64), strict=False))


class _Use:
    """Time used lately. It is kept so that two that are idle compare alike at any time.

    level: the logarithm of what was used, plus the time of day in half-lives.
    """

    __slots__ = ("level",)

    def __init__(self) -> None:
        self.level = -math.inf

    def lately(self, now: float) -> float:
        """Seconds, halved with every HALF_LIFE that has passed."""
        return 2.0 ** min(self.level - now / HALF_LIFE, 1000.0) if self.level > -math.inf else 0.0

    def add(self, seconds: float, now: float) -> None:
        used = self.lately(now) + seconds
        if used > 0:
            # Never lower, also where a clock goes back: who waits is sorted by it.
            self.level = max(self.level, math.log2(used) + now / HALF_LIFE)


class _Host(_Use):
    """All parties of one host. waiting: by level, then in the order in which they came."""

    __slots__ = ("busy", "name", "parties", "waiting")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.parties = 0
        self.busy = False  # one of its parties has its turn
        self.waiting: list[tuple[float, int, Participant[object]]] = []


class Participant(_Use, Generic[T]):
    """Who takes turns. what: whatever it stands for. uncounted: seconds used that are yet to be charged."""

    __slots__ = ("host", "uncounted", "waits", "what")

    def __init__(self, host: _Host, what: T) -> None:
        super().__init__()
        self.host = host
        self.what = what
        self.uncounted = 0.0
        self.waits = False


class Turns(Generic[T]):
    """All parties that share one thing, and those of them that wait for it."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._most = _MANY
        # Hosts that have someone waiting and nobody whose turn it is, by level. An entry is never higher
        # than its host's level is now.
        self._waiting: list[tuple[float, int, _Host]] = []
        self._count = 0
        self._arrivals = 0

    def __len__(self) -> int:
        """How many parties wait."""
        return self._count

    def join(self, address: str, what: T, now: float) -> Participant[T]:
        """A new party. address: where it is; see `host_of`."""
        name = host_of(address)
        host = self._hosts.get(name)
        if host is None:
            if len(self._hosts) >= self._most:
                self._forget(now)
            host = self._hosts[name] = _Host(name)
        host.parties += 1
        return Participant(host, what)

    def _forget(self, now: float) -> None:
        idle = [host for host in self._hosts.values() if not host.parties and host.lately(now) < _FORGOTTEN]
        for host in idle:
            del self._hosts[host.name]
        self._most = max(_MANY, 2 * len(self._hosts))

    def leave(self, party: Participant[T], now: float) -> None:
        """A party is gone. If it waits, its turn still comes, and must do nothing then."""
        self.settle(party, now)
        party.host.parties -= 1

    def charge(self, party: Participant[T], seconds: float, now: float) -> None:
        """A party has used so much."""
        party.add(seconds, now)
        party.host.add(seconds, now)

    def settle(self, party: Participant[T], now: float) -> None:
        """Charge what is uncounted."""
        if party.uncounted:
            self.charge(party, party.uncounted, now)
            party.uncounted = 0.0

    def wait(self, party: Participant[T], now: float) -> None:
        """A party wants a turn; one that waits already is not put in line twice."""
        if party.waits:
            return
        self.settle(party, now)
        party.waits = True
        self._count += 1
        host = party.host
        alone = not host.waiting
        heapq.heappush(host.waiting, (party.level, self._arrival(), party))  # type: ignore[misc]
        if alone and not host.busy:
            heapq.heappush(self._waiting, (host.level, self._arrival(), host))

    def _arrival(self) -> int:
        self._arrivals += 1
        return self._arrivals

    def next(self) -> Participant[T] | None:
        """Whose turn it is, None if nobody waits whose host has none. `done` must follow."""
        waiting = self._waiting
        while waiting:
            level, number, host = waiting[0]
            if host.level > level:  # it has used more since: there may be others before it now
                heapq.heapreplace(waiting, (host.level, number, host))
                continue
            heapq.heappop(waiting)
            host.busy = True
            party: Participant[T] = heapq.heappop(host.waiting)[2]  # type: ignore[assignment]
            party.waits = False
            self._count -= 1
            return party
        return None

    def done(self, party: Participant[T], seconds: float, now: float) -> None:
        """A turn is over. seconds: what it took, beside what is uncounted."""
        self.charge(party, seconds, now)
        self.settle(party, now)
        host = party.host
        host.busy = False
        if host.waiting:
            heapq.heappush(self._waiting, (host.level, self._arrival(), host))
