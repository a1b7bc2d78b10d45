"""The options of a background publisher: how much may wait, and what happens beyond that.

Knows: the bounds, and which policies make sense for a publisher that never waits. Must not know: how they are
applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ...constants import BACKGROUND_BYTES, BACKGROUND_EVENTS
from ...options import Overflow, check_count

# The names of its policies, for those who check types.
BackgroundPolicy = Literal["drop-oldest", "drop-newest", "latest"]

_REFUSED: Final = {
    Overflow.BLOCK: "its publish never waits; publisher.pipeline() does",
    Overflow.DISCONNECT: "it has no subscriber that could be disconnected",
}


@dataclass(frozen=True)
class BackgroundOptions:
    """limit: how many events may wait. limit_bytes: how much memory they may take. overflow: which one is
    dropped beyond that.

    Raises ValueError for a bound that is not a whole number of at least 1, and for a policy that does not
    exist or cannot be used here.
    """

    limit: int = BACKGROUND_EVENTS
    limit_bytes: int = BACKGROUND_BYTES
    overflow: Overflow = Overflow.DROP_OLDEST

    def __post_init__(self) -> None:
        check_count("limit", self.limit, 1)
        check_count("limit_bytes", self.limit_bytes, 1)
        policy = Overflow.parse(self.overflow)
        if policy in _REFUSED:
            raise ValueError(
                f"overflow={policy.value!r} is not possible for a background publisher: {_REFUSED[policy]}; "
                "use drop-oldest, drop-newest or latest"
            )
        object.__setattr__(self, "overflow", policy)


@dataclass(frozen=True)
class BackgroundTimes:
    """Seconds.

    first_pause, last_pause: while the service is away it is tried again after the first pause, then after
    twice as long, up to the last. leaving: how long `close` and the end of the `with` block wait for what is
    queued. exit: the same at the end of the program. join: how long `close` then waits for the thread, which
    it has interrupted; only a look-up in the name server cannot be.
    """

    first_pause: float = 0.05
    last_pause: float = 0.8
    leaving: float = 5.0
    exit: float = 1.0
    join: float = 2.0
