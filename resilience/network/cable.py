"""Two machines, and a cable between them that can be cut.

Knows: how to cut it, both ways or one. Must not know: what is sent.
"""

from __future__ import annotations

from typing import Final

from .machines import Machines

ADDRESSES: Final = ("10.213.57.1", "10.213.57.2")


class Network(Machines):
    """Two machines, 0 and 1, with the addresses ADDRESSES, and a cable between them."""

    def __init__(self) -> None:
        super().__init__(len(ADDRESSES))

    def _connect(self) -> None:
        first, second = self.machines
        first.connect(second, "cable", *ADDRESSES)

    def prefix(self, end: int) -> list[str]:
        """The command under which a program runs at that end."""
        return self.machines[end].prefix

    def cut(self) -> None:
        """Cut the cable: what is sent is lost, and nobody is told."""
        self.machines[1].ip("link", "set", "cable", "down")

    def deafen(self, end: int) -> None:
        """What is sent to that end is lost; what it sends arrives."""
        # The sender has a link-layer address for it that does not exist.
        entry = (ADDRESSES[end], "lladdr", "02:00:00:00:00:01", "nud", "permanent", "dev", "cable")
        self.machines[1 - end].ip("neigh", "replace", *entry)

    def restore(self) -> None:
        """Restore the cable."""
        self.machines[1].ip("link", "set", "cable", "up")
        for machine in self.machines:
            machine.ip("neigh", "flush", "dev", "cable", "nud", "permanent")
