"""ProofMemory: the proofs that a service has accepted lately, none of which it accepts again.

Knows: times and nonces of proofs, and whose they were. Must not know: keys, how a proof is checked, or the
clock: the time comes in as an argument.

A proof is remembered as long as its time would be accepted. One user cannot fill the memory, so that it keeps
nobody else out.
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import Final

# The clocks of the two sides may differ by this many seconds; a proof is remembered that long.
MAX_SKEW: Final = 30.0
# The most proofs that are remembered, 20 MiB. If there are more in a minute, further clients are denied until
# it is over.
MAX_REMEMBERED: Final = 100_000
# The most of one user: some 300 connections a second.
MAX_OF_ONE: Final = 20_000


class ProofMemory:
    """The proofs of the last half a minute. All times are milliseconds since the epoch.

    floor: proofs from before this time are not good, because they may have been seen and forgotten.
    """

    def __init__(self, most: int = MAX_REMEMBERED, most_of_one: int = MAX_OF_ONE) -> None:
        """most: how many in all. most_of_one: how many of one user; the service's own passphrase may have
        all."""
        self._most = most
        self._most_of_one = most_of_one
        self._seen: set[tuple[int, str]] = set()
        self._by_time: list[tuple[int, str, str]] = []
        self._of_user: Counter[str] = Counter()
        self.floor = 0

    def accepts(self, time: int, now: int) -> bool:
        """Whether a proof of that time can be judged now."""
        return abs(now - time) <= MAX_SKEW * 1000 and time >= self.floor

    def add(self, time: int, nonce: str, user: str, now: int) -> bool:
        """Remember a proof. False if it is known already, or there are too many."""
        self._forget(now)
        if (time, nonce) in self._seen or len(self._seen) >= self._most:
            return False
        if user and self._of_user[user] >= self._most_of_one:
            return False
        self._seen.add((time, nonce))
        heapq.heappush(self._by_time, (time, nonce, user))
        self._of_user[user] += 1
        return True

    def _forget(self, now: int) -> None:
        """Forget proofs whose time would be refused, and make sure that it always will be, even if the clock
        is set back."""
        while self._by_time and self._by_time[0][0] < now - MAX_SKEW * 1000:
            time, nonce, user = heapq.heappop(self._by_time)
            self._seen.discard((time, nonce))
            self.floor = max(self.floor, time + 1)
            self._of_user[user] -= 1
            if not self._of_user[user]:
                del self._of_user[user]
