"""Block rights: which subscribers may not block publishers for now, because one has done so for too long.

Knows: the hosts, and the daemons there, of subscribers that were disconnected for it, and until when. Must
not know: deliveries, how a subscriber is disconnected, or what a backlog does instead of blocking.

A subscriber's name proves nothing: a program that comes back may have another object id, or another port. So
for a while no subscriber that the same user subscribes anew from that host may block. Of those already
subscribed, the ones whose daemon (host and port) is that of the disconnected one may not block either. Others
at that host keep the right, and so do all other users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ...broker.backlog import Backlog
from ...client_name import described
from ...log.background import get_logger
from ...options import Overflow
from .turns import host_of

log = get_logger("pyro_events.engine")

Address = tuple[str, int]


class BlockingSubscriber(Protocol):
    """A delivery to a subscriber. address: of the subscriber's daemon."""

    address: Address


class BlockRights:
    """Which subscribers may block publishers."""

    def __init__(self, suspension: float) -> None:
        """suspension: how long the right is suspended, in seconds."""
        self._suspension = suspension
        # Until when subscribers from a host, of a user, may not block.
        self._hosts: dict[tuple[str, str], float] = {}
        self._suspended: dict[Backlog, float] = {}

    def suspend(
        self, address: Address, deliveries: Mapping[Backlog, BlockingSubscriber], now: float, user: str = ""
    ) -> None:
        """The subscriber whose daemon has that address, and which that user has subscribed, was disconnected
        because it blocked publishers."""
        until = now + self._suspension
        self._hosts[host_of(address[0]), user] = until
        for backlog, delivery in deliveries.items():
            if delivery.address == address:
                self._take(backlog, until, now)

    def apply(self, backlog: Backlog, address: Address, now: float, user: str = "") -> str:
        """A subscriber of a user has come: it may not block if one from its host has lost the right.

        Returns what to tell it about that, "" for nothing.
        """
        until = self._hosts.get((host_of(address[0]), user), now)
        if until > now:
            self._take(backlog, until, now)
        else:
            self.permit(backlog)
        if backlog.options.overflow is not Overflow.BLOCK or backlog.overflow is Overflow.BLOCK:
            return ""
        if not _has_right(backlog):
            log.info(
                "%s has drop-oldest in place of block, for which its user has no right",
                described(backlog.name, backlog.subscriber),
                about=backlog.subscriber,
            )
            return "it has drop-oldest in place of block, for which its user has no right"
        return f"it has drop-oldest in place of block for {until - now:.0f} s"

    def permit(self, backlog: Backlog) -> None:
        """The rights of its user may be others than before."""
        backlog.allow_blocking(_has_right(backlog) and backlog not in self._suspended)

    def _take(self, backlog: Backlog, until: float, now: float) -> None:
        self._suspended[backlog] = until
        backlog.allow_blocking(False)
        if backlog.options.overflow is Overflow.BLOCK and _has_right(backlog):
            log.warning(
                "%s has drop-oldest in place of block for %.0f s: a subscriber from its host was "
                "disconnected because it blocked publishers",
                described(backlog.name, backlog.subscriber),
                until - now,
                about=backlog.subscriber,
            )

    def check(self, now: float) -> None:
        """Give back the right to those whose suspension is over."""
        for backlog in [each for each, until in self._suspended.items() if until <= now]:
            del self._suspended[backlog]
            self.permit(backlog)
        self._hosts = {host: until for host, until in self._hosts.items() if until > now}

    def remove(self, backlog: Backlog) -> None:
        """Its subscriber is gone."""
        self._suspended.pop(backlog, None)


def _has_right(backlog: Backlog) -> bool:
    """Whether its user may block publishers at all."""
    return backlog.rights is None or backlog.rights.block
