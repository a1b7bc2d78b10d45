"""Admission: how many clients, or subscribers, there may be, in all and of one host.

Knows: how many each host has, the options that limit them, and how many files the process may open. Must not
know: what a client or a subscriber is, or how one is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from ...log.background import get_logger
from ...options import ServiceOptions
from .turns import host_of

log = get_logger("pyro_events.engine")

# Seconds between two lines in the log about refusals: an attacker tries again at once.
_SILENCE: Final = 10.0


class Admission:
    """All clients of a service, or all its subscribers. refused: how many were refused."""

    def __init__(self, kind: str, options: ServiceOptions, files: Callable[[], int]) -> None:
        """kind: the word for them in texts. files: for how many of them the process has files."""
        self._kind = kind
        self._options = options
        self._files = files
        self._hosts: dict[str, int] = {}
        self._count = 0
        self._silent_until = 0.0
        self._unsaid = 0
        self.refused = 0

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def reason_to_refuse(self, address: str) -> str | None:
        """Why there cannot be another one, None if there can. address: its own, or that of the call that
        brings it."""
        host = host_of(address)
        reason = self._objection(host)
        if reason is not None:
            self._note(host, reason)
        return reason

    def add(self, address: str) -> None:
        """Count another one."""
        host = host_of(address)
        self._count += 1
        self._hosts[host] = self._hosts.get(host, 0) + 1

    def _objection(self, host: str) -> str | None:
        most, files = self._options.max_connections, self._files()
        kind = self._kind
        if self._count >= min(most, files):
            if files < most:
                return (
                    f"the event service has as many {kind} as its process may open files for "
                    f"({files}): raise its limit (ulimit -n)"
                )
            return f"the event service has {most} {kind}, which is its limit: see --max-connections"
        of_one = self._options.max_per_host or (min(most, files) + 1) // 2
        if self._hosts.get(host, 0) >= of_one:
            return (
                f"the event service has {of_one} {kind} of {host}, which is the limit for one host: "
                "see --max-per-host"
            )
        return None

    def _note(self, host: str, reason: str) -> None:
        self.refused += 1
        self._unsaid += 1
        now = monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _SILENCE
            log.warning("%d %s refused, the last from %s: %s", self._unsaid, self._kind, host, reason)
            self._unsaid = 0

    def leave(self, address: str) -> None:
        """Count one less."""
        host = host_of(address)
        self._count -= 1
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
